from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.models.recommender.shard_attention import ShardAttention, combine


def tables(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(5, 4, generator=g), torch.randn(6, 4, generator=g)


def by_hand(model: ShardAttention, users: bool, row: int) -> torch.Tensor:
    """The formula, one vector at a time."""
    table, attention = (model.users, model.user_attention) if users else (model.items, model.item_attention)
    moved = [table[k, row] @ model.transfer[k] + model.bias[k] for k in range(model.num_shards)]
    weight = torch.stack([attention(one) for one in moved]).softmax(0)
    return sum(w * one for w, one in zip(weight, moved, strict=True))


def test_vectors_are_weighed_by_attention_in_a_common_space():
    torch.manual_seed(0)
    model = combine([tables(1), tables(2), tables(3)])
    with torch.no_grad():
        model.transfer.add_(torch.randn(3, 4, 4))
        model.bias.normal_()
    scores = model.score_all(torch.tensor([3, 0]))
    for position, user in enumerate((3, 0)):
        for item in range(6):
            assert torch.allclose(scores[position, item], by_hand(model, True, user) @ by_hand(model, False, item), atol=1e-5)
    users, items = torch.tensor([3, 0, 3]), torch.tensor([5, 1, 0])
    assert torch.allclose(model(users, items), scores[[0, 1, 0], items], atol=1e-5)


def test_one_model_alone_is_served_as_it_is_and_an_empty_one_has_no_say():
    users, items = tables(1)
    expected = users @ items.t()
    assert torch.allclose(combine([(users, items)]).score_all(torch.arange(5)), expected, atol=1e-5)
    model = combine([None, (users, items), tables(2)])
    with torch.no_grad():
        model.bias.fill_(9.0)  # an empty model with a say would show it
        model.bias[1] = 0.0
    model.fill(2, None, None)
    assert torch.allclose(model.score_all(torch.arange(5)), expected, atol=1e-4)
    assert model.filled.tolist() == [False, True, False] and not bool(model.users[2].any())


def test_training_moves_the_aggregation_only():
    model = combine([tables(1), tables(2)])
    assert {name for name, _ in model.named_parameters()}.isdisjoint({"users", "items"})
    model(torch.tensor([0]), torch.tensor([1])).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert ShardAttention(**model.config).config == model.config
    with pytest.raises(InputError, match="num_shards must be at least 1"):
        ShardAttention(2, 2, 4, 0)
