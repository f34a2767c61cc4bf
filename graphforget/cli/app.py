"""The typer application: one file per command, one place where errors become a sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from graphforget.cli import demo, doctor, evaluate, listing, recommend, report, restore, run, suspend, sweep, unlearn
from graphforget.exceptions import InputError

BAD_INPUT, INTERRUPTED = 2, 130


class Group(TyperGroup):
    """Prints bad input as one sentence on standard error and exits with 2; a bug still shows its traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; returns only where ``standalone_mode`` is off."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        try:
            code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        except InputError as error:
            code = _say(str(error))
        except KeyboardInterrupt:
            code = INTERRUPTED
        except BrokenPipeError:
            sys.stderr.close()  # the reader went away, e.g. `| head`; nothing is left to say
            code = 0
        except OSError as error:
            if error.filename is None:
                raise
            code = _say(f"cannot use '{error.filename}': {(error.strerror or str(error)).lower()}.")
        except Exception as error:
            # typer brings its own copy of click or uses the installed one, so usage errors are known by what they offer.
            if type(error).__name__ == "Abort":
                code = INTERRUPTED
            elif hasattr(error, "format_message") and hasattr(error, "exit_code"):
                code = _say_usage(error)
            else:
                raise
        sys.exit(code if isinstance(code, int) else 0)


def _say(message: str) -> int:
    """One sentence on standard error."""
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_INPUT


def _say_usage(error: Any) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "graphforget"
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message, err=True)
        return BAD_INPUT
    return _say(f"{message.rstrip('.')}; see `{command} --help`.")


app = typer.Typer(
    cls=Group,
    name="graphforget",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Remove data from trained models, and prove it against models that never saw the data.",
)


def _version(value: bool) -> None:
    if value:
        from graphforget.version import __version__

        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def _root(version: Version = False) -> None:
    """Options of the program itself."""


app.command("demo")(demo.demo)
app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("unlearn")(unlearn.unlearn)
app.command("suspend")(suspend.suspend)
app.command("restore")(restore.restore)
app.command("recommend")(recommend.recommend)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("list")(listing.list_)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the ``graphforget`` program."""
    app(prog_name="graphforget")
