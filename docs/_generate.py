"""Pages made from the code: the methods and a page of each, auto's choice, the table of error messages.

Run ``python docs/_generate.py`` after adding a method or a wrong input; ``conf.py`` runs it too, and a test compares what is
committed with what the code says.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
WHICH, ERRORS, METHOD_PAGES = DOCS / "how-to" / "which-method.md", DOCS / "reference" / "errors.md", DOCS / "methods"
BAD_INPUTS = DOCS.parent / "tests" / "cli" / "bad_inputs.py"


def write_all() -> None:
    """Bring every generated page up to date; files that are up to date stay untouched, pages of what is gone go."""
    wanted = pages()
    for path in set(METHOD_PAGES.glob("*.md")) - set(wanted):
        path.unlink()
    METHOD_PAGES.mkdir(exist_ok=True)
    for path, text in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Content of every page with a generated part."""
    from graphforget.unlearners import METHODS

    text = WHICH.read_text(encoding="utf-8")
    text = between(text, "methods", methods_table())
    text = between(text, "auto", auto_table())
    made = {WHICH: text} | {METHOD_PAGES / f"{key}.md": method_page(key) for key in METHODS.shipped}
    # An installed package may come without tests; the committed table then stays as it is.
    return made | ({ERRORS: errors_page()} if BAD_INPUTS.is_file() else {})


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
# Nearly every method that trains has the first, and the second is about one kind of request: a method's own page tells them.
COMMON = {"needs_gradients", "needs_modality_rows"}


def methods_table() -> str:
    """One line per registered method, in groups by the tasks that it serves, and the tree of their pages.

    Needs besides the retained data stand in the table; "no data" says that not even these are read.
    """
    from graphforget.tasks import TASKS
    from graphforget.unlearners import METHODS

    groups: dict[str, list[str]] = {"Every task": [], "Some tasks": [], "Recommenders": []}
    for key in METHODS.shipped:
        tasks = set(_serves(key))
        group = "Every task" if tasks == set(TASKS.shipped) else "Recommenders" if tasks == {"recommendation"} else "Some tasks"
        groups[group].append(key)
    parts = []
    for name, keys in groups.items():
        rows = []
        for key in sorted(keys):
            tags = METHODS[key].tags
            needs = [] if tags.reads_retain else ["no data"]
            needs += [word for name, word in tags.needs.items() if name not in COMMON]
            cells = [f"[`{key}`](../methods/{key}.md)", tags.summary, _guarantee(tags), ", ".join(needs)]
            rows.append(cells + ([_names(_serves(key))] if name == "Some tasks" else []))
        header = ["method", "what it does", "guarantee", "needs"] + (["tasks"] if name == "Some tasks" else [])
        parts += [f"### {name}", table(header, rows)]
    tree = "\n".join(f"../methods/{key}" for key in METHODS.shipped)
    return "\n\n".join([*parts, f"```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{tree}\n```"])


def method_page(key: str) -> str:
    """The page of a method: its tags in words, and its docstring."""
    from graphforget.unlearners import METHODS

    cls = METHODS[key]
    tags = cls.tags
    serves = "; ".join(f"{task.replace('_', ' ')} ({_names(kinds)})" for task, kinds in _serves(key).items())
    auto = [f"{name.replace('_', ' ')} ({_names(kinds)})" for (name, keys), kinds in _auto().items() if key in keys]
    facts = {
        "{term}`Tasks <task>` and {term}`requests <request>`": f"{serves}.",
        "{term}`Guarantee <guarantee>`": _promise(tags),
        "Reads": _reads(tags),
        "{term}`Needs <tag>`": (", ".join([*["the retained data"] * tags.reads_retain, *tags.needs.values()]) or "nothing") + ".",
        "Changes": "weights." if tags.changes_weights else "what is served, and on which input; no weight.",
        "A further request": STATES[tags.state_after],
        '`method="auto"`': f"tries it for {'; '.join(auto)}." if auto else "does not take it.",
        "Source": re.sub(r"arXiv[: ]\s*(\d{4}\.\d{5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", tags.citation) + ".",
    }
    task = next(iter(_serves(key)))
    options = [f'task="{task}"', f'method="{key}"']
    return f"""# `{key}`

<!-- This page is made by docs/_generate.py from the method's tags and docstring; do not edit it. -->

{tags.summary}

{chr(10).join(f"- **{name}**: {text}" for name, text in facts.items())}

With parameters as they are by default:

```python
result = graphforget.unlearn(
    model, data, request, {", ".join(options)}
)
```

```{{eval-rst}}
.. currentmodule:: graphforget.unlearners

.. autoclass:: {cls.__name__}
   :no-members:
```

[All methods](../how-to/which-method.md)
"""


STATES = {
    "exact": "finds everything as exact as the first did.",
    "stale": "finds some state as it was before the first, out of date.",
    "recomputed": "starts from the model that is served then; what the method needs beside it is computed again.",
}


def _serves(key: str) -> dict[str, list[str]]:
    """Kinds of request that a method serves, by task; of the model it is only asked whether it reads a graph."""
    from graphforget.models import LightGCN
    from graphforget.tasks import TASKS
    from graphforget.unlearners import METHODS

    found: dict[str, list[str]] = {}
    tasks = [TASKS[name]() for name in TASKS.shipped] + [TASKS["recommendation"](template=LightGCN(1, 1))]
    for task in tasks:
        kinds = [kind for kind in sorted(task.kinds) if not METHODS[key]().supports(task, _request(kind))]
        if kinds:
            found[task.name] = kinds
    return found


def _request(kind: str) -> Any:
    """A request of one kind; which ids it names does not matter to tags."""
    from graphforget.requests import DeletionRequest, Target, id_width
    from graphforget.requests.target import NAMED_KINDS

    ids = [[0] * id_width(kind)] if id_width(kind) > 1 else [0]
    return DeletionRequest((Target(kind, ids, name="any" if kind in NAMED_KINDS else None),))  # type: ignore[arg-type]


def _names(values: Iterable[str]) -> str:
    return ", ".join(v.replace("_", " ") for v in sorted(values))


def _guarantee(tags: Any) -> str:
    words = "exact (own)" if tags.exact_reference == "own" else tags.guarantee
    return words + (", tuned on gold" if tags.uses_gold else "")


def _promise(tags: Any) -> str:
    if tags.exact_reference == "own":
        words = "exact: equal to the same preparation and training on the retained data (not to `retrain`)."
    elif tags.guarantee == "exact":
        words = "exact: equal to retraining on the retained data."
    elif tags.guarantee == "certified":
        words = "certified: a bound is proven, on the assumptions of its paper."
    else:
        words = "empirical: measured against gold, not proven."
    return words + (" Its strength was tuned by looking at gold models." if tags.uses_gold else "")


def _reads(tags: Any) -> str:
    kept = "the retained data" if tags.reads_retain else "no retained example"
    if tags.reads_forget:
        return f"{kept}, and the content of the forgotten examples ({{term}}`contexts <context>`: {_names(tags.contexts)})."
    return f"{kept}; the content of the forgotten examples never, so it can run after they were erased at their source."


def _auto() -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """Kinds of request by task and by the methods that ``method="auto"`` tries for them, in order."""
    from graphforget.tasks import TASKS
    from graphforget.unlearners import METHODS
    from graphforget.unlearners.select import candidates

    chosen: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in TASKS.shipped:
        task = TASKS[name]()
        for kind in sorted(task.kinds):
            request = _request(kind)
            keys = [key for key in candidates(task, request) if not METHODS[key]().supports(task, request)]
            chosen.setdefault((name, tuple(keys)), []).append(kind)
    return chosen


def auto_table() -> str:
    """What ``method="auto"`` takes for every task and kind of request."""
    rows = [
        [f"`{name}`", _names(kinds), ", then ".join(f"[`{key}`](../methods/{key}.md)" for key in keys)]
        for (name, keys), kinds in _auto().items()
    ]
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
