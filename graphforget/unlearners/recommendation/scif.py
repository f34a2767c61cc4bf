"""SCIF: an influence step on touched rows that takes deleted preferences back to indifference (Li et al., arXiv:2304.10199)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from graphforget.base import Batch, Forward, Outcome, Run, Tags, Unlearner, rows_by_parameter
from graphforget.tasks.recommendation.task import Recommendation
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.hessian import Rows, damped_solve, gradient
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET
from graphforget.unlearners.recommendation._shared.pairwise import (
    CURVATURES,
    added_parts,
    chosen_curvature,
    curvature_product,
    fixed_batches,
    reading,
    sampled,
)
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS


class SCIF(Unlearner):
    r"""Selective and collaborative influence function (Li et al., arXiv:2304.10199).

    The paper gives a deleted rating y the mean rating :math:`\bar y` of what is left, and answers with a Newton step on the rows
    that are concerned:

    .. math::

        v = \nabla \bigl[ L(D_f; y) - L(D_f; \bar y) \bigr], \qquad H_{TT} \, p = v, \qquad
        \theta_T \leftarrow \theta_T + p / N

    T are the rows of the users and items of :math:`D_f`; every other row keeps its bits. L is a sum and H the Hessian of a mean
    over N in the paper; here both are sums, so N is not written.

    Implicit feedback has no rating. Its label is the outcome of a comparison, "u prefers i to j", which is 1 for all of
    :math:`D_f`. Once the interaction is gone nothing is known of i for u, as nothing is known of j; by symmetry the label that
    is expected then is :math:`\bar y` = ``neutral`` = 1/2:

    .. math::

        L(D_f; \bar y) = \bar y \, L(D_f) + (1 - \bar y) \, L(\text{reversed } D_f)

    so v is :math:`1 - \bar y` times the gradient of :math:`L(D_f) - L(\text{reversed } D_f)`. H is that of the objective whose
    minimum is sought: retained interactions, deleted ones with the neutral label, and their penalties. That makes it a Newton
    step: where :math:`\theta_o` is a minimum over T, its error is of second order in the deleted share. All is read on the
    original data, where :math:`\theta_o` was trained; the paper has no term for a graph that changes (IFRU has).

    This is our reading of the paper for ranking losses; its code was not at hand and no figure made with it is the paper's. A
    public re-implementation adds N times the mean gradient of all data to v, with the sign that climbs the loss: left out.

    Args:
        neutral: The expected label, in [0, 1]; 1 changes nothing.
        curvature: ``"hessian"`` as in the paper; ``"gauss_newton"`` leaves out the curvature of the margins themselves, which has
            negative directions where rows of both kinds move; ``"auto"``: Gauss-Newton unless the model has a loss of its own.
        damping: L2 on the step, in the units of the summed objective. Little damping overshoots: a well-learned comparison has
            nearly no curvature, so a Newton step from there to indifference is far too long.
        num_cg_steps: Most products with H per attempt.
        tol: Relative residual at which conjugate gradients stop.
        draws: Other items drawn per deleted interaction.
        hessian_share: Share of the retained interactions behind H, drawn once and counted up; 1 is exact. A product costs about
            as much as two epochs of training on that share.
        batch_size: Interactions per pass.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> tiny_case("recommendation").unlearn("scif", "interactions").info["rows"]
        {'user': 6, 'item': 6}
    """

    tags: ClassVar[Tags] = Tags(
        key="scif",
        summary="An influence step to indifference about what was deleted.",
        citation="Li et al., arXiv 2304.10199",
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original"}),
        needs_entity_rows=True,
    )

    def __init__(
        self,
        *,
        neutral: float = 0.5,
        curvature: str = "auto",
        damping: float = 10.0,
        num_cg_steps: int = 30,
        tol: float = 1e-3,
        draws: int = 4,
        hessian_share: float = 1.0,
        batch_size: int = 16384,
    ) -> None:
        check_number("neutral", neutral, low=0, high=1)
        check_choice("curvature", curvature, CURVATURES)
        check_number("damping", damping, low=0)
        check_count("num_cg_steps", num_cg_steps)
        check_number("tol", tol, low=0)
        check_count("draws", draws, low=1)
        check_number("hessian_share", hessian_share, low=0, high=1, open_low=True)
        check_count("batch_size", batch_size, low=1)
        self.neutral, self.curvature, self.damping, self.num_cg_steps, self.tol = neutral, curvature, damping, num_cg_steps, tol
        self.draws, self.hessian_share, self.batch_size = draws, hessian_share, batch_size

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Indifference; and a label nearer to what it was."""
        return [{}, {"neutral": 0.8, "damping": 1.0, "hessian_share": 0.5, "curvature": "hessian"}]

    def _unlearn(self, run: Run) -> Outcome:
        task, model, view = cast(Recommendation, run.task), run.model, run.split.view("forget", on="original")
        if not len(view):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        model.eval()
        ids = {kind: torch.unique(view.index[:, side]) for side, kind in enumerate(("user", "item"))}
        rows = Rows(model, rows_by_parameter(model, ids))
        deleted = fixed_batches(task, view, self.batch_size, run.generator, draws=self.draws)
        forget = [(batch, task.relabel(batch, run.generator)) for batch in deleted]
        some, times = sampled(run.split.view("retain", on="original"), self.hessian_share, run.generator)
        retain = fixed_batches(task, some, self.batch_size, run.generator)
        retain = retain if task.reads_structure(model) else reading(retain, ids)

        def losses(batch: Batch, other: Batch) -> tuple[Forward, Tensor, Tensor]:
            """(forward, loss, loss of the reversed preference); one forward serves both unless the model has its own loss."""
            forward = task.forward(model, batch)[0]
            back = task.forward(model, other)[0] if "losses" in forward.extra else forward
            return forward, task.loss(forward, batch), task.loss(back, other)

        def changed() -> Iterable[Tensor]:
            for batch, other in forget:
                _, now, back = losses(batch, other)
                yield len(batch) / self.draws * (1 - self.neutral) * (now - back)

        def parts() -> Iterable[tuple[Tensor, Tensor, Tensor]]:
            for outputs, loss, penalty in (added_parts(task, model, batch) for batch in retain):
                yield outputs, times * loss, times * penalty
            for batch, other in forget:
                forward, now, back = losses(batch, other)
                count, then = len(batch) / self.draws, self.neutral * now + (1 - self.neutral) * back
                yield forward.outputs, count * then, count * task.penalty(model, forward, batch)

        kind = chosen_curvature(self.curvature, model)
        product = curvature_product(kind, parts, rows)
        found = damped_solve(product, gradient(changed, rows), damping=self.damping, steps=self.num_cg_steps, tol=self.tol)
        rows.add_(found.x)
        facts = {"rows": {kind: len(one) for kind, one in ids.items()}, "curvature": kind, "step_norm": float(found.x.norm())}
        return Outcome(info=facts | found.facts())
