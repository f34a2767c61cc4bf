"""Pages made from the code: the methods table, auto's choice, the table of error messages.

Run ``python docs/_generate.py`` after adding a method or a wrong input; ``conf.py`` runs it too, and a test compares what is
committed with what the code says.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
WHICH, ERRORS = DOCS / "how-to" / "which-method.md", DOCS / "reference" / "errors.md"
BAD_INPUTS = DOCS.parent / "tests" / "cli" / "bad_inputs.py"


def write_all() -> None:
    """Bring every generated page up to date; files that are up to date stay untouched."""
    for path, text in pages().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Content of every page with a generated part."""
    text = WHICH.read_text(encoding="utf-8")
    text = between(text, "methods", methods_table())
    text = between(text, "auto", auto_table())
    # An installed package may come without tests; the committed table then stays as it is.
    return {WHICH: text, ERRORS: errors_page()} if BAD_INPUTS.is_file() else {WHICH: text}


def between(text: str, name: str, content: str) -> str:
    """``text`` with the part between the markers of ``name`` replaced.

    Raises:
        ValueError: The markers are not there.
    """
    start, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"the page needs the markers '{start}' and '{end}' once each.")
    return re.sub(f"{re.escape(start)}.*{re.escape(end)}", lambda _: f"{start}\n{content}\n{end}", text, flags=re.DOTALL)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# ---- methods --------------------------------------------------------------------------------------------------
def methods_table() -> str:
    """One row per registered method, from its tags."""
    from graphforget.unlearners import METHODS

    header = ["method", "what it does", "tasks", "request kinds", "guarantee", "needs", "reads forgotten data", "citation"]
    rows = []
    for key in METHODS:
        tags = METHODS[key].tags
        rows.append(
            [
                f"`{key}`",
                tags.summary,
                _names(tags.tasks),
                _names(tags.kinds),
                _guarantee(tags),
                _needs(tags),
                "yes" if tags.reads_forget else "no",
                tags.citation,
            ]
        )
    return table(header, rows)


def _names(values: frozenset[str] | None) -> str:
    return "any" if values is None else ", ".join(v.replace("_", " ") for v in sorted(values))


def _guarantee(tags: Any) -> str:
    if tags.exact_reference == "own":
        return "exact (equal to its own training on the retained data)"
    return tags.guarantee + (", tuned by looking at gold" if tags.uses_gold else "")


def _needs(tags: Any) -> str:
    needs = {
        "retained data": tags.reads_retain,
        "training history": tags.needs_history,
        "named layers": tags.needs_layers,
        "editable inputs": tags.needs_inputs,
        "entity rows": tags.needs_entity_rows,
    }
    return ", ".join(name for name, needed in needs.items() if needed) or "nothing"


def auto_table() -> str:
    """What ``method="auto"`` takes for every task and kind of request."""
    from graphforget.requests import DeletionRequest, Target
    from graphforget.requests.request import NAMED_KINDS, PAIR_KINDS
    from graphforget.tasks import TASKS
    from graphforget.unlearners import METHODS
    from graphforget.unlearners.select import candidates

    chosen: dict[tuple[str, str], list[str]] = {}
    for name in TASKS:
        task = TASKS[name]()
        for kind in sorted(task.kinds):
            target = Target(kind, [[0, 1]] if kind in PAIR_KINDS else [0], name="any" if kind in NAMED_KINDS else None)
            request = DeletionRequest((target,))
            keys = [key for key in candidates(task, request) if not METHODS[key]().supports(task, request)]
            chosen.setdefault((name, ", then ".join(f"`{key}`" for key in keys)), []).append(kind)
    rows = [[f"`{name}`", _names(frozenset(kinds)), keys] for (name, keys), kinds in chosen.items()]
    return table(["task", "request kinds", "tried in this order"], rows)


# ---- errors ---------------------------------------------------------------------------------------------------
def errors_page() -> str:
    """The page of wrong inputs, from the cases that the command line's tests run."""
    rows = []
    for case in _bad_inputs():
        files = ", ".join(f"`{name}` {_content(content)}" for name, content in case.files.items())
        rows.append([case.what, f"`graphforget {case.command}`", files or "", case.says])
    header = ["wrong input", "command", "with this file", "the answer contains"]
    return f"""# Error messages

<!-- This page is made by docs/_generate.py from tests/cli/bad_inputs.py; do not edit it. -->

Bad input ends with exit code 2 and one sentence on standard error that names what is wrong, what was expected and, where there
is one, the nearest valid name. Nothing has been computed or written by then. In Python the same sentences are raised as
`graphforget.InputError`, a `ValueError`; a method that cannot serve a request raises `graphforget.UnsupportedError` with its
reasons. Each line of this table is executed by the test suite.

{table(header, rows)}
"""


def _bad_inputs() -> list[Any]:
    spec = importlib.util.spec_from_file_location("_graphforget_bad_inputs", BAD_INPUTS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return list(module.BAD_INPUTS)


def _content(content: str | bytes | None) -> str:
    if content is None:
        return "missing"
    if isinstance(content, bytes):
        return "with broken bytes"
    return "with `" + " ⏎ ".join(content.strip().splitlines()) + "`"


if __name__ == "__main__":
    sys.path.insert(0, str(DOCS.parent))
    write_all()
