"""Tables from result files: on the terminal, and between generated marks of ``README.md`` and of the documentation.

A page takes all parts of a benchmark between ``<!-- NAME -->`` and ``<!-- end NAME -->``, or one part between
``<!-- NAME: PART -->`` and ``<!-- end NAME: PART -->``.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from typing import Any

import yaml

Record = dict[str, Any]
# experiment -> the module with its tables(records) -> {part: Markdown}, and its draw(records, folder) where it has figures.
MODULES = {
    "deletion": "tables_deletion",
    "speed": "tables_speed",
    "kernels": "tables_kernels",
    "region_scaling": "tables_region",
    "recommendation": "tables_recommendation",
    "recommendation_speed": "tables_recommendation_speed",
}
HERE = Path(__file__).resolve().parent
FIGURES = "FIGURES"  # stands for the folder of figures in a part; every page has its own way there


def parts_of(name: str, records: list[Record]) -> dict[str, str]:
    """The Markdown of a benchmark by part."""
    return _module(name).tables(records)


def _module(name: str) -> Any:
    config = yaml.safe_load((HERE / "configs" / f"{name}.yaml").read_text(encoding="utf-8"))
    return importlib.import_module(MODULES[config["experiment"]])


def print_tables(name: str, records: list[Record]) -> None:
    """The tables on the terminal."""
    from rich.console import Console
    from rich.markdown import Markdown

    text = re.sub(r"^!\[.*\n?", "", "\n\n".join(parts_of(name, records).values()), flags=re.M)  # a terminal shows no figures
    Console(width=160).print(Markdown(text))


def write_tables(root: Path) -> None:
    """Rewrite every marked part of the pages, and draw the figures again."""
    figures = root / "docs" / "_static"
    pages = [root / "benchmarks" / "README.md", *sorted((root / "docs" / "explanation").glob("*.md"))]
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    for results in sorted((root / "benchmarks" / "results").glob("*.jsonl")):
        name = results.stem
        records = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        module = _module(name)
        if hasattr(module, "draw"):
            figures.mkdir(exist_ok=True)
            module.draw(records, figures)
        parts = module.tables(records)
        blocks = {name: "\n\n".join(parts.values()), **{f"{name}: {part}": text for part, text in parts.items()}}
        for page in pages:
            for mark, content in blocks.items():
                content = content.replace(FIGURES, Path(os.path.relpath(figures, page.parent)).as_posix())
                block = f"<!-- {mark} -->\n\n{content}\n\n<!-- end {mark} -->"
                pattern = f"<!-- {re.escape(mark)} -->.*?<!-- end {re.escape(mark)} -->"
                texts[page] = re.sub(pattern, block.replace("\\", "\\\\"), texts[page], flags=re.S)
    for page, text in texts.items():
        if text != page.read_text(encoding="utf-8"):
            page.write_text(text, encoding="utf-8")
