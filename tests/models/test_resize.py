from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.base import RowBlock
from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, add_items, compact, remove_items, remove_users
from graphforget.models import BM3, BPRMF, EASE, FREEDOM, LATTICE, MGCN, MMGCN, VBPR, LightGCN
from graphforget.models.resize import resized
from graphforget.tasks import Recommendation

CONTENT = (VBPR, MGCN, FREEDOM, BM3, LATTICE, MMGCN)


def data() -> Interactions:
    g = torch.Generator().manual_seed(0)
    pairs = torch.unique(torch.stack([torch.randint(12, (70,), generator=g), torch.randint(15, (70,), generator=g)], 1), dim=0)
    features = {"image": torch.randn(15, 4, generator=g), "text": torch.randn(15, 3, generator=g)}
    return Interactions.create({"train": pairs}, num_users=12, num_items=15, features=features)


def make(cls, of: Interactions) -> nn.Module:
    torch.manual_seed(1)
    model = cls(of.num_users, of.num_items, of.modalities) if cls in CONTENT else cls(of.num_users, of.num_items)
    with torch.no_grad():  # offsets start at zero: a trained model's do not
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def scores(model, of: Interactions) -> torch.Tensor:
    task = Recommendation(template=model)
    return task.score_all(model, of, torch.arange(of.num_users))


@pytest.mark.parametrize("cls", [BPRMF, LightGCN, *CONTENT])
def test_a_compact_model_scores_as_before(cls):
    left = remove_users(remove_items(data(), [0, 7, 14]), [3, 11])
    model = make(cls, data())
    small, slots = compact(left)
    before, after = scores(model, left), scores(resized(model, slots), small)
    assert (before[slots.users][:, slots.items] - after).abs().max() < 1e-6


@pytest.mark.parametrize("cls", [BPRMF, LightGCN, *CONTENT])
def test_a_model_that_grew_scores_old_items_as_before_and_new_ones_as_fresh(cls):
    old = data()
    model = make(cls, old)
    more, slots = add_items(old, 2)  # without content: no item-item graph changes
    grown = resized(model, slots, seed=3)
    before, after = scores(model, old), scores(grown, more)
    assert (before - after[:, :15]).abs().max() < 1e-6 and after.isfinite().all() and after.shape == (12, 17)
    other = resized(model, slots, seed=4)
    assert torch.equal(grown.item_embedding.weight, resized(model, slots, seed=3).item_embedding.weight)
    assert not torch.equal(grown.item_embedding.weight[15:], other.item_embedding.weight[15:])
    assert torch.equal(grown.item_embedding.weight[:15], model.item_embedding.weight) and not grown.training


def test_the_caller_s_model_and_random_state_stay():
    model, (_, slots) = make(MGCN, data()), add_items(data(), 1)
    state, draws = {k: v.clone() for k, v in model.state_dict().items()}, torch.random.get_rng_state()
    grown = resized(model, slots)
    with torch.no_grad():
        for parameter in grown.parameters():
            parameter.zero_()
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(draws, torch.random.get_rng_state())


class Shared(nn.Module):
    """One table: users, then items."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.config = {"num_users": num_users, "num_items": num_items}
        self.table, self.scale = nn.Parameter(torch.randn(num_users + num_items, 2)), nn.Parameter(torch.rand(()))

    def entity_rows(self):
        return {"user": [RowBlock("table")], "item": [RowBlock("table", self.config["num_users"])]}


def test_rows_in_a_shared_table_move_with_their_offsets():
    model = Shared(3, 4)
    _, slots = compact(remove_users(remove_items(Interactions.create({"train": [[0, 0], [1, 1], [2, 3]]}), [1]), [0]))
    small = resized(model, slots)
    assert torch.equal(small.table, model.table[[1, 2, 3, 5, 6]]) and torch.equal(small.scale, model.scale)


def test_models_that_cannot_grow_say_so_in_a_sentence():
    _, slots = add_items(data(), 1)
    with pytest.raises(InputError, match="EASE cannot grow or shrink: 'precision' of shape .* train a new one"):
        resized(EASE(12, 15), slots)
    with pytest.raises(InputError, match="Linear cannot grow or shrink: its config"):
        resized(nn.Linear(2, 2), slots)
    with pytest.raises(InputError, match="was made for 3 users and 15 items"):
        resized(BPRMF(3, 15), slots)


def test_features_reach_the_new_rows_of_a_model_that_reads_them():
    old = data()
    model = make(VBPR, old)
    content = {name: table[[4]] for name, table in old.features.items()}
    more, slots = add_items(old, 1, features=content)
    grown = resized(model, slots)
    graph = InteractionGraph(more)
    assert torch.equal(graph.feature("image")[15], graph.feature("image")[4])
    with_content, without = scores(grown, more)[:, 15], scores(grown, add_items(old, 1)[0])[:, 15]
    assert not torch.allclose(with_content, without)
