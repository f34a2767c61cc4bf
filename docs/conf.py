"""Sphinx configuration: `make docs` builds without network access and with warnings as errors."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support is in beta.*")

import _generate  # noqa: E402

import graphforget.sweeps  # noqa: E402, F401  (pydantic cannot make its models once autodoc pretends to be a type checker)
from graphforget.version import __version__  # noqa: E402

_generate.write_all()

project = "graphforget"
author = "The graphforget developers"
project_copyright = author
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "_mathml"]
html_math_renderer = "mathml"
exclude_patterns = ["_build", "README.md"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["graphforget.css"]
html_title = f"graphforget {__version__}"
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
autosummary_generate = False
autodoc_typehints_format = "short"
maximum_signature_line_length = 100
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# "Attributes:" sections as fields of the class: as entries of their own they would stand twice beside autodoc's members.
napoleon_use_ivar = True
napoleon_custom_sections = [("Class attributes", "params_style")]
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def escape_bars(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Docstrings write |x| for an absolute value, which reStructuredText takes for a substitution; equations keep their bars."""
    equation: int | None = None  # indentation of the equation that the line belongs to
    for number, line in enumerate(lines):
        text = line.lstrip()
        depth = len(line) - len(text)
        if equation is not None and text and depth <= equation:
            equation = None
        if text.startswith(".. math::"):
            equation = depth
        if equation is None and not text.startswith((">>>", "...")):
            parts = re.split(r"(``.*?``|:math:`.*?`)", line)
            lines[number] = "".join(p if p.endswith("`") else re.sub(r"(?<!\\)\|", r"\|", p) for p in parts)


def untyped_returns(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Types stand in signatures, so a colon in the first line of "Returns:" belongs to the sentence; napoleon would take what is
    before it for a type. A colon in front of the line says that there is none."""
    for number, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            text = lines[number + 1].lstrip()
            lines[number + 1] = f"{lines[number + 1][: -len(text)]}: {text}"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", untyped_returns, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", escape_bars, priority=400)  # before napoleon
