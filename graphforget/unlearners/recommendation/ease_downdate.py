"""Exact forgetting in EASE: items, users, interactions and content are taken out of the inverse Gram matrix."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphforget.base import Outcome, Run, Tags, Unlearner
from graphforget.interactions import Interactions, Positives
from graphforget.models.recommender.ease import EASE
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS

_ROWS = 512  # users per rank update: bounds memory at _ROWS x num_items


class EASEDowndate(Unlearner):
    r"""Takes items, users, interactions and content out of a fitted EASE, with the weights of a fit on the retained data.

    EASE (Steck, WWW 2019, arXiv:1905.03375) keeps

    .. math::

        P = G^{-1}, \qquad G = X^\top X + \beta F F^\top + \lambda I

    Of a request,

    1. items S go by a Schur complement on the retained items R,

       .. math:: P \leftarrow P_{RR} - P_{RS} P_{SS}^{-1} P_{SR}

       This is the inverse of :math:`G_{RR}`, so the items' features go with them, for any ``beta``;
    2. items that stay and lose features, the rows D of F, change G by :math:`-(E A^\top + A E^\top)`, E their unit columns and
       :math:`A = \beta (F_{\text{after}} D^\top + E D D^\top / 2)`. With :math:`U = [E, A]` and J the exchange of its halves,

       .. math:: P \leftarrow P + P U K^{-1} U^\top P, \qquad K = J - U^\top P U

       (the Woodbury identity). Without ``beta`` no feature was ever read;
    3. users who lose other interactions get their new rows, stacked in X (the Woodbury identity),

       .. math:: P \leftarrow P - P X^\top (I + X P X^\top)^{-1} X P

    4. and give back their old rows,

       .. math:: P \leftarrow P + P X^\top (I - X P X^\top)^{-1} X P

       A forgotten user has no new row. New rows come first, so that every matrix on the way is at least as well conditioned as
       the last.

    The cost is the squared number of retained items times the number of items and rows that go, and no full inverse is taken,
    with two exceptions that ``info["refreshed"]`` states: :math:`I - X P X^\top` or K has a condition number above
    ``max_condition``, or the residual is above ``tolerance`` or P not positive definite, as when the model was fitted to other
    data.

    The certificate is in ``info`` and in the state. With :math:`E = P G - I` over the retained items and G built anew from the
    retained data, ``probes`` random sign vectors z give the residual :math:`\max_i \lvert (E z)_i \rvert`. The mean square of
    :math:`(E z)_i` is the squared norm of row i, which is no smaller than its largest entry. ``probes=0`` gives
    :math:`\max_{ij} \lvert E_{ij} \rvert` itself, at more than the cost of a new inverse.

    What IMCorrect (arXiv:2307.15960) does to linear models, zero the deleted entries of X and correct the weights, is for EASE
    these rank updates; its first-order form costs as much, so that there is no method of that name.

    Args:
        max_condition: Above it P is solved anew.
        tolerance: Largest residual; above it P is solved anew.
        probes: Number of sign vectors of the certificate; 0 checks every entry.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.interactions import Interactions
        >>> from graphforget.requests import DeletionRequest
        >>> from graphforget.tasks import Recommendation
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 2]]})
        >>> task = Recommendation(build=lambda d: EASE(d.num_users, d.num_items, regulariser=1.0))
        >>> model = task.new_model(data, seed=0)
        >>> log = task.fit(model, data, seed=0)
        >>> result = EASEDowndate().unlearn(model, task, task.split(data, DeletionRequest.items([2])))
        >>> result.info["residual"] < 1e-12, result.info["refreshed"]
        (True, None)
    """

    tags: ClassVar[Tags] = Tags(
        key="ease_downdate",
        summary="Exact for EASE, by block updates, with a certificate.",
        citation="graphforget; Steck, WWW 2019 (arXiv:1905.03375), for the model",
        kinds=REMOVING_KINDS | {"modality"},
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"original", "retained"}),
        needs_model=EASE,
        guarantee="exact",
        exact_reference="retrain",
        state_after="exact",
        forgotten_rows="retrained",
    )

    def __init__(self, *, max_condition: float = 1e8, tolerance: float = 1e-6, probes: int = 64) -> None:
        check_number("max_condition", max_condition, low=1)
        check_number("tolerance", tolerance, low=0, open_low=True)
        check_count("probes", probes)
        self.max_condition, self.tolerance, self.probes = max_condition, tolerance, probes

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """The defaults, and the full certificate."""
        return [{}, {"probes": 0}]

    def _unlearn(self, run: Run) -> Outcome:
        model, before, after = run.model, run.split.data, run.split.retain_data
        assert isinstance(model, EASE)
        changed = run.split.removed[after.alive_items[run.split.removed[:, 1]]]
        users = torch.unique(changed[:, 0])
        items = (before.alive_items & ~after.alive_items).nonzero().view(-1)
        new, old = run.task.context(after).positives, run.task.context(before).positives
        named = torch.cat([items[:0], *run.split.request.modalities.values()])
        bare = torch.unique(named[after.alive_items[named]]) if model.content_weight else named[:0]
        condition, refreshed = float("inf"), None
        with torch.no_grad():
            try:
                _drop_items(model.precision, items)
                condition, what = _remove_content(model, before, after, bare, self.max_condition), "K"
                if condition <= self.max_condition:
                    _add_rows(model.precision, new, users[new.counts()[users] > 0])
                    rows_condition = _remove_rows(model.precision, old, users, self.max_condition)
                    condition, what = max((condition, "K"), (rows_condition, "I - X P X'"))
                if condition > self.max_condition:
                    refreshed = f"the condition number of {what} is {condition:.2g}, above {self.max_condition:.2g}"
            except torch.linalg.LinAlgError:
                refreshed = "P is not positive definite: the model was not fitted to these data"
            if refreshed is not None:
                model.fit_closed_form(after)
            residual = self._residual(run, after)
            # Not `residual > tolerance`: NaN must be caught too.
            if refreshed is None and not residual <= self.tolerance:
                refreshed = f"the residual was {residual:.2g}, above {self.tolerance:.2g}: the model was not fitted to these data"
                model.fit_closed_form(after)
                residual = self._residual(run, after)
        facts = {"residual": residual, "residual_of": f"{self.probes} sign vectors" if self.probes else "every entry"}
        info = {
            **facts,
            "items": len(items),
            "rows": len(users),
            "content": len(bare),
            "condition": condition if condition < float("inf") else None,
            "refreshed": refreshed,
        }
        return Outcome(state=facts, info=info)

    def _residual(self, run: Run, data: Interactions) -> float:
        """``max |(P G - I) z|`` over live items, for sign vectors z, or for every unit vector."""
        model = run.model
        assert isinstance(model, EASE)
        live = data.alive_items
        if self.probes:
            z = (torch.randint(2, (model.num_items, self.probes), generator=run.generator) * 2 - 1).double()
        else:
            z = torch.eye(model.num_items, dtype=torch.double)
        z[~live] = 0
        user, item = data.splits["train"].unbind(1)
        seen = torch.zeros(data.num_users, z.size(1), dtype=torch.double).index_add_(0, user, z[item])
        image = torch.zeros_like(z).index_add_(0, item, seen[user]) + model.regulariser * z
        if model.content_weight:
            features = model.features(data)
            image += model.content_weight * (features @ (features.t() @ z))
        place = model.precision.device
        return float((model.precision @ image.to(place) - z.to(place))[live.to(place)].abs().max())


def _drop_items(precision: Tensor, items: Tensor) -> None:
    """The Schur complement, in place; rows and columns of ``items`` become zero."""
    if not len(items):
        return
    items = items.to(precision.device)
    rows = precision[items]
    factor = torch.linalg.cholesky(rows[:, items])
    rows = torch.linalg.solve_triangular(factor, rows, upper=False)
    precision.addmm_(rows.t(), rows, alpha=-1)
    precision[items], precision[:, items] = 0.0, 0.0


def _remove_content(model: EASE, before: Interactions, after: Interactions, items: Tensor, max_condition: float) -> float:
    """Take the features that ``items`` lose out of G, in place; stops where it is ill conditioned. The largest number, >= 1."""
    worst = 1.0
    if not len(items):
        return worst
    place = model.precision.device
    features, left = model.features(before).to(place), model.features(after).to(place)
    features[~after.alive_items] = 0.0  # these items went before, with their features
    for part in items.to(place).split(_ROWS):
        lost, count = features[part] - left[part], len(part)
        features[part] = left[part]
        moved = features @ lost.t()
        moved[part] += lost @ lost.t() / 2
        rows = model.precision[part]
        image = torch.cat([rows, model.content_weight * moved.t() @ model.precision])  # U'P
        inner = torch.cat([image[:, part], model.content_weight * image @ moved], 1).neg_()  # J - U'PU
        index = torch.arange(2 * count, device=place)
        inner[index, (index + count) % (2 * count)] += 1.0
        worst = max(worst, float(torch.linalg.cond(inner).nan_to_num(nan=float("inf"))))  # max() would drop a NaN
        if not worst <= max_condition:
            return worst
        model.precision.addmm_(image.t(), torch.linalg.solve(inner, image))
    return worst


def _add_rows(precision: Tensor, positives: Positives, users: Tensor) -> None:
    """Add the rows of ``users`` to X, in place."""
    for part in _parts(users):
        image, gram = _images(precision, positives, part)
        factor = torch.linalg.cholesky(gram + torch.eye(len(part), dtype=gram.dtype, device=gram.device))
        image = torch.linalg.solve_triangular(factor, image, upper=False)
        precision.addmm_(image.t(), image, alpha=-1)


def _remove_rows(precision: Tensor, positives: Positives, users: Tensor, max_condition: float) -> float:
    """Take the rows of ``users`` out of X, in place; stops where it is ill conditioned. The largest condition number, >= 1."""
    worst = 1.0
    for part in _parts(users):
        image, gram = _images(precision, positives, part)
        left = torch.eye(len(part), dtype=gram.dtype, device=gram.device) - (gram + gram.t()) / 2
        values = torch.linalg.eigvalsh(left)
        condition = float(values[-1] / values[0]) if float(values[0]) > 0 else float("inf")
        worst = max(worst, condition)
        if not condition <= max_condition:
            return worst
        image = torch.linalg.solve_triangular(torch.linalg.cholesky(left), image, upper=False)
        precision.addmm_(image.t(), image)
    return worst


def _parts(users: Tensor) -> tuple[Tensor, ...]:
    return users.split(_ROWS) if len(users) else ()


def _images(precision: Tensor, positives: Positives, users: Tensor) -> tuple[Tensor, Tensor]:
    """``X P`` [n, items] and ``X P X'`` [n, n] of some users' rows, as sums of rows of P."""
    taken = positives.of(users)
    counts = torch.bincount(taken[:, 0], minlength=len(users))
    items, offsets = taken[:, 1].to(precision.device), (counts.cumsum(0) - counts).to(precision.device)

    def rows_of(table: Tensor) -> Tensor:
        return nn.functional.embedding_bag(items, table, offsets, mode="sum")

    image = rows_of(precision)
    return image, rows_of(image.t().contiguous())
