from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from graphforget.exceptions import InputError
from graphforget.models import MGCN
from graphforget.models.recommender.mgcn import contrast

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency


def test_forward_by_the_formula(data, graph):
    model = MGCN(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, k=3)
    x, a = model.ids(), dense_adjacency(data)
    content = (x + a @ x + a @ a @ x) / 3
    to_users, views = a[:NUM_USERS, NUM_USERS:], {}
    for name in ("audio", "image"):
        gate = torch.sigmoid(model.purify[name](model.project[name](graph.features[name])))
        items = graph.item_graph(name, 3).to_dense() @ (model.item_embedding.weight * gate)
        views[name] = torch.cat([to_users @ items, items])
    weight = torch.softmax(torch.cat([model.attention(torch.tanh(model.attend(v))) for v in views.values()], 1), 1)
    common = weight[:, :1] * views["audio"] + weight[:, 1:] * views["image"]
    special = [torch.sigmoid(model.prefer[name](content)) * (view - common) for name, view in views.items()]
    side = (special[0] + special[1] + common) / 3
    encoded = model(graph)
    assert torch.allclose(encoded.table, content + side, atol=1e-5)
    assert torch.allclose(encoded.user_parts["side"], side[:NUM_USERS], atol=1e-5)


def test_contrast_is_infonce_over_a_batch_with_repetitions():
    torch.manual_seed(0)
    one, two = torch.randn(2, 6, 4)
    rows = torch.tensor([0, 2, 2, 5, 0, 2])
    a, b = F.normalize(one[rows]), F.normalize(two[rows])
    for temperature in (0.2, 0.01):
        expected = F.cross_entropy(a @ b.t() / temperature, torch.arange(6))  # every copy is a candidate of its own
        assert torch.allclose(contrast(one, two, rows, temperature), expected, rtol=1e-4)


def test_penalty_is_the_sum_of_its_parts(graph):
    model = MGCN(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, k=3, cl_weight=0.5)
    plain = MGCN(**{**model.config, "cl_weight": 0.0})
    plain.load_state_dict(model.state_dict())
    rows = torch.tensor([0, 3, 3])
    encoded = model(graph)
    extra = sum(contrast(p["side"], p["content"], rows, 0.2) for p in (encoded.item_parts, encoded.user_parts))
    a, b = (m.penalty(m(graph), rows, rows, rows + 1, l2=0.1) for m in (model, plain))
    assert torch.allclose(a - b, 0.5 * extra, atol=1e-5) and float(b.detach()) > 0
    with pytest.raises(InputError, match="temperature positive"):
        MGCN(3, 4, {"image": 2}, temperature=0.0)


def test_gradients_are_those_of_the_dense_formula(data, graph):
    torch.manual_seed(1)
    model = MGCN(NUM_USERS, NUM_ITEMS, {"image": 5, "audio": 3}, dim=4, k=3, cl_weight=0.5)
    user, item, other = torch.tensor([0, 3, 3, 6]), torch.tensor([1, 2, 5, 1]), torch.tensor([4, 7, 8, 0])
    encoded = model(graph)
    margin = encoded.pair_scores(user, item) - encoded.pair_scores(user, other)
    (F.softplus(-margin).mean() + model.penalty(encoded, user, item, other, l2=0.1)).backward()
    got = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()

    a = dense_adjacency(data)
    x = model.ids()
    content, views = (x + a @ x + a @ (a @ x)) / 3, {}
    for name in ("audio", "image"):
        feats = graph.features[name] + model.offsets[name].weight
        items = graph.item_graph(name, 3).to_dense() @ (
            model.item_embedding.weight * torch.sigmoid(model.purify[name](model.project[name](feats)))
        )
        views[name] = torch.cat([a[:NUM_USERS, NUM_USERS:] @ items, items])
    weight = torch.softmax(torch.cat([model.attention(torch.tanh(model.attend(v))) for v in views.values()], 1), 1)
    common = weight[:, :1] * views["audio"] + weight[:, 1:] * views["image"]
    side = (common + sum(torch.sigmoid(model.prefer[n](content)) * (v - common) for n, v in views.items())) / 3
    final = content + side
    u, p, n = final[user], final[NUM_USERS + item], final[NUM_USERS + other]

    def nce(rows):
        one, two = F.normalize(side[rows]), F.normalize(content[rows])
        return F.cross_entropy(one @ two.t() / 0.2, torch.arange(len(rows)))

    loss = F.softplus((u * n).sum(1) - (u * p).sum(1)).mean() + 0.05 * (u**2 + p**2 + n**2).sum() / 4
    (loss + 0.5 * (nce(NUM_USERS + item) + nce(user))).backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(got[name], parameter.grad, atol=1e-5), name
