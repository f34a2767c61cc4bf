"""Mask: forget at serve time only."""

from __future__ import annotations

from typing import ClassVar

from graphforget.base import Outcome, Run, Serving, Tags, Unlearner
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS


class Mask(Unlearner):
    """Deny the forgotten users and items when lists are served, and change nothing else.

    Weights, input graph and item features stay as they were, so a mask takes effect in no time and can be lifted: serve
    ``result.original`` without denials. It is what an operator does first, in the seconds before anything is forgotten: all that
    the model knows is still in it.

    A mask names users and items; a single interaction cannot be denied, so requests of interactions alone are refused.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("mask", "items")
        >>> result.serving.context, result.serving.deny["item"].tolist(), result.changed_parameters
        ('original', [2, 9], ())
    """

    tags: ClassVar[Tags] = Tags(
        key="mask",
        summary="Denies users and items when serving; forgets nothing.",
        citation="graphforget",
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original"}),
        needs_targets=frozenset({"user", "item"}),
        serves_ensembles=True,
        reads_forget=False,
        reads_retain=False,
        changes_weights=False,
        state_after="exact",
    )

    def _unlearn(self, run: Run) -> Outcome:
        denied = {kind: len(ids) for kind, ids in run.split.deny.items()}
        return Outcome(serving=Serving("original", run.split.deny), info={"denied": denied})
