"""scope="region": the same method on the part of the graph that a deletion reaches."""

from __future__ import annotations

import pytest
import torch

from graphforget.base import Ensemble, Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.graphs import GraphData, both_directions
from graphforget.models import GCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import LinkPrediction, NodeClassification
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import D2DGN, FineTune, GNNDelete, Unlink

RECIPE = Recipe(epochs=30, lr=0.02, patience=None)


def ladder(n: int = 800, link: bool = True) -> GraphData:
    """Two long rails with rungs: a deletion reaches a small part."""
    ids = torch.arange(n // 2)
    pairs = torch.cat(
        [torch.stack([ids[:-1], ids[1:]], 1), torch.stack([ids[:-1], ids[1:]], 1) + n // 2, torch.stack([ids, ids + n // 2], 1)]
    )
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    splits = {} if link else {"train": torch.arange(0, n, 2), "val": torch.arange(1, n, 4)}
    return GraphData.create(both_directions(pairs, n), n, x=x, y=y, splits=splits)


def case(link: bool):
    task_class, width = (LinkPrediction, 8) if link else (NodeClassification, 2)
    data = ladder(link=link)
    task = task_class(build=lambda d: GCN(6, 8, width), recipe=RECIPE)
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0)
    return task, data, model


CASES = {link: case(link) for link in (True, False)}
REQUESTS = {
    "edges": lambda data: DeletionRequest.edges(pairs=data.pairs()[300:303]),
    "nodes": lambda data: DeletionRequest.nodes([200, 206]),
}


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("params", [{}, {"loss_mode": "all", "init": "release"}])
def test_gnndelete_learns_the_same_operators(link, kind, params):
    task, data, model = CASES[link]
    split = task.split(data, REQUESTS[kind](data))
    full = GNNDelete(epochs=20, lr=0.01, **params).unlearn(model, task, split, seed=3)
    local = GNNDelete(epochs=20, lr=0.01, scope="region", **params).unlearn(model, task, task.split(data, split.request), seed=3)
    assert full.changed_parameters == local.changed_parameters and len(local.edits) == 2
    for name, value in full.model.state_dict().items():
        torch.testing.assert_close(local.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert not torch.equal(local.model.deletion_0.weight, torch.eye(8)) and local.info["region_share"] < 0.2
    assert [set(a) for a in full.curve] == [set(b) for b in local.curve]


@pytest.mark.parametrize("kind", REQUESTS)
def test_unlink_hands_back_the_rows_that_change_and_no_others_do(kind):
    task, data, model = CASES[False]
    split = task.split(data, REQUESTS[kind](data))
    result = Unlink(scope="region").unlearn(model, task, split)
    rows, outputs = result.state["rows"], result.state["outputs"]
    assert "retain_data" not in split.__dict__
    with torch.no_grad():
        before, after = (task.encode(model.eval(), d) for d in (data, split.retain_data))
    torch.testing.assert_close(outputs, after.outputs[after.context.rows(rows)], rtol=1e-5, atol=1e-5)
    others = torch.ones(data.num_nodes, dtype=torch.bool)
    others[rows] = False
    others = (others & split.retain_data.alive).nonzero().view(-1)
    assert torch.equal(before.outputs[others], after.outputs[after.context.rows(others)])
    assert (before.outputs[rows] != after.outputs[after.context.rows(rows)]).any() and len(rows) < 60
    assert result.changed_parameters == () and set(result.info) == {"region_rows", "region_entries", "region_share"}


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("kind", REQUESTS)
def test_one_step_of_finetune_is_a_full_step_on_the_same_examples(link, kind, monkeypatch):
    from graphforget.unlearners.general import finetune as module

    task, data, model = CASES[link]
    split, seen = task.split(data, REQUESTS[kind](data)), []
    ordinary = module.full_loss

    def watched(task, model, batch):
        seen.append(batch)
        return ordinary(task, model, batch)

    monkeypatch.setattr(module, "full_loss", watched)
    local = FineTune(epochs=1, scope="region", retain_sample=0).unlearn(model, task, split, seed=1)
    batch = seen[0]
    twin = batch.replace(data=split.retain_data, index=batch.data.part.ids[batch.index])
    model.zero_grad()
    ordinary(task, model, twin).backward()
    optimizer = torch.optim.Adam(model.parameters(), lr=RECIPE.lr, weight_decay=RECIPE.weight_decay)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step()
    for (name, full), one in zip(model.named_parameters(), local.model.parameters(), strict=True):
        # Adam's first step is lr times the gradient's sign: only where it is clearly not zero does the sign mean something.
        clear = full.grad.abs() > 1e-4
        torch.testing.assert_close(one[clear], full[clear], rtol=1e-4, atol=1e-4)
        assert (full[clear] - before[name][clear]).abs().min() > RECIPE.lr / 2
        full.data.copy_(before[name])
    model.zero_grad()


@pytest.mark.parametrize("method", [FineTune(epochs=4, scope="region"), D2DGN(epochs=4, destroyer_epochs=2, scope="region")])
@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("kind", REQUESTS)
def test_weights_change_and_the_graph_is_not_read(method, link, kind):
    task, data, model = CASES[link]
    method = type(method)(**method.get_params() | {"retain_sample": 16})
    split = task.split(data, REQUESTS[kind](data))
    result = method.unlearn(model, task, split, seed=0)
    assert result.changed_parameters and "retain_data" not in split.__dict__
    assert all(torch.isfinite(p).all() for p in result.model.parameters())
    assert result.info["region_share"] < 0.5 and result.split is split
    again = method.unlearn(model, task, split, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(result.model.parameters(), again.model.parameters(), strict=True))
    follow = result.then(DeletionRequest.edges(pairs=result.split.retain_data.pairs()[600:602]))
    assert follow.changed_parameters and follow.split.lineage.data is data


@pytest.mark.parametrize(
    "params", [{"destroyer": "random"}, {"init": "scratch"}, {"message_graph": "original"}, {"lambda_feat": 0.1}]
)
def test_every_form_of_d2dgn_runs_on_a_region(params):
    task, data, model = CASES[True]
    split = task.split(data, REQUESTS["edges"](data))
    result = D2DGN(epochs=2, destroyer_epochs=1, scope="region", retain_sample=8, **params).unlearn(model, task, split)
    assert result.changed_parameters and len(result.curve) == 2


@pytest.mark.parametrize("method", [FineTune, D2DGN, GNNDelete, Unlink])
def test_a_fan_out_bounds_what_is_read(method):
    task = LinkPrediction(build=lambda d: GCN(6, 8, 8), recipe=RECIPE)
    n = 3000
    hubs = torch.stack([torch.randint(3, (6000,), generator=torch.Generator().manual_seed(0)), torch.arange(6000) % n], 1)
    hubs = hubs[hubs[:, 0] != hubs[:, 1]]
    data = GraphData.create(both_directions(hubs, n), n, x=torch.randn(n, 6, generator=torch.Generator().manual_seed(1)))
    model, epochs = task.new_model(data, seed=0), {} if method is Unlink else {"epochs": 2}
    split = task.split(data, DeletionRequest.edges(pairs=data.pairs()[5:7]))
    exact = method(scope="region", **epochs).unlearn(model, task, split)
    limited = method(scope="region", fanout=3, **epochs).unlearn(model, task, split)
    assert exact.info["region_share"] == 1 and limited.info["region_share"] < 0.6
    assert limited.info["region_rows"] < 100 < exact.info["region_rows"]
    assert all(torch.isfinite(p).all() for p in limited.model.parameters())


@pytest.mark.parametrize("method", [FineTune, D2DGN])
def test_a_task_without_a_graph_refuses_before_any_compute(method):
    tiny = tiny_case("image_classification")
    request = next(iter(tiny.requests.values()))
    reasons = method(scope="region").supports(tiny.task, request)
    assert any("needs an input graph" in reason for reason in reasons) and not method().supports(tiny.task, request)
    with pytest.raises(UnsupportedError, match="input graph"):
        method(scope="region").unlearn(tiny.model(), tiny.task, tiny.task.split(tiny.data, request))
    with pytest.raises(InputError, match="scope='full'"):
        tiny.task.local_split(tiny.task.split(tiny.data, request), tiny.model())


def test_a_destroyer_that_needs_the_whole_graph_refuses_a_region():
    task, data, model = CASES[True]
    reasons = D2DGN(scope="region", destroyer="negative_graph").supports(task, REQUESTS["edges"](data), model)
    assert any("whole graph" in reason for reason in reasons)


@pytest.mark.parametrize("method", [FineTune, D2DGN, GNNDelete, Unlink])
@pytest.mark.parametrize(
    "params, word", [({"scope": "local"}, "scope"), ({"fanout": 0, "scope": "region"}, "fanout"), ({"fanout": 3}, "fanout")]
)
def test_refuses_bad_values(method, params, word):
    with pytest.raises(InputError, match=word):
        method(**params)


def test_a_request_for_a_validation_edge_alone_changes_no_weight_of_gnndelete():
    data = GraphData.create(
        both_directions(torch.tensor([[0, 1], [1, 2], [2, 3]]), 8), 8, x=torch.eye(8), splits={"val": torch.tensor([[4, 6]])}
    )
    task = LinkPrediction(build=lambda d: GCN(8, 4, 4))
    split = task.split(data, DeletionRequest.edges(pairs=[[4, 6]]))
    for method in (GNNDelete(scope="region"), D2DGN(scope="region")):
        assert method.unlearn(task.new_model(data, seed=0), task, split).changed_parameters == ()


def test_an_ensemble_has_no_rows_to_renew():
    task, data, _ = CASES[False]
    model = Ensemble([task.new_model(data, seed=seed) for seed in range(2)])
    split = task.split(data, REQUESTS["nodes"](data))
    with pytest.raises(UnsupportedError, match="ensemble.*scope='full'"):
        Unlink(scope="region").unlearn(model, task, split)
    assert Unlink().unlearn(model, task, split).changed_parameters == ()


def test_without_a_retained_example_in_the_region_finetune_leaves_the_weights():
    grown = ladder(link=False)
    data = GraphData.create(grown.edge_index, 800, x=grown.x, y=grown.y, splits={"train": torch.arange(50)})
    task = NodeClassification(build=lambda d: GCN(6, 8, 2), recipe=Recipe(epochs=30, weight_decay=0.1, patience=None))
    model, split = task.new_model(data, seed=0), task.split(data, DeletionRequest.edges(pairs=data.pairs()[300:301]))
    result = FineTune(scope="region", retain_sample=0).unlearn(model, task, split)
    assert result.changed_parameters == () and "no retained training example" in result.info["note"]
    assert FineTune(scope="region", retain_sample=5).unlearn(model, task, split).changed_parameters


def test_a_region_in_which_all_are_connected_says_what_to_do():
    pairs = torch.cat([torch.combinations(torch.arange(3)), torch.stack([torch.arange(3, 30), torch.arange(4, 31)], 1)])
    data = GraphData.create(both_directions(pairs, 31), 31, x=torch.randn(31, 6, generator=torch.Generator().manual_seed(0)))
    task = LinkPrediction(build=lambda d: GCN(6, 8, 8), recipe=RECIPE)
    split = task.split(data, DeletionRequest.nodes([0]))
    with pytest.raises(InputError, match="the nodes of the region.*retain_sample=256, or use scope='full'"):
        FineTune(scope="region", retain_sample=0).unlearn(task.new_model(data, seed=0), task, split)
    assert (
        FineTune(epochs=1, scope="region", retain_sample=9).unlearn(task.new_model(data, seed=0), task, split).changed_parameters
    )
