"""Conditional re-solve in implicit ALS: the vectors that a deletion touches are solved again, all others held."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from graphforget.base import Outcome, Run, Tags, Unlearner, count_work
from graphforget.models.recommender.ials import IALS
from graphforget.unlearners._shared.checks import check_choice, check_count
from graphforget.unlearners.recommendation._shared.rows import REMOVING_KINDS

_SCOPES = ("touched", "all")


class IALSResolve(Unlearner):
    """Drops the forgotten from a fitted iALS, and solves the touched rows again on the retained data.

    Given all item vectors, the vector of a user is the exact solution of a small linear system (Hu, Koren, Volinsky, ICDM
    2008, eq. 4), and so for items. Forgotten users and items get the vector zero, as have all without interactions. Then, in
    each sweep, come the users who lost an interaction, then the items of these users and those that lost one.

    Every row is exact *given the others*, which is what ``info["residual"]`` certifies: the relative residual of the normal
    equations, over the rows that were solved and over all rows. The second shows how far the rows that were held are from
    where the others would put them; it does not vanish, and more sweeps may raise it. With ``scope="all"`` every row is
    solved, and with enough sweeps both residuals vanish: a stationary point of the retained objective, which is where
    retraining ends as well if it ends in the same one.

    Args:
        sweeps: Sweeps over the solved rows.
        scope: ``"touched"``, or ``"all"`` for every row.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.interactions import Interactions
        >>> from graphforget.requests import DeletionRequest
        >>> from graphforget.tasks import Recommendation
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 0], [1, 2], [2, 1], [2, 2]]})
        >>> task = Recommendation(build=lambda d: IALS(d.num_users, d.num_items, dim=2, regulariser=0.1))
        >>> model = task.new_model(data, seed=0)
        >>> log = task.fit(model, data, seed=0)
        >>> result = IALSResolve().unlearn(model, task, task.split(data, DeletionRequest.users([2])))
        >>> result.info["users"], result.info["items"], result.model.user_embedding.weight[2].tolist()
        (0, 2, [0.0, 0.0])
    """

    tags: ClassVar[Tags] = Tags(
        key="ials_resolve",
        summary="Solves the touched rows of implicit ALS again.",
        citation="graphforget; Hu, Koren, Volinsky, ICDM 2008, for the model",
        kinds=REMOVING_KINDS,
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        needs_model=IALS,
        state_after="stale",
        forgotten_rows="retrained",
    )

    def __init__(self, *, sweeps: int = 2, scope: str = "touched") -> None:
        check_count("sweeps", sweeps, low=1)
        check_choice("scope", scope, _SCOPES)
        self.sweeps, self.scope = sweeps, scope

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Both scopes."""
        return [{}, {"scope": "all"}]

    def _unlearn(self, run: Run) -> Outcome:
        model, data, removed = run.model, run.split.retain_data, run.split.removed
        assert isinstance(model, IALS)
        by_user, by_item = model.sides(data)
        with torch.no_grad():
            model.user_embedding.weight[~data.alive_users.to(model.user_embedding.weight.device)] = 0
            model.item_embedding.weight[~data.alive_items.to(model.item_embedding.weight.device)] = 0
        if self.scope == "all":
            users, items = data.alive_users.nonzero().view(-1), data.alive_items.nonzero().view(-1)
        else:
            users = _alive(removed[:, 0], data.alive_users)
            items = _alive(torch.cat([by_user.of(users)[:, 1], removed[:, 1]]), data.alive_items)
        read = len(by_user.of(users)) + len(by_item.of(items))
        for step in range(1, self.sweeps + 1):
            model.solve_users(by_user, users)
            model.solve_items(by_item, items)
            count_work(examples=read)
            run.record(step, self.sweeps, residual=model.residual(data, users, items))
        residual = {"solved": model.residual(data, users, items), "all": model.residual(data)}
        return Outcome(state={"residual": residual}, info={"users": len(users), "items": len(items), "residual": residual})


def _alive(ids: Tensor, alive: Tensor) -> Tensor:
    ids = torch.unique(ids)
    return ids[alive[ids]]
