"""From the long table to the few figures a person reads first. Shared by text, Markdown, HTML and plots."""

from __future__ import annotations

import math
from dataclasses import dataclass

from graphforget.metrics import METRICS
from graphforget.reporting.records import ReportData, Row

__all__ = [
    "Cell",
    "Column",
    "Model",
    "SUBSET_NAMES",
    "aggregate",
    "flatten",
    "format_value",
    "models",
    "primary_columns",
    "primary_table",
    "subsets",
]

ROLE_ORDER = ("original", "identity", "unlink", "unlearned", "gold", "floor")
ROLE_MEANING = {
    "original": "trained on everything, before the request",
    "identity": "control: nothing was done",
    "unlink": "control: only the input was edited, no weight changed",
    "unlearned": "the model being judged",
    "gold": "retrained from scratch without the deleted data: the aim",
    "floor": "distance between gold models: nobody can be asked to be closer",
}
SUBSET_NAMES = {
    "deleted": "Deleted elements",
    "retained": "Retained elements",
    "test": "Test elements",
    "hop1": "Neighbours (1 hop)",
    "hop2": "Neighbours (2 hops)",
    "far": "Far (over 2 hops)",
    "twins": "Unseen links near it",
    "lists": "Served lists",
    "all": "Whole run",
}
SUBSET_ORDER = ("deleted", "retained", "test", "hop1", "hop2", "far", "twins")


@dataclass(frozen=True)
class Column:
    """A primary figure: short header (terminal), long header (page), metric and subset (None: any)."""

    short: str
    long: str
    metric: str
    subset: str | None
    distance: bool = False


@dataclass(frozen=True)
class Model:
    """One line of the summary: everything with the same role, method and input."""

    role: str
    method: str
    context: str

    @property
    def label(self) -> str:
        if self.role == "floor":
            return "noise floor"
        return f"{self.role}: {self.method}" if self.method and self.method != self.role else self.role


@dataclass(frozen=True)
class Cell:
    """Mean over seeds, spread over seeds or interval over elements, and the multiple of the noise floor."""

    value: float
    count: int
    low: float | None = None
    high: float | None = None
    spread: float | None = None
    ratio: float | None = None


def aggregate(rows: list[Row]) -> Cell | None:
    """Mean of the rows' values; one row keeps its interval, several give their standard deviation."""
    if not rows:
        return None
    mean = (
        math.fsum(row.value for row in rows) / len(rows)
        if all(math.isfinite(r.value) for r in rows)
        else sum(r.value for r in rows) / len(rows)
    )
    if len(rows) == 1:
        return Cell(mean, 1, rows[0].low, rows[0].high)
    spread = math.sqrt(sum((row.value - mean) ** 2 for row in rows) / (len(rows) - 1))
    return Cell(mean, len(rows), spread=spread)


def opening(report: ReportData) -> tuple[str, str, str, list[str]]:
    """What a reader sees first: (style, word, sentence, further sentences).

    With several methods there is no single verdict; each one's stands in ``meta["verdicts"]`` and is listed.
    """
    verdict = report.verdict
    if verdict is not None:
        return verdict.label, verdict.label.capitalize(), verdict.headline, verdict.sentences[1:]
    several = report.meta.get("verdicts")
    if not isinstance(several, dict) or not several:
        return "none", "No verdict", "Nothing was compared with models that never saw the data.", []
    good = [name for name, one in several.items() if one["label"] == "sufficient"]
    sentence = f"{len(several)} methods compared; sufficient: {', '.join(good) if good else 'none'}."
    return (
        "none",
        "Comparison",
        sentence,
        [f"{name}: {one['label']}. {' '.join(one['sentences'][:1])}" for name, one in several.items()],
    )


@dataclass(frozen=True)
class Explained:
    """What a reader is told of a metric or attack."""

    name: str
    kind: str
    description: str
    warning: str
    source: str
    aim: str


_AIMS = {"max": "high", "min": "low", "gold": "gold's value"}
_OURS = {name: METRICS[name] for name in METRICS.shipped}


def explained(report: ReportData) -> list[Explained]:
    """Our metrics that the report has rows of, then those that were asked for: what is said of them stands in the report."""
    names = [name for name in dict.fromkeys(row.metric for row in report.rows) if name in _OURS]
    asked = report.meta.get("requested") or []
    told = {one["name"] for one in asked}
    ours = [
        Explained(r.name, r.group, r.description, r.warning, r.source, _AIMS[r.target])
        for r in (_OURS[name] for name in names if name not in told)
    ]
    return ours + [
        Explained(
            one["name"],
            one.get("group", one["kind"]),
            one["description"],
            one["warning"],
            one["source"],
            _AIMS.get(one.get("target", "gold"), _AIMS["gold"]),
        )
        for one in asked
    ]


def of_cost(report: ReportData, metric: str) -> bool:
    """Whether a metric belongs to the table of costs."""
    asked = {one["name"]: one.get("group") for one in report.meta.get("requested") or []}
    return bool((asked.get(metric) if metric in asked else metric in _OURS and _OURS[metric].group) == "cost")


def _rank(order: tuple[str, ...], name: str, default: float) -> tuple[float, str]:
    return (order.index(name), "") if name in order else (default, name)


def models(report: ReportData) -> list[Model]:
    """Lines of the summary in reading order: before, controls, the judged model, gold, floor."""
    found = dict.fromkeys(Model(row.role, row.method, row.context if row.role != "floor" else "") for row in report.rows)
    # Unknown roles are controls: they stand before the judged model. The sort is stable within a role.
    return sorted(found, key=lambda model: _rank(ROLE_ORDER, model.role, 2.5))


def subsets(report: ReportData) -> list[str]:
    """Subsets in reading order."""
    found = dict.fromkeys(row.subset for row in report.rows)
    return sorted(found, key=lambda name: _rank(SUBSET_ORDER, name, 10))


def _utility_metric(report: ReportData) -> str | None:
    chosen = report.meta.get("utility_metric")
    if isinstance(chosen, str):
        return chosen
    for row in report.rows:
        if row.subset == "test" and row.metric in _OURS and _OURS[row.metric].group == "utility":
            return row.metric
    return None


def primary_columns(report: ReportData) -> list[Column]:
    """The primary figures for which the report has rows."""
    utility = _utility_metric(report)
    columns = [] if utility is None else [Column(utility[:9], f"Utility ({utility}, test)", utility, "test")]
    columns += [
        Column("|dp| del", "|Δp| deleted", "mean_abs_dp", "deleted", True),
        Column("|dp| ret", "|Δp| retained", "mean_abs_dp", "retained", True),
        Column("|dp| test", "|Δp| test", "mean_abs_dp", "test", True),
        Column("signed", "signed Δp deleted", "signed_dp", "deleted"),
        Column("JS del", "JS deleted", "js", "deleted", True),
        Column("MIA AUC", "Membership AUC", "mia_auc", "deleted"),
        Column("item MIA", "Same-item membership AUC", "same_item_auc_matched", "deleted"),
        Column("user MIA", "Same-user membership AUC", "same_user_auc_matched", "deleted"),
        Column("seconds", "Seconds", "seconds", None),
    ]
    return [column for column in columns if any(_matches(row, column) for row in report.rows)]


def _matches(row: Row, column: Column) -> bool:
    return row.metric == column.metric and column.subset in (None, row.subset)


def _of(row: Row, model: Model) -> bool:
    return row.role == model.role and row.method == model.method and (model.role == "floor" or row.context == model.context)


def primary_table(report: ReportData) -> tuple[list[Column], list[tuple[Model, list[Cell | None]]]]:
    """The summary: columns, and per model one cell per column (None where nothing was measured)."""
    columns = primary_columns(report)
    floors = [aggregate([row for row in report.rows if row.role == "floor" and _matches(row, column)]) for column in columns]
    table = []
    for model in models(report):
        cells = []
        for column, floor in zip(columns, floors, strict=True):
            cell = aggregate([row for row in report.rows if _of(row, model) and _matches(row, column)])
            if cell and floor and column.distance and model.role != "floor" and floor.value > 0:
                cell = Cell(cell.value, cell.count, cell.low, cell.high, cell.spread, cell.value / floor.value)
            cells.append(cell)
        if any(cell is not None for cell in cells):
            table.append((model, cells))
    return columns, table


def cells_of(report: ReportData, subset: str) -> tuple[list[Model], list[tuple[str, list[Cell | None]]]]:
    """Every metric measured on one subset: models, and per metric one cell per model."""
    rows = [row for row in report.rows if row.subset == subset]
    lines = [model for model in models(report) if any(_of(row, model) for row in rows)]
    names = list(dict.fromkeys(row.metric for row in rows))
    return lines, [(name, [aggregate([r for r in rows if r.metric == name and _of(r, m)]) for m in lines]) for name in names]


def format_value(value: float | None, *, signed: bool = False, missing: str = "-") -> str:
    """A figure in at most seven characters for ordinary sizes.

    Example:
        >>> format_value(0.12345), format_value(1234.5), format_value(None)
        ('0.123', '1,234', '-')
    """
    if value is None:
        return missing
    if math.isnan(value):
        return "n/a"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    size = abs(value)
    sign = "+" if signed else ""
    if size >= 100:
        return f"{value:{sign},.0f}"
    if size >= 10:
        return f"{value:{sign}.1f}"
    if size < 1e-9:  # rounding noise, e.g. of signed distances that cancel
        value, size = 0.0, 0.0
    if 0 < size < 0.0005:
        return f"{value:{sign}.0e}"
    return f"{value:{sign}.3f}"


def format_cell(cell: Cell | None, *, signed: bool = False, missing: str = "-") -> str:
    """Value with its spread over seeds or interval over elements, where known."""
    if cell is None:
        return missing
    text = format_value(cell.value, signed=signed)
    if cell.spread is not None:
        return f"{text} ± {format_value(cell.spread)}"
    if cell.low is not None and cell.high is not None:
        return f"{text} [{format_value(cell.low, signed=signed)}, {format_value(cell.high, signed=signed)}]"
    return text


def flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as (dotted key, text) pairs; long lists of numbers or pairs are counted, not printed."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in flatten(item, f"{prefix}.{key}" if prefix else str(key))]
    if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
        shown = ", ".join(_text(item) for item in value[:12])
        return [(prefix, shown + (f", ... ({len(value)} in all)" if len(value) > 12 else ""))]
    if isinstance(value, list) and all(isinstance(item, list) for item in value):
        return [(prefix, f"{len(value)} entries, in report.json")]
    if isinstance(value, list):
        return [pair for number, item in enumerate(value, 1) for pair in flatten(item, f"{prefix}.{number}")]
    return [(prefix, _text(value))]


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "none" if value is None else "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def facts(report: ReportData) -> list[tuple[str, str]]:
    """What was asked: ``meta["asked"]``, the few facts chosen for a reader; without it, every fact of ``meta``."""
    asked = report.meta.get("asked")
    return flatten(asked) if isinstance(asked, dict) else flatten(_rest(report))


def provenance(report: ReportData) -> list[tuple[str, str]]:
    """Where the figures come from: versions and hardware, then every further fact of ``meta`` that was not shown above."""
    rest = flatten(_rest(report)) if isinstance(report.meta.get("asked"), dict) else []
    return flatten(report.meta.get("provenance") or {}) + rest


def _rest(report: ReportData) -> dict[str, object]:
    return {
        key: value for key, value in report.meta.items() if key not in ("asked", "provenance", "notes", "verdicts", "requested")
    }
