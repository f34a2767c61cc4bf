"""Unlink: forget on the input only."""

from __future__ import annotations

from typing import ClassVar, cast

from torch import nn

from graphforget.base import Ensemble, FitLog, Outcome, RegionOptions, Run, Tags, Task, Unlearner, count_work, evaluating
from graphforget.exceptions import Reason
from graphforget.graphs import GraphData
from graphforget.requests import DeletionRequest
from graphforget.tasks.graph.task import GraphTask
from graphforget.unlearners._shared.scope import check_scope, localised


class Unlink(Unlearner):
    r"""Serve the original weights on the retained input.

    .. math::

        h^{\prime} = M(G_r; \theta_o)

    "UtU" of Tan, Sun, Qiu, Su and Shen, "Unlink to Unlearn: Simplifying Edge Unlearning in GNNs" (WWW 2024 companion).
    It costs nothing and removes the forgotten structure from every later prediction, but nothing of what the weights
    learnt from it. On a task without an input graph it would be the identity, so it refuses there.

    A server that keeps a table of embeddings must renew the rows that the deletion changes. ``scope="region"`` computes those
    and no others, and hands them back as ``result.state["rows"]`` (ids, [n]) and ``result.state["outputs"]`` ([n, d], on the
    retained graph); in a sequence of requests, each hands back its own rows. What changes lies within L hops of the deletion, L
    being the task's ``num_hops``; computing it exactly reads 2L hops. With ``scope="full"`` nothing is computed: whoever serves
    the result encodes the retained graph.

    Args:
        scope: ``"full"`` or ``"region"``.
        fanout: With ``scope="region"``: at most so many neighbours per node and hop, an approximation; None: exact. Where a
            deletion changes little, its error is larger than the change, and rows left as they were are nearer to the truth.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> Unlink().tags.changes_weights
        False
    """

    tags: ClassVar[Tags] = Tags(
        key="unlink",
        summary="Serves the original weights on the retained graph.",
        citation="Tan et al., WWW 2024 (UtU)",
        contexts=frozenset({"retained"}),
        needs_input_graph=True,
        serves_ensembles=True,
        reads_forget=False,
        reads_retain=False,
        changes_weights=False,
        state_after="exact",
    )

    def __init__(self, *, scope: str = "full", fanout: int | None = None) -> None:
        check_scope(scope, fanout)
        self.scope, self.fanout = scope, fanout

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; a region is that of one encoder."""
        reasons = super().supports(task, request, model, history)
        if self.scope == "region" and isinstance(model, Ensemble):
            text = "scope='region' renews the outputs of one encoder, and an ensemble has several: use scope='full'"
            reasons.append(Reason("scope", text))
        return reasons

    def _unlearn(self, run: Run) -> Outcome | None:
        if self.scope == "full":
            return None
        task = cast(GraphTask, run.task)
        local, facts = localised(run, RegionOptions(self.fanout))
        data: GraphData = local.split.retain_data
        with evaluating(run.original):
            encoding = task.encode(run.original, data)
        assert data.part is not None
        renewed = (data.part.core & data.alive).nonzero().view(-1)
        count_work(examples=len(renewed))
        outputs = encoding.outputs[encoding.context.rows(renewed)].cpu()
        return Outcome(state={"rows": data.part.ids[renewed], "outputs": outputs}, info=facts)
