"""Retrain from scratch on what is left: the reference for every other method."""

from __future__ import annotations

from typing import ClassVar

from graphforget.base import Outcome, Run, Tags, Unlearner, device_of


class Retrain(Unlearner):
    r"""Fresh weights, trained by the task's own recipe on the retained data.

    .. math::

        \theta = \operatorname{Train}(\theta_{\text{init}}(\text{seed}), D_r)

    Exact, because nothing that was forgotten takes part. A gold model of the evaluation with the same seed is this model.

    Example:
        >>> Retrain().tags.guarantee
        'exact'
    """

    tags: ClassVar[Tags] = Tags(
        key="retrain",
        summary="Trains a new model on the retained data.",
        citation="graphforget",
        contexts=frozenset({"retained"}),
        serves_ensembles=True,
        reads_forget=False,
        guarantee="exact",
        exact_reference="retrain",
        state_after="exact",
        forgotten_rows="retrained",
    )

    def _unlearn(self, run: Run) -> Outcome:
        data = run.split.retain_data
        model = run.task.new_model(data, seed=run.seed).to(device_of(run.model))
        total = run.task.recipe.epochs
        log = run.task.fit(model, data, seed=run.seed, callback=lambda epoch, loss: run.record(epoch, total, loss=loss))
        return Outcome(model=model, info={"fit": log.facts()})
