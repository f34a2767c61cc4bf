r"""Equations as MathML: every browser draws it without a script, and a page opened from disk shows the same.

The converter is docutils' own. A formula that it does not understand is a warning, and warnings are errors in ``make docs``.

Example:
    >>> mathml(r"\theta_o").count("<msub>")
    1
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml, toplevel_code
from sphinx.util import logging


def mathml(tex: str, *, block: bool = False) -> str:
    """A formula as a MathML element.

    Several lines are aligned at their ``&``, as LaTeX's ``aligned`` does.

    Raises:
        MathError: The formula uses what the converter does not know.
    """
    if block and "\\\\" in toplevel_code(tex):
        tex = f"\\begin{{aligned}}{tex}\\end{{aligned}}"
    if re.search(r"frac\d", tex):
        raise MathError("the converter reads '12' in a fraction as one number: write \\tfrac{1}{2}.")
    formula = str(latex2mathml.tex2mathml(tex, as_block=block)).strip()
    # Bars without a size of their own are as high as a letter. The converter says so of the opening one only.
    bar = r"<mo(?![^>]*size)[^>]*>([|∣‖])</mo>"
    return re.sub(bar, r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', formula)


def visit(writer: Any, node: nodes.Node) -> None:
    """Write a formula within a line or one of its own."""
    block = isinstance(node, nodes.math_block)
    tex = node.astext()
    try:
        formula = mathml(tex, block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("cannot convert the formula '%s': %s", tex, error, location=node)
        formula = f"<code>{writer.encode(tex)}</code>"
    title = f'title="{writer.attval(tex)}"'
    writer.body.append(f'<div class="math" {title}>{formula}</div>' if block else f'<span class="math" {title}>{formula}</span>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit, None), block_renderers=(visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
