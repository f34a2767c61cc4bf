"""IFRU: an influence step on the rows near the deletion, with the effect of the changed graph (Zhang et al., TORS 2024)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from graphforget.base import Outcome, Run, Tags, Unlearner, rows_by_parameter
from graphforget.interactions import Interactions
from graphforget.tasks.recommendation.task import Recommendation
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.hessian import Rows, adam_solve, damped_solve, gradient
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET
from graphforget.unlearners.recommendation._shared.pairwise import (
    CURVATURES,
    added_loss,
    added_parts,
    chosen_curvature,
    curvature_product,
    fixed_batches,
    reading,
    sampled,
)
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS, fresh_tables, reset_rows

UPDATES = ("both", "users", "items")
SOLVERS = ("cg", "adam")


class IFRU(Unlearner):
    r"""Influence function-based recommendation unlearning (Zhang et al., "Recommendation Unlearning via Influence Function",
    TORS 2024).

    The training objective S(D; G) is the sum over the interactions D of loss and penalty, read on the graph G. Deleting
    :math:`D_f`, which turns G into :math:`G_r`, takes away

    .. math::

        \Delta(\theta) = S(D_f; G) + \bigl[ S(D_r; G) - S(D_r; G_r) \bigr]

    The bracket is the spillover: retained interactions whose propagation changes. It is left out where the model reads no graph.
    One Newton step on the rows T near the deletion follows, with damping :math:`\lambda`,

    .. math::

        \theta_T \leftarrow \theta_T + (H_{TT} + \lambda I)^{-1} v, \qquad
        v = \nabla_T \Delta(\theta_o), \qquad H = \nabla^2 S(D_r; G_r)

    T: a user or item x starts with the weight w(x), the share of its interactions that is forgotten; ``num_hops`` times, every
    node adds its neighbours' w / degree. Rows with w > ``min_weight`` are T, all others keep their bits, as do weights that
    belong to no user or item. Entities without a retained interaction to learn from, the forgotten ones and users who lost all,
    have no Hessian: their rows are drawn anew as in a fresh model.

    The step's size follows from the objective; nothing is picked by a score on what is forgotten. If :math:`\theta_o` minimises
    S over T, the error against retraining T is of second order in the deleted share. Training that was stopped early is at no
    minimum, and the error is larger then. Forgotten items also were what other items were compared with; that effect is not in
    v.

    Departures from the paper's release: the pairwise loss of the task in place of a thresholded binary one; H on the retained
    data, not all; Gauss-Newton curvature (``curvature="hessian"`` is theirs); conjugate gradients in place of Adam on p
    (``solver="adam"`` is theirs); more damping where H is not positive (``info["damping_used"]``); fresh rows as above. The
    penalty is part of S, because what was deleted also no longer regularises its rows. It is a reconstruction, and no figure
    made with it is the paper's.

    Args:
        num_hops: How far weights are pushed.
        min_weight: Rows need more weight than this.
        update: Rows of ``"both"`` kinds, or of ``"users"`` or ``"items"`` alone; users alone have a positive Hessian.
        curvature: ``"hessian"`` as in the paper; ``"gauss_newton"`` leaves out the curvature of the margins themselves, which has
            negative directions where rows of both kinds move; ``"auto"``: Gauss-Newton unless the model has a loss of its own.
        damping: L2 on the step, in the units of S, where an interaction adds at most a quarter of a squared vector to its rows;
            one that is learned well adds next to nothing.
        num_cg_steps: Most products with H per attempt, or Adam's steps.
        tol: Relative residual at which conjugate gradients stop.
        solver: ``"cg"`` or ``"adam"``.
        solver_lr: Adam's learning rate for the step.
        draws: Other items drawn per forgotten interaction.
        hessian_share: Share of the retained interactions behind H, drawn once and counted up; 1 is exact. A product costs about
            as much as two epochs of training on that share.
        batch_size: Interactions per pass; as large as memory allows, since every pass encodes the graph.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> tiny_case("recommendation").unlearn("ifru", "items").info["residual"] < 1e-2
        True
    """

    tags: ClassVar[Tags] = Tags(
        key="ifru",
        summary="An influence step that counts the changed graph in.",
        citation="Zhang et al., TORS 2024",
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original", "retained"}),
        needs_entity_rows=True,
        forgotten_rows="reset",
    )

    def __init__(
        self,
        *,
        num_hops: int = 1,
        min_weight: float = 0.0,
        update: str = "both",
        curvature: str = "auto",
        damping: float = 1.0,
        num_cg_steps: int = 30,
        tol: float = 1e-3,
        solver: str = "cg",
        solver_lr: float = 1e-2,
        draws: int = 4,
        hessian_share: float = 1.0,
        batch_size: int = 16384,
    ) -> None:
        check_count("num_hops", num_hops)
        check_number("min_weight", min_weight, low=0)
        check_choice("update", update, UPDATES)
        check_choice("curvature", curvature, CURVATURES)
        check_number("damping", damping, low=0)
        check_count("num_cg_steps", num_cg_steps)
        check_number("tol", tol, low=0)
        check_choice("solver", solver, SOLVERS)
        check_number("solver_lr", solver_lr, low=0, open_low=True)
        check_count("draws", draws, low=1)
        check_number("hessian_share", hessian_share, low=0, high=1, open_low=True)
        check_count("batch_size", batch_size, low=1)
        self.num_hops, self.min_weight, self.update = num_hops, min_weight, update
        self.curvature, self.damping, self.num_cg_steps, self.tol = curvature, damping, num_cg_steps, tol
        self.solver, self.solver_lr, self.draws = solver, solver_lr, draws
        self.hessian_share, self.batch_size = hessian_share, batch_size

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """The touched rows and their neighbours; users alone; Adam in place of conjugate gradients."""
        return [
            {},
            {"update": "users", "num_hops": 0, "curvature": "hessian"},
            {"solver": "adam", "num_cg_steps": 5, "hessian_share": 0.5},
        ]

    def _unlearn(self, run: Run) -> Outcome:
        task, split, model = cast(Recommendation, run.task), run.split, run.model
        model.eval()
        data: Interactions = split.data
        gone = left_empty(data, split.retain_data, split.removed)
        weight = pushed_weights(data, split.removed, self.num_hops)
        ids = {}
        for kind, other in (("user", "items"), ("item", "users")):
            chosen = weight[kind] > self.min_weight
            chosen[gone[kind]] = False
            ids[kind] = chosen.nonzero().view(-1) if self.update != other else gone[kind][:0]
        rows = Rows(model, rows_by_parameter(model, ids))
        facts: dict[str, Any] = {"rows": {kind: len(one) for kind, one in ids.items()}}
        if not len(split.removed):
            return Outcome(info={"note": NOTHING_TO_FORGET, "fresh_rows": reset_rows(model, gone, fresh_tables(run))})
        if rows.size:
            forget = fixed_batches(task, split.view("forget", on="original"), self.batch_size, run.generator, draws=self.draws)
            kept = split.view("retain", on="retained")
            some, times = sampled(kept, self.hessian_share, run.generator)
            curved = fixed_batches(task, some, self.batch_size, run.generator)
            if task.reads_structure(model):
                changed = fixed_batches(task, kept, self.batch_size, run.generator)
            else:
                forget, curved, changed = reading(forget, ids), reading(curved, ids), []

            def lost() -> Iterable[Tensor]:
                yield from (added_loss(task, model, batch) / self.draws for batch in forget)
                for batch in changed:
                    yield added_loss(task, model, batch.on(data)) - added_loss(task, model, batch)

            def parts() -> Iterable[tuple[Tensor, Tensor, Tensor]]:
                for outputs, loss, penalty in (added_parts(task, model, batch) for batch in curved):
                    yield outputs, times * loss, times * penalty

            kind = chosen_curvature(self.curvature, model)
            product = curvature_product(kind, parts, rows)
            v = gradient(lost, rows)
            if self.solver == "cg":
                found = damped_solve(product, v, damping=self.damping, steps=self.num_cg_steps, tol=self.tol)
            else:
                found = adam_solve(product, v, damping=self.damping, steps=self.num_cg_steps, lr=self.solver_lr)
            rows.add_(found.x)
            facts |= found.facts() | {"curvature": kind, "step_norm": float(found.x.norm())}
        return Outcome(info=facts | {"fresh_rows": reset_rows(model, gone, fresh_tables(run))})


def left_empty(before: Interactions, after: Interactions, removed: Tensor) -> dict[str, Tensor]:
    """Entities that are left with nothing to learn from: forgotten ones, and users who lose all their interactions."""
    dead_users = before.alive_users & ~after.alive_users
    dead_users[removed[:, 0]] |= after.positives.counts()[removed[:, 0]] == 0
    return {"user": dead_users.nonzero().view(-1), "item": (before.alive_items & ~after.alive_items).nonzero().view(-1)}


def pushed_weights(data: Interactions, removed: Tensor, num_hops: int) -> dict[str, Tensor]:
    """How much of each user and item the deletion concerns, pushed along the interactions, [num_users] and [num_items].

    Example:
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 1]]})
        >>> pushed_weights(data, torch.tensor([[0, 0]]), 1)["user"].tolist()
        [1.5, 0.0]
    """
    user, item = data.splits["train"].unbind(1)
    degree = [
        torch.bincount(one, minlength=n).clamp(min=1).double() for one, n in ((user, data.num_users), (item, data.num_items))
    ]
    counts = [torch.bincount(one, minlength=len(d)) for one, d in zip(removed.unbind(1), degree, strict=True)]
    users, items = (count / d for count, d in zip(counts, degree, strict=True))
    for _ in range(num_hops):
        to_items = torch.zeros_like(items).index_add_(0, item, (users / degree[0])[user])
        users, items = users + torch.zeros_like(users).index_add_(0, user, (items / degree[1])[item]), items + to_items
    return {"user": users, "item": items}
