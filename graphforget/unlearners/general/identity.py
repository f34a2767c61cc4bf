"""Do nothing: the row that shows what the original model gives away."""

from __future__ import annotations

from typing import ClassVar

from graphforget.base import Outcome, Run, Serving, Tags, Unlearner


class Identity(Unlearner):
    """A copy of the original, served on the original input: neither weights nor input forget anything.

    It stands in every table as the other end of the scale from ``retrain``.

    Example:
        >>> Identity().tags.changes_weights
        False
    """

    tags: ClassVar[Tags] = Tags(
        key="identity",
        summary="Does nothing: the original model on the original input.",
        citation="graphforget",
        contexts=frozenset({"original"}),
        serves_ensembles=True,
        reads_forget=False,
        reads_retain=False,
        changes_weights=False,
        state_after="exact",
    )

    def _unlearn(self, run: Run) -> Outcome:
        return Outcome(serving=Serving("original"))
