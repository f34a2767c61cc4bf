"""The report that users read: what was measured, in every form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from graphforget.exceptions import InputError
from graphforget.home import write_bytes, write_text
from graphforget.reporting.html import render_html
from graphforget.reporting.markdown import render_markdown
from graphforget.reporting.plots import draw_figures, png_bytes
from graphforget.reporting.records import ReportData, Row
from graphforget.reporting.terminal import render_rich, render_text

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure
    from rich.console import RenderableType

__all__ = ["Report"]


@dataclass(frozen=True)
class Report(ReportData):
    """Everything measured, and the verdict; attributes as in :class:`~graphforget.reporting.records.ReportData`.

    Example:
        >>> report = Report([Row("gold", "retained", "test", "accuracy", 0.8, 1)], None, "Demo")
        >>> Report.from_json(report.to_json()) == report
        True
    """

    def to_markdown(self) -> str:
        """The report as Markdown text."""
        return render_markdown(self)

    def to_html(self, *, figures: bool = True) -> str:
        """The report as one self-contained HTML page without external resources.

        Args:
            figures: Draw the figures (needs matplotlib).
        """
        return render_html(self, figures=figures)

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas table."""
        try:
            import pandas
        except ImportError as error:
            raise InputError("Report.to_frame needs pandas: pip install pandas.") from error
        return pandas.DataFrame([asdict(row) for row in self.rows], columns=list(Row.__dataclass_fields__))

    def plot(self, *, theme: Literal["light", "dark"] = "light") -> dict[str, Figure]:
        """The figures as matplotlib objects, by name; only those for which there are rows."""
        return draw_figures(self, theme=theme)

    def save(self, folder: str | Path, *, figures: bool = True) -> Path:
        """Write ``report.json``, ``report.md``, ``report.html`` and ``figures/*.png``; each file appears whole or not at all.

        Returns:
            The folder.
        """
        folder = Path(folder)
        write_text(folder / "report.json", self.to_json())
        write_text(folder / "report.md", self.to_markdown())
        if figures:
            for name, figure in self.plot().items():
                write_bytes(folder / "figures" / f"{name}.png", png_bytes(figure))
        write_text(folder / "report.html", self.to_html(figures=figures))
        return folder

    def __str__(self) -> str:
        return render_text(self)

    def __rich__(self) -> RenderableType:
        return render_rich(self)
