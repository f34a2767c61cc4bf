"""LASER: training over groups of users in sequence, resumed before the first touched group (Li et al., arXiv:2203.11491)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graphforget import seed as seeds
from graphforget.base import FitLog, Outcome, Prepared, Run, Tags, Task, Unlearner, device_of, restored_like
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.shards import Membership, pack, train_stages, unpack
from graphforget.unlearners.recommendation._shared.balance import balanced_groups

_WIDTH = 16  # dimensions of the users' vectors


class LASER(Unlearner):
    """One model, trained on one group of users after the other; a request resumes before the first group that it touches.

    Users are nodes of a hypergraph whose hyperedges are the items. Their vectors are the leading singular vectors of the
    normalised incidence matrix :math:`D_u^{-1/2} X D_i^{-1/2}`, which are the eigenvectors of the hypergraph's Laplacian, and are
    clustered into groups of nearly equal size. Training goes through the groups in the order of a curriculum, the tightest
    (smallest mean distance to its centre) first, with a copy of the weights kept before each. A request loads the copy from
    before the first group that has something to forget, and trains on from there on what is left of the groups.

    The cost depends on where the deletion falls: about half of all training for one user, nearly all of it for many, and all of
    it for items, since the other items of every interaction are drawn from all that exist. Given groups and order the result
    equals sequential training on the retained data; groups and order themselves were found with the forgotten data present.
    What is trained last is remembered best, so that the model differs from one that is trained on all data at once.

    A reconstruction from the abstract: how the paper builds hyperedges and its curriculum is not known to us.

    Args:
        num_groups: Number of groups.
        epochs: Epochs of every group; None is the recipe's number, without early stopping.
        slack: The largest group has at most ``slack`` times the mean number of users.
        rounds: Rounds of clustering, at most.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> from graphforget.testing import tiny_case
        >>> result = tiny_case("recommendation").unlearn("laser", "users", num_groups=3, epochs=2)
        >>> result.info["groups"], result.info["retrained"] in ([0, 1, 2], [1, 2], [2])
        (3, True)
    """

    tags: ClassVar[Tags] = Tags(
        key="laser",
        summary="Trains user groups in sequence; resumes before the touched.",
        citation="Li et al., LASER (arXiv:2203.11491)",
        kinds=frozenset({"user", "item", "interaction", "modality"}),
        tasks=frozenset({"recommendation"}),
        contexts=frozenset({"retained"}),
        reads_forget=False,
        state_after="exact",
        forgotten_rows="retrained",
    )

    def __init__(self, *, num_groups: int = 10, epochs: int | None = None, slack: float = 1.2, rounds: int = 50) -> None:
        check_count("num_groups", num_groups, low=1)
        check_count("epochs", epochs, low=1, none="the recipe's")
        check_number("slack", slack, low=1)
        check_count("rounds", rounds, low=1)
        self.num_groups, self.epochs, self.slack, self.rounds = num_groups, epochs, slack, rounds

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Few groups, short training."""
        return [{"num_groups": 3, "epochs": 4}]

    def prepare(self, model: nn.Module, task: Task, data: Any, *, seed: int, history: FitLog | None = None) -> Prepared:
        """Group the users, and train over the groups."""
        pairs = task.index(data, "train")
        stage = self._groups(pairs, data, seed)
        where = Membership(pairs, torch.zeros_like(stage), stage)
        made, before = self._train(task, data, where, seed, device_of(model), 0, None)
        return Prepared(restored_like(model, made), {"seed": seed, **where.to_state(), **pack(0, before)})

    def _groups(self, pairs: Tensor, data: Any, seed: int) -> Tensor:
        """The place of every interaction's user in the curriculum, [n]."""
        users, row = torch.unique(pairs[:, 0], return_inverse=True)
        points = _hypergraph_vectors(row, pairs[:, 1], len(users), data.num_items, seed)
        generator = seeds.generator(seeds.derive(seed, "groups"))
        groups = balanced_groups([points], self.num_groups, slack=self.slack, rounds=self.rounds, generator=generator)
        count = torch.bincount(groups)
        centre = torch.zeros(len(count), points.size(1), dtype=points.dtype).index_add_(0, groups, points)
        centre /= count.clamp(min=1).unsqueeze(1)
        spread = torch.zeros(len(count), dtype=points.dtype).index_add_(0, groups, (points - centre[groups]).norm(dim=1))
        place = torch.empty_like(count)
        place[(spread / count.clamp(min=1)).argsort(stable=True)] = torch.arange(len(count))
        return place[groups][row]

    def _train(
        self,
        task: Task,
        data: Any,
        where: Membership,
        seed: int,
        device: torch.device,
        start: int,
        resume: dict[str, Tensor] | None,
    ) -> tuple[nn.Module, dict[int, dict[str, Tensor]]]:
        stages = [where.of(0, number) for number in range(self.num_groups)]
        return train_stages(task, data, stages, seed=seed, epochs=self.epochs, device=device, resume=resume, start=start)

    def _unlearn(self, run: Run) -> Outcome:
        state = dict(run.state)
        before = Membership.from_state(state)
        where = before.without(run.split.removed)
        touched = before.first_stages(run.split)
        retrained: list[int] = []
        model = run.model
        if touched:
            resume = unpack(state, 0, touched[0])
            start = 0 if resume is None else touched[0]
            model, kept = self._train(run.task, run.split.retain_data, where, state["seed"], device_of(run.model), start, resume)
            state |= pack(0, kept)
            retrained = list(range(start, self.num_groups))
            run.record(1, 1, first=start)
        state |= where.to_state()
        info = {
            "groups": self.num_groups,
            "retrained": retrained,
            "examples_retrained": int(torch.isin(where.stage, torch.tensor(retrained)).sum()),
        }
        return Outcome(model=model, state=state, info=info)


def _hypergraph_vectors(user: Tensor, item: Tensor, num_users: int, num_items: int, seed: int) -> Tensor:
    """Leading left singular vectors of the normalised incidence matrix, scaled by the singular values, [num_users, d]."""
    users = torch.bincount(user, minlength=num_users).double().clamp(min=1).rsqrt()
    items = torch.bincount(item, minlength=num_items).double().clamp(min=1).rsqrt()
    where, value = torch.stack([user, item]), users[user] * items[item]
    incidence = torch.sparse_coo_tensor(where, value, (num_users, num_items), check_invariants=True)
    with seeds.isolated(seeds.derive(seed, "svd")):
        left, scale, _ = torch.svd_lowrank(incidence.coalesce(), q=min(_WIDTH, num_users, num_items), niter=4)
    return left * scale
