"""Pages whose code runs, and whose outputs are what the code prints.

- A ``python`` block runs in the page's namespace, a ``bash`` block's ``graphforget`` lines through the command line. A block
  under ``<!-- file: NAME -->`` is written to that file first. ``console``, ``json`` and ``yaml`` blocks are only shown.
- A ``text`` block right after one that ran is what it printed. Python that prints and is not followed by one is an error.
- Decimal fractions may differ a little (:func:`difference`), times as much as they like; ``...`` stands for any text.

``python docs/_pages.py PAGE...`` runs pages and writes what was printed into them.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```\n(?:\n*```text\n(?P<shown>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
SHOWN_ONLY = ("console", "json", "yaml")
_NUMBER = r"[-+±]?\d+\.\d+(?:e[-+]?\d+)?"
_TOKEN = re.compile(rf"(?P<time>{_NUMBER}(?= s\b))|(?P<number>{_NUMBER})|(?P<dots>\.\.\.)|(?P<rule>-{{4,}})|(?P<space>\s+)")


@dataclass
class Ran:
    """One executed block: where it stands in the page, what the page shows of its output, and what it printed."""

    span: tuple[int, int]
    language: str
    shown: str | None
    printed: str

    @property
    def fault(self) -> str | None:
        """What is wrong with what the page shows, or None."""
        if self.shown is None:
            return f"prints what the page does not show:\n{self.printed}" if self.language == "python" and self.printed else None
        return difference(self.shown, self.printed)


def run_page(page: Path) -> Iterator[Ran]:
    """Run a page's blocks in order, in the working directory.

    Raises:
        ValueError: A block of a language that is neither executed nor known to be shown only, or a ``text`` block by itself.
    """
    namespace: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
        code, language = block["code"], block["language"]
        if block["file"]:
            Path(block["file"]).write_text(code, encoding="utf-8")
            importlib.invalidate_caches()
        elif language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
            yield Ran(block.span(), language, block["shown"], out.getvalue())
        elif language == "bash":
            yield Ran(block.span(), language, block["shown"], shell(code))
        elif language not in SHOWN_ONLY:
            raise ValueError(f"{page.name}: a block of language '{language}' is neither run nor the output of one that is.")


def shell(code: str, *, options: Sequence[str] = ()) -> str:
    """Run the ``graphforget`` lines of a block and return their standard output. A verdict of any kind is a success.

    ``*`` in a path stands for what is there, and ``echo '...' > FILE`` writes a file, as in a shell.

    Args:
        code: The block.
        options: Words that the first command gets in addition.

    Raises:
        RuntimeError: A command failed.
        ValueError: There is another command, or none.
    """
    from typer.testing import CliRunner

    from graphforget.cli import app

    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError(f"no command in: {code}")
    printed, more = "", list(options)
    for line in lines:
        words = [word for word in shlex.split(line, comments=True) if word != "PYTHONPATH=."]
        if words[0] == "echo" and words[-2] == ">":
            Path(words[-1]).write_text(" ".join(words[1:-2]) + "\n", encoding="utf-8")
            continue
        if words[0] != "graphforget":
            raise ValueError(f"only graphforget commands are executed, got: {line}")
        words = [match for word in words[1:] for match in (sorted(glob.glob(word)) or [word])]
        result = CliRunner().invoke(app, words + more, prog_name="graphforget")
        more = []
        if result.exit_code not in (0, 3):
            raise RuntimeError(f"{line}\n{result.output}\n{result.exception!r}")
        printed += result.stdout
    return printed


def difference(shown: str, printed: str) -> str | None:
    """How an output differs from what a page shows, or None.

    Spaces count as one, rules of any length are equal, ``...`` is any text. Numbers with a decimal point may differ by 0.02 or
    by 5 %, as another processor rounds otherwise. Times (``0.3 s``, and the last column of a table where it is called
    ``seconds``) may be anything.

    Example:
        >>> difference("auc 0.957 in 1.2 s", "auc  0.955 in 0.7 s"), difference("auc 0.957", "auc 0.857")
        (None, '0.957 is shown and 0.857 printed')
    """
    pattern, numbers = _pattern(shown)
    match = re.fullmatch(pattern, printed.strip(), re.DOTALL)
    if match is None:
        return f"shows\n{shown}\nand prints\n{printed}"
    for name, value in numbers.items():
        here, there = (float(text.replace("±", "")) for text in (value, match[name]))
        if abs(here - there) > max(0.02, 0.05 * abs(here)):
            return f"{value} is shown and {match[name]} printed"
    return None


def _pattern(shown: str) -> tuple[str, dict[str, str]]:
    """A pattern for what may be printed, and the numbers that its groups are compared with."""
    pattern, numbers, timed, at = "", {}, False, 0
    text = shown.strip()
    for token in [*_TOKEN.finditer(text), None]:
        pattern += re.escape(text[at : token.start() if token else None])
        if token is None:
            break
        at = token.end()
        line_end = text[at : at + 1] in ("", "\n")
        if token["time"] or (token["number"] and timed and line_end):
            pattern += r"[-+\d.,e]+"
        elif token["number"]:
            name = f"n{len(numbers)}"
            numbers[name] = token["number"]
            pattern += f"(?P<{name}>{_NUMBER})"
        elif token["dots"]:
            pattern += ".*?"
        elif token["rule"]:
            pattern += "-{4,}"
        else:
            line = text[: token.start()].rpartition("\n")[2]
            if "\n" in token[0] and (line.endswith(" seconds") or not line.strip() or "\n\n" in token[0]):
                timed = line.endswith(" seconds")
            pattern += r"\s+"
    return pattern, numbers


def write_outputs(page: Path) -> None:
    """Run a page and put what each block printed under it; outputs that differ by times or rounding only stay as they are."""
    text, shift = page.read_text(encoding="utf-8"), 0
    for ran in run_page(page):
        if ran.fault is None:
            continue
        start, end = (position + shift for position in ran.span)
        block = text[start:end]
        code = block if ran.shown is None else block[: block.rindex("```text\n")].rstrip("\n") + "\n"
        printed = "\n".join(line.rstrip() for line in ran.printed.strip("\n").splitlines())
        new = f"{code}\n```text\n{printed}\n```\n"
        text, shift = text[:start] + new + text[end:], shift + len(new) - len(block)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["GRAPHFORGET_HOME"] = f"{folder}/home"
            os.chdir(folder)
            sys.path.insert(0, folder)
            write_outputs(page)
            sys.path.remove(folder)
