"""A deletion in the part of the graph that it reaches: outputs and gradients are those of the whole graph."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from torch_geometric import nn as pyg
from torch_geometric.nn import GCNConv

from graphforget.base import Batch, Recipe, RegionOptions
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, both_directions, k_hop
from graphforget.models import GAT, GCN, GIN, GraphSAGE
from graphforget.models.gnn import accelerate
from graphforget.requests import DeletionRequest
from graphforget.tasks import LinkPrediction, NodeClassification
from graphforget.tasks.graph import region as local_module


@pytest.fixture(scope="module", autouse=True)
def parts_of_small_graphs_too():
    """Small graphs would be read whole; the parts are what is to be tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_module, "WHOLE_FROM", 2.0)
        yield


class Stock(torch.nn.Module):
    """A user's PyG model: counts degrees in edge_index itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = GCNConv(4, 8), GCNConv(8, 3)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


MODELS = {
    "gcn": lambda: GCN(4, 8, 3),
    "gat": lambda: GAT(4, 8, 3, heads=2),
    "gin": lambda: GIN(4, 8, 3),
    "sage": lambda: GraphSAGE(4, 8, 3),
    "stock": Stock,
}
SHAPES = ("random", "directed", "star", "grid", "loops")
N = 36


def shape(name: str, seed: int) -> GraphData:
    """A small graph of a kind; every node is labelled, two thirds train."""
    g = torch.Generator().manual_seed(seed)
    if name == "star":
        pairs = torch.stack([torch.zeros(N - 1, dtype=torch.long), torch.arange(1, N)], 1)
    elif name == "grid":
        ids = torch.arange(N).view(6, 6)
        pairs = torch.cat(
            [torch.stack([ids[:, :-1], ids[:, 1:]], -1).view(-1, 2), torch.stack([ids[:-1], ids[1:]], -1).view(-1, 2)]
        )
    else:
        pairs = torch.randint(N, (40, 2), generator=g)
        pairs = pairs if name == "loops" else pairs[pairs[:, 0] != pairs[:, 1]]
    edges = torch.unique(pairs, dim=0).t() if name == "directed" else both_directions(pairs, N)
    return GraphData.create(
        edges,
        N,
        x=torch.randn(N, 4, generator=g),
        y=torch.arange(N) % 3,
        splits={"train": torch.arange(0, 24), "val": torch.arange(24, 30)},
    )


def request(kind: str, data: GraphData, seed: int) -> DeletionRequest:
    g = torch.Generator().manual_seed(seed + 1)
    pairs = data.pairs()
    return {
        "edges": lambda: DeletionRequest.edges(pairs=pairs[torch.randperm(len(pairs), generator=g)[:2]]),
        "nodes": lambda: DeletionRequest.nodes(1 + torch.randperm(23, generator=g)[:2]),
        "features": lambda: DeletionRequest.node_features(1 + torch.randperm(23, generator=g)[:2], columns=[1, 3]),
    }[kind]()


def links(data: GraphData) -> GraphData:
    """The same graph for a link task."""
    return GraphData.create(data.edge_index, N, x=data.x, undirected=data.undirected)


def first_batch(task, view, seed: int) -> Batch:
    """A batch with its draws; a region in which everyone is connected has no non-edges to draw, and says so."""
    try:
        return next(iter(task.batches(view, generator=torch.Generator().manual_seed(seed))))
    except InputError as error:
        assert "non-edges" in str(error) or "negatives" in str(error)
        reject()


def whole_ids(local: GraphData, index):
    return local.part.ids[index]


def gradients(task, model, batch):
    model = copy.deepcopy(model)
    forward = task.forward(model, batch)[0]
    task.loss(forward, batch).backward()
    return forward.outputs.detach(), [p.grad for p in model.parameters()]


def assert_same(task, model, batch: Batch, data: GraphData) -> None:
    """The batch of a part and the same batch in ``data``: outputs and parameter gradients."""
    twin = Batch(data, whole_ids(batch.data, batch.index), batch.y)
    (local, local_grads), (whole, grads) = gradients(task, model, batch), gradients(task, model, twin)
    assert torch.isfinite(local).all()
    torch.testing.assert_close(local, whole, rtol=1e-5, atol=1e-5)
    for one, other in zip(local_grads, grads, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["edges", "nodes", "features"])
@given(st.sampled_from(SHAPES), st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=12)
def test_outputs_and_gradients_equal_the_full_computation(name, kind, shape_name, seed, link):
    data = shape(shape_name, seed)
    data, task = (links(data), LinkPrediction()) if link else (data, NodeClassification())
    torch.manual_seed(seed)
    model = MODELS[name]().eval()
    split = task.split(data, request(kind, data, seed))
    local, _ = task.local_split(split, model)
    for on in ("original", "unlinked", "retained"):
        for part in ("removed", "affected", "altered", "retain"):
            if not local.readable(part, on) or not len(local.index(part)):
                continue
            view = local.view(part, on=on)
            batch = first_batch(task, view, seed)
            assert_same(task, model, batch, split.data_on(on))


@given(st.sampled_from(SHAPES), st.integers(0, 10_000), st.sampled_from(["edges", "nodes", "features"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_parts_of_the_split_are_those_of_the_whole_graph(shape_name, seed, kind, link):
    data = shape(shape_name, seed)
    data, task = (links(data), LinkPrediction()) if link else (data, NodeClassification())
    split = task.split(data, request(kind, data, seed))
    local, facts = task.local_split(split, GCN(4, 8, 3))
    region = split.region["nodes"] | task.resolve(data, split.request).dead
    rows = {
        part: {tuple(r) if link else r for r in whole_ids(local.data, local.index(part)).tolist()}
        for part in ("removed", "altered")
    }
    assert rows["removed"] == {tuple(r) if link else r for r in split.removed.tolist()}
    inside = [r for r in split.altered.tolist() if not link or bool(region[r].all())]
    assert rows["altered"] == {tuple(r) if link else r for r in inside}
    for part in ("affected", "retain"):
        whole = split.index(part)
        whole = whole[region[whole].all(1) if link else region[whole]]
        assert torch.equal(whole_ids(local.data, local.index(part)), whole)
    assert facts["region_rows"] == int(region.sum()) and 0 <= facts["region_share"] <= 1


@pytest.mark.parametrize("kind", ["edges", "nodes", "features"])
@given(st.integers(0, 10_000), st.sampled_from(SHAPES))
@settings(deadline=None, max_examples=12)
def test_a_fan_out_of_the_largest_degree_is_exact(kind, seed, shape_name):
    data, task = shape(shape_name, seed), NodeClassification()
    split = task.split(data, request(kind, data, seed))
    exact, _ = task.local_split(split, GCN(4, 8, 3))
    limited, _ = task.local_split(split, GCN(4, 8, 3), RegionOptions(fanout=100), torch.Generator().manual_seed(seed))
    for on in ("original", "retained"):
        one, other = exact.data_on(on), limited.data_on(on)
        assert torch.equal(one.edge_index, other.edge_index) and torch.equal(one.part.degree, other.part.degree)
        assert torch.equal(one.part.core, other.part.core)


@pytest.mark.parametrize("kind", ["edges", "nodes", "features"])
@given(st.integers(0, 10_000), st.sampled_from(SHAPES), st.booleans())
@settings(deadline=None, max_examples=8)
def test_the_whole_graph_as_a_part_says_the_same(kind, seed, shape_name, link):
    data = shape(shape_name, seed)
    data, task = (links(data), LinkPrediction()) if link else (data, NodeClassification())
    torch.manual_seed(seed)
    model, split = GCN(4, 8, 3).eval(), task.split(data, request(kind, data, seed))
    part, _ = task.local_split(split, model)
    assume(part.data.edge_index.size(1) > 0)  # a part that reads no entry never grows into the whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_module, "WHOLE_FROM", 0.0)
        whole, facts = task.local_split(split, model)
    assert whole.data.part.whole and facts["region_share"] == 1
    for name in ("removed", "altered", "affected", "retain"):
        assert torch.equal(whole.index(name), whole_ids(part.data, part.index(name)))
        if len(whole.index(name)) and whole.readable(name, "retained"):
            batch = first_batch(task, whole.view(name, on="retained"), seed)
            assert_same(task, model, batch, split.retain_data)


@pytest.mark.parametrize("kind", ["edges", "nodes"])
def test_one_hop_less_than_what_can_change_would_miss_rows(kind):
    data, task = shape("grid", 0), NodeClassification()
    torch.manual_seed(0)
    model = GCN(4, 8, 3).eval()
    split = task.split(data, request(kind, data, 3))
    local, facts = task.local_split(split, model)
    out = {on: task.encode(model, split.data_on(on)) for on in ("original", "retained")}
    live = split.retain_data.alive.nonzero().view(-1)
    before, after = (out[on].outputs[out[on].context.rows(live)] for on in ("original", "retained"))
    changed = set(live[(before != after).any(1)].tolist())
    core = set(whole_ids(local.data, local.data.part.core.nonzero().view(-1)).tolist())
    assert changed <= core and facts["region_rows"] < N
    change = task.resolve(data, split.request)
    assert not changed <= set(k_hop(data, change.sources, task.num_hops - 1).nonzero().view(-1).tolist())


def long_path(n: int = 20_000, link: bool = False) -> GraphData:
    ids = torch.arange(n - 1)
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    kwargs = {} if link else {"y": torch.arange(n) % 3, "splits": {"train": torch.arange(0, n, 2)}}
    return GraphData.create(both_directions(torch.stack([ids, ids + 1], 1), n), n, x=x, **kwargs)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("kind", ["edges", "nodes", "features"])
def test_a_long_path_is_not_read(kind, link, monkeypatch):
    data, task = long_path(link=link), LinkPrediction() if link else NodeClassification()
    data.pairs(), data.neighbours, data.incoming, data.lookup.example_keys
    sizes = []
    for name in ("sort", "unique", "isin"):
        ordinary = getattr(torch, name)

        def spied(*args, _ordinary=ordinary, **kwargs):
            sizes.append(max(a.numel() for a in args if isinstance(a, torch.Tensor)))
            return _ordinary(*args, **kwargs)

        monkeypatch.setattr(torch, name, spied)
    split = task.split(data, request(kind, data, 1))
    local, facts = task.local_split(split, GCN(4, 8, 3), RegionOptions(retain_sample=16), torch.Generator().manual_seed(0))
    local.view("forget", on="original"), local.view("retain", on="retained")
    assert max(sizes) < 2000  # nothing of the graph's size is sorted
    assert facts["region_entries"] < 600 and facts["region_share"] < 0.02
    assert "retain_data" not in split.__dict__ and "retain" not in split.__dict__ and "affected" not in split.__dict__


def test_sampled_examples_come_from_everywhere_and_not_from_what_is_removed():
    data, task = long_path(link=True), LinkPrediction()
    split = task.split(data, DeletionRequest.edges(pairs=data.pairs()[100:110]))
    local, _ = task.local_split(split, GCN(4, 8, 3), RegionOptions(retain_sample=40), torch.Generator().manual_seed(0))
    rows = whole_ids(local.data, local.retain)
    far = rows[(rows - 105).abs().amin(1) > 40]
    assert len(far) == 40 and len(torch.unique(far, dim=0)) == 40 and float(far.float().std()) > 3000
    assert not torch.isin(rows[:, 0], torch.arange(100, 110)).any()
    again, _ = task.local_split(split, GCN(4, 8, 3), RegionOptions(retain_sample=40), torch.Generator().manual_seed(0))
    assert torch.equal(again.data.part.ids, local.data.part.ids)


def test_a_sample_as_large_as_the_data_is_all_of_it():
    data, task = shape("random", 4), NodeClassification()
    split = task.split(data, request("edges", data, 0))
    local, _ = task.local_split(split, GCN(4, 8, 3), RegionOptions(retain_sample=1000), torch.Generator().manual_seed(0))
    assert torch.equal(whole_ids(local.data, local.retain), split.retain)


def test_the_sampled_estimate_of_a_row_is_right_on_average():
    hub = torch.stack([torch.arange(1, 61), torch.zeros(60, dtype=torch.long)])
    far = torch.tensor([[61, 62], [62, 61]])
    x = torch.randn(63, 4, generator=torch.Generator().manual_seed(0))
    data = GraphData.create(
        torch.cat([hub, hub.flip(0), far], 1), 63, x=x, y=torch.arange(63) % 3, splits={"train": torch.tensor([0, 61])}
    )
    task = NodeClassification(num_hops=1)
    torch.manual_seed(0)
    model = GCN(4, 3, 3, num_layers=1).eval()
    split = task.split(data, DeletionRequest.edges(pairs=[[61, 62]]))
    wanted = task.encode(model, data).outputs[0]
    said = []
    for seed in range(400):
        local, _ = task.local_split(split, model, RegionOptions(retain_sample=5), torch.Generator().manual_seed(seed))
        slot = local.data.part.slots(torch.tensor([0]))
        assert int((local.data.edge_index[1] == slot).sum()) == 5
        said.append(task.encode(model, local.data).outputs[slot[0]].detach())
    said = torch.stack(said)
    assert (said.mean(0) - wanted).abs().max() < 4 * float(said.std(0).max()) / 20
    assert float(said.std(0).max()) > 0.01


def test_validation_edges_alone_change_nothing_and_are_no_obstacle():
    data = GraphData.create(
        both_directions(torch.tensor([[0, 1], [1, 2], [2, 3]]), 8), 8, x=torch.eye(8), splits={"val": torch.tensor([[4, 6]])}
    )
    task = LinkPrediction()
    local, facts = task.local_split(task.split(data, DeletionRequest.edges(pairs=[[4, 6]])), GCN(8, 8, 3))
    assert facts["region_rows"] == 0 and not len(local.removed) and not len(local.retain_data.splits["val"])


def test_classes_are_forgotten_as_nodes_and_edges_from_features_are_refused():
    data, task = shape("random", 0), NodeClassification()
    split = task.split(data, DeletionRequest.node_classes([1]))
    local, _ = task.local_split(split, GCN(4, 8, 3))
    assert torch.equal(whole_ids(local.data, local.removed), split.removed)
    derived = GraphData.create(None, N, x=data.x, y=data.y, splits=dict(data.splits), edge_rule=KNNRule(2))
    with pytest.raises(InputError, match="scope='full'"):
        task.local_split(task.split(derived, DeletionRequest.nodes([0])), GCN(4, 8, 3))


def test_negatives_of_a_part_are_core_nodes():
    data, task = long_path(500, link=True), LinkPrediction()
    split = task.split(data, DeletionRequest.edges(pairs=data.pairs()[100:101]))
    local, _ = task.local_split(split, GCN(4, 8, 3))
    drawn = task.draw_negatives(local.retain_data, 200, torch.Generator().manual_seed(0))
    assert local.data.part.core[drawn].all() and not local.data.part.core.all()


@pytest.mark.parametrize("name", MODELS)
def test_one_hop_less_in_the_part_is_wrong(name, monkeypatch):
    data, task, ordinary = shape("grid", 0), NodeClassification(), local_module.take_part
    monkeypatch.setattr(local_module, "take_part", lambda data, core, hops, **kwargs: ordinary(data, core, hops - 1, **kwargs))
    torch.manual_seed(0)
    model, split = MODELS[name]().eval(), task.split(data, DeletionRequest.edges(pairs=[[0, 1]]))
    local, _ = task.local_split(split, model)
    batch = next(iter(task.batches(local.view("retain", on="retained"))))
    with pytest.raises(AssertionError, match="not close"):
        assert_same(task, model, batch, split.retain_data)


class Stacked(torch.nn.Module):
    """A user's model of single layers in a row."""

    def __init__(self, *layers) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x, edge_index):
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


@pytest.mark.parametrize(
    "model",
    [
        lambda: GCN(4, 8, 3, num_layers=3),
        lambda: pyg.GraphSAGE(4, 8, 3, 3),
        lambda: Stacked(pyg.SGConv(4, 3, K=3)),
        lambda: Stacked(pyg.ChebConv(4, 3, K=4)),
        lambda: accelerate(Stacked(pyg.TAGConv(4, 3))),
        lambda: Stacked(pyg.GatedGraphConv(4, 3)),
        lambda: Stacked(pyg.SGConv(4, 3, K=3, flow="target_to_source")),
    ],
)
def test_a_model_that_looks_further_than_the_task_is_refused(model):
    data, model = shape("grid", 0), model()
    near, right = NodeClassification(template=model), NodeClassification(template=model, num_hops=3)
    asked = DeletionRequest.nodes([0])
    with pytest.raises(InputError, match="takes 3 message-passing steps, more than the task's num_hops=2.*num_hops=3"):
        near.local_split(near.split(data, asked), model)
    cut = NodeClassification(template=model, recipe=Recipe(eval_batch_size=4))
    with pytest.raises(InputError, match="takes 3 message-passing steps"):
        cut.predict(model, cut.view(data, "val"))
    cut = NodeClassification(template=model, recipe=Recipe(eval_batch_size=4), num_hops=3)
    torch.testing.assert_close(cut.predict(model, cut.view(data, "val")), near.predict(model, near.view(data, "val")))
    split = right.split(data, asked)
    local, _ = right.local_split(split, model)
    with torch.no_grad():
        part, whole = (right.encode(model.eval(), d) for d in (local.retain_data, split.retain_data))
    core = (local.retain_data.part.core & local.retain_data.alive).nonzero().view(-1)
    wanted = whole.outputs[whole.context.rows(local.retain_data.part.ids[core])]
    torch.testing.assert_close(part.outputs[part.context.rows(core)], wanted, rtol=1e-5, atol=1e-5)


def test_layers_that_may_stand_side_by_side_give_a_warning():
    data, task = shape("grid", 0), NodeClassification()
    split = task.split(data, DeletionRequest.nodes([0]))
    with pytest.warns(UserWarning, match="3 message-passing layers and the task has num_hops=2.*num_hops=3"):
        task.local_split(split, Stacked(GCNConv(4, 4), GCNConv(4, 4), GCNConv(4, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.local_split(split, Stacked(GCNConv(4, 4), GCNConv(4, 3)))


@pytest.mark.parametrize("layer", [pyg.ChebConv(4, 3, K=2), pyg.GCNConv(4, 3, flow="target_to_source")])
@pytest.mark.parametrize("name", ["random", "star", "loops"])
def test_layers_that_read_edges_backwards_are_exact_where_there_are_both_directions(layer, name):
    data, model = shape(name, 1), Stacked(layer)
    task = NodeClassification(template=model, num_hops=1, recipe=Recipe(eval_batch_size=3))
    split = task.split(data, request("edges", data, 2))
    local, _ = task.local_split(split, model)
    assert_same(task, model, Batch(local.retain_data, local.retain, local.retain_data.y[local.retain]), split.retain_data)
    whole = NodeClassification(template=model, num_hops=1).predict(model, task.view(data, "val"))
    torch.testing.assert_close(task.predict(model, task.view(data, "val")), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", [pyg.ChebConv(4, 3, K=2), pyg.GCNConv(4, 3, flow="target_to_source")])
def test_layers_that_read_directed_edges_backwards_are_refused(layer):
    data, model = shape("directed", 1), Stacked(layer)
    task = NodeClassification(template=model, num_hops=1, recipe=Recipe(eval_batch_size=3))
    with pytest.raises(InputError, match="holds incoming edges: read the whole graph"):
        task.local_split(task.split(data, request("edges", data, 2)), model)
    with pytest.raises(InputError, match="holds incoming edges"):
        task.predict(model, task.view(data, "val"))
