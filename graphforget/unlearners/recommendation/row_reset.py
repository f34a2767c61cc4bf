"""Row reset: put the rows of forgotten users and items back to fresh weights."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from graphforget.base import FitLog, Outcome, Run, Tags, Task, Unlearner
from graphforget.exceptions import Reason
from graphforget.requests import DeletionRequest
from graphforget.unlearners._shared.checks import check_choice
from graphforget.unlearners.recommendation._shared.rows import SCOPES, row_reasons, surgery


class RowReset(Unlearner):
    """Serve on the retained data, with the rows of forgotten users and items as a fresh model has them.

    The data side is that of ``unlink`` (for a recommender often called graph drop): forgotten interactions leave the propagation
    graph, forgotten items leave the item-item graphs, whose lists are filled up again, and features, popularity and the items
    that negatives are drawn from follow. On the weights' side every row that ``model.entity_rows()`` gives to a forgotten user or
    item is drawn anew, as the model's own initialisation draws it, from the run's seed; offsets that training added to item
    features are zero again. Of an item that loses one modality only the offsets of that modality are. ``info["touched"]`` counts
    all of it.

    What the rows of others learnt from the forgotten stays: this is the baseline that costs nothing.

    Args:
        reset: ``"requested"``: rows of the users and items that the request names. ``"touched"``: also of both ends of every
            forgotten interaction, which lose all else that they learnt.

    Raises:
        InputError: An unknown choice.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("row_reset", "items")
        >>> result.info["touched"]["rows"]
        {'item_embedding.weight': 2}
    """

    tags: ClassVar[Tags] = Tags(
        key="row_reset",
        summary="Retained graph, fresh rows for forgotten users and items.",
        citation="graphforget",
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        reads_forget=False,
        reads_retain=False,
        needs_entity_rows=True,
        needs_modality_rows=True,
        forgotten_rows="reset",
    )

    def __init__(self, *, reset: str = "requested") -> None:
        check_choice("reset", reset, SCOPES)
        self.reset = reset

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Both scopes."""
        return [{}, {"reset": "touched"}]

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; an interaction has no row of its own."""
        return super().supports(task, request, model, history) + row_reasons(request, self.reset)

    def _unlearn(self, run: Run) -> Outcome:
        return Outcome(info=surgery(run, self.reset))
