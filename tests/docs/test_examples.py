"""The examples of docstrings run and give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import graphforget

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def _modules() -> list[str]:
    """Modules whose text has an example; nothing is imported to find them."""
    root = Path(graphforget.__file__).parent
    names = [m.name for m in pkgutil.walk_packages([str(root)], "graphforget.") if not m.name.endswith("__main__")]
    files = {name: root.parent / name.replace(".", "/") for name in names}
    sources = {n: (p / "__init__.py" if p.is_dir() else p.with_suffix(".py")) for n, p in files.items()}
    return [name for name, source in sources.items() if ">>> " in source.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", _modules())
def test_examples(name: str, tmp_path: Path, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path_factory.getbasetemp() / "examples_home"))
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    executed = 0
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        executed += len(test.examples)
        runner.run(test, out=said.append)
    assert executed, f"{name} has an example that is not found: is it in a docstring?"
    assert not runner.failures, "".join(said)
