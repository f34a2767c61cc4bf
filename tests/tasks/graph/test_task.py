"""What node and link tasks share: contexts, live rows, requests against a graph."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

from graphforget.base import counting, row_ids
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, compact, remove_nodes
from graphforget.models import GCN
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import LinkPrediction, NodeClassification


@pytest.fixture
def task(plain) -> NodeClassification:
    return NodeClassification(build=lambda d: plain(d.x.size(1), 6, d.num_classes))


def nodes_of(data: GraphData, ids: torch.Tensor | None = None) -> View:
    return View(data, data.alive.nonzero().view(-1) if ids is None else ids, "none")


# ---- encoding ---------------------------------------------------------------------------------------------
def test_one_encoding_for_five_subsets(task, node_data):
    model = task.new_model(node_data, seed=0)
    batches = [next(iter(task.batches(nodes_of(node_data, torch.arange(i, i + 4))))) for i in (0, 4, 8, 12, 16)]
    with counting() as work:
        shared = task.forward(model.eval(), *batches)
    assert (work.encodings, work.forward_examples) == (1, 20)
    with counting() as work:
        alone = [task.forward(model, batch)[0] for batch in batches]
    assert work.encodings == 5
    assert all(torch.equal(a.outputs, b.outputs) for a, b in zip(shared, alone))


def test_one_encoding_per_distinct_context(task, node_data):
    split = task.split(node_data, DeletionRequest.nodes([int(node_data.splits["train"][0])]))
    model = task.new_model(node_data, seed=0).eval()
    batch = next(iter(task.batches(split.view("retain", on="retained"))))
    with counting() as work:
        here, there, again = task.forward(model, batch, batch.on(node_data), batch)
    assert work.encodings == 2
    assert torch.equal(here.outputs, again.outputs) and not torch.equal(here.outputs, there.outputs)


@pytest.mark.parametrize("training", [True, False])
def test_live_rows_only_equals_the_compact_graph(task, node_data, training):
    """BatchNorm would see emptied slots; with live rows only the result is that of the graph without them."""
    model = task.new_model(node_data, seed=0).train(training)
    after = remove_nodes(node_data, torch.arange(0, 24, 2))
    small, position = compact(after)
    encoding = task.encode(model, after)
    expected = model(small.x, small.edge_index)
    assert torch.allclose(encoding.outputs, expected, atol=1e-6)
    full = encoding.scattered(encoding.outputs, 24)
    assert torch.equal(full.isnan().any(1), ~after.alive) and torch.equal(full[after.alive], encoding.outputs)
    assert torch.equal(position >= 0, after.alive)


def test_dead_rows_read_as_nan_in_outputs_and_layers(task, node_data):
    model = task.new_model(node_data, seed=0).eval()
    after = remove_nodes(node_data, [2])
    batch = next(iter(task.batches(nodes_of(node_data, torch.tensor([1, 2, 3])))))
    forward = task.forward(model, batch.on(after), layers=["first", "norm"])[0]
    assert forward.outputs.isnan().any(1).tolist() == [False, True, False]
    assert forward.of_examples(forward.layers["first"]).isnan().any(1).tolist() == [False, True, False]


def test_per_id_tables_and_row_ids(node_data):
    class Table(nn.Module):
        """Reads n_id, as modules with one row per node must."""

        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(24, 3)
            self.seen: list[list[int]] = []

        def forward(self, x, edge_index, n_id):
            self.seen.append(row_ids().tolist())
            return self.table(n_id)

    model, task = Table(), NodeClassification()
    after = remove_nodes(node_data, [0, 5])
    outputs = task.predict(model, nodes_of(after, torch.tensor([1, 23])))
    assert torch.equal(outputs, model.table.weight[[1, 23]])
    assert model.seen == [[i for i in range(24) if i not in (0, 5)]]
    assert row_ids() is None


def test_context_is_memoised_dropped_with_the_data_and_follows_edits_in_place(task, node_data):
    data = remove_nodes(node_data, [0])
    first = task.context(data)
    assert task.context(data) is first and first.graph is first.graph
    data.x[3] = 9.0
    again = task.context(data)
    assert again is not first and bool((again.dense[again.rows(torch.tensor(3))] == 9).all())
    model = task.new_model(data, seed=0)
    assert not any("edge" in name or name == "x" for name in model.state_dict())  # no data in the model
    del data, first, again
    gc.collect()
    assert len(task._memo) == 0


def test_sparse_and_dense_features_agree(node_data):
    """A GCN of ours reads bag-of-words features sparse; the plain layer reads them dense."""
    x = (node_data.x > 2.2).float()
    dense = GraphData.create(node_data.edge_index, 24, x=x, y=node_data.y, splits=node_data.splits)
    sparse = GraphData.create(node_data.edge_index, 24, x=x.to_sparse_csr(), y=node_data.y, splits=node_data.splits)
    task = NodeClassification(build=lambda d: GCN(5, 4, 3))
    model = task.new_model(dense, seed=0)
    for ids in ([], [0, 7]):
        pair = [remove_nodes(d, ids) if ids else d for d in (dense, sparse)]
        outputs = [task.predict(model, nodes_of(d)) for d in pair]
        assert torch.allclose(*outputs, atol=1e-6) and len(outputs[0]) == 24 - len(ids)


@pytest.mark.parametrize("name", ["GCNConv", "SAGEConv"])
def test_a_plain_pyg_module_runs_unchanged(node_data, name):
    import torch_geometric.nn as pyg

    conv_type = getattr(pyg, name)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = conv_type(5, 8), conv_type(8, 3)

        def forward(self, x, edge_index):
            return self.conv2(self.conv1(x, edge_index).relu(), edge_index)

    task = NodeClassification(template=Net())
    model = task.new_model(node_data, seed=0)
    assert task.layer_names(model) == ["conv1", "conv2"]
    after = remove_nodes(node_data, [4])
    small, _ = compact(after)
    assert torch.allclose(task.predict(model, nodes_of(after)), model(small.x, small.edge_index), atol=1e-6)
    task.fit(model, node_data, seed=0, epochs=2)
    assert bool(task.predict(model, nodes_of(node_data)).isfinite().all())


def test_wrong_shapes_and_missing_features_are_refused(task, node_data):
    class Wrong(nn.Module):
        def forward(self, x, edge_index):
            return x[:2]

    with pytest.raises(InputError, match=r"one row per node, \[24, d\]; got \[2, 5\]"):
        task.predict(Wrong(), nodes_of(node_data))
    bare = GraphData.create(node_data.edge_index, 24, y=node_data.y, splits=node_data.splits)
    with pytest.raises(InputError, match="no node features x, which the model reads"):
        task.predict(task.new_model(node_data, seed=0), nodes_of(bare))


# ---- requests ---------------------------------------------------------------------------------------------
def test_nodes_edges_and_features_together(task, node_data):
    request = DeletionRequest.nodes([0]) | DeletionRequest.edges([[5], [4]]) | DeletionRequest.node_features([9, 0], columns=[1])
    split = task.split(node_data, request)
    after = split.retain_data
    pairs = {(u, v) for u, v in after.pairs().tolist()}
    assert pairs == {(u, v) for u, v in node_data.pairs().tolist() if u != 0 and (u, v) != (4, 5)}
    assert after.x[9, 1] == 0 and torch.equal(after.x[9, [0, 2, 3, 4]], node_data.x[9, [0, 2, 3, 4]])
    assert after.x[0].isnan().all() and not after.alive[0]
    assert split.request.ids("edge").tolist() == [[4, 5]]  # one id for both directions
    assert node_data.x.isfinite().all()
    unlinked = split.unlinked_data
    assert torch.equal(unlinked.edge_index, after.edge_index) and torch.equal(unlinked.x, node_data.x)
    assert {k: v.tolist() for k, v in split.deny.items()} == {"node": [0]}


def test_sequences_and_what_is_already_forgotten(task, node_data):
    first = DeletionRequest.nodes([0]) | DeletionRequest.node_features([9], columns=[1])
    second = DeletionRequest.edges([[4], [5]]) | DeletionRequest.node_features([9], columns=[2])
    one = task.split(node_data, first)
    two = task.split(one.retain_data, second)
    assert two.root[0] is node_data and two.root[1] == first | second
    assert two.retain_data.lineage.digests == (one.request.digest(), two.request.digest())
    batch = task.split(node_data, first | second)
    assert two.retain_data.digest() == batch.retain_data.digest()
    for again, sentence in (
        (DeletionRequest.nodes([0]), "nodes 0 are already forgotten"),
        (DeletionRequest.edges([[5], [4]]), r"edges \(4, 5\) are already forgotten"),
        (DeletionRequest.edges([[0], [1]]), r"edges \(0, 1\) are already forgotten"),
        (DeletionRequest.node_features([9], columns=[2]), "features of nodes 9 are already forgotten"),
    ):
        with pytest.raises(InputError, match=sentence):
            task.split(two.retain_data, again)


@pytest.mark.parametrize(
    "request_, sentence",
    [
        (DeletionRequest.nodes([24]), "unknown nodes 24: the graph has nodes 0 to 23"),
        (DeletionRequest.edges([[0], [40]]), "unknown nodes 40 in the requested edges"),
        (DeletionRequest.edges([[0], [12]]), r"unknown edges \(0, 12\): they are not in the graph"),
        (DeletionRequest.node_features([1], columns=[5]), "unknown feature column 5: x has columns 0 to 4"),
        (DeletionRequest.node_classes([3]), "unknown class 3"),
        (DeletionRequest.nodes(list(range(24))), "removes every node"),
        (DeletionRequest.users([0]), "cannot forget 'user' targets"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(task, node_data, request_, sentence):
    with pytest.raises(InputError, match=sentence):
        task.split(node_data, request_)


def test_region_and_near_follow_hops(task, node_data):
    split = task.split(node_data, DeletionRequest.edges([[12], [13]]))
    distance = split.region["distance"]
    assert distance[12] == distance[13] == 0 and distance[14] == 1 and distance[11] == 1
    assert torch.equal(split.region["nodes"], (distance >= 0) & (distance <= 2))
    near = task.near(split)
    assert torch.equal(torch.cat(list(near.values())).sort().values, split.retain)
    assert bool((distance[near["hop1"]].abs() <= 1).all()) and bool((distance[near["far"]] == -1).all())


def test_derived_edges_are_rebuilt_and_cannot_be_named(node_data):
    data = GraphData.create(None, 24, x=node_data.x, y=node_data.y, splits=node_data.splits, edge_rule=KNNRule(2), name="knn")
    task = NodeClassification(build=lambda d: GCN(5, 4, 3))
    hub = int(torch.bincount(data.edge_index[0]).argmax())
    split = task.split(data, DeletionRequest.nodes([hub]))
    expected = KNNRule(2).build(node_data.x, torch.arange(24) != hub)
    assert torch.equal(split.retain_data.edge_index, expected)
    dropped = data.edge_index[:, (data.edge_index != hub).all(0)]
    assert not torch.equal(expected, dropped)  # dropping the hub's own edges would have left its neighbours' lists short
    with pytest.raises(InputError, match="derived from its features"):
        task.split(data, DeletionRequest.edges(data.edge_index[:, :1]))


def test_derived_edges_of_forgotten_features_are_gone_in_every_later_context(node_data):
    data = GraphData.create(None, 24, x=node_data.x, y=node_data.y, splits=node_data.splits, edge_rule=KNNRule(2), name="knn")
    split = NodeClassification().split(data, DeletionRequest.node_features([3]) | DeletionRequest.nodes([5]))
    assert torch.equal(split.unlinked_data.edge_index, split.retain_data.edge_index)
    assert not (split.unlinked_data.edge_index == 3).any() and bool((data.edge_index == 3).any())
    assert torch.equal(split.unlinked_data.x, data.x)


def test_adopt_converts_and_checks(node_data, link_data):
    from graphforget.graphs import to_pyg

    adopted = NodeClassification().adopt(to_pyg(node_data))
    assert adopted.digest() == node_data.digest()
    assert NodeClassification().adopt(node_data) is node_data
    with pytest.raises(InputError, match="needs labels y"):
        NodeClassification().adopt(link_data)
    with pytest.raises(InputError, match="needs training nodes"):
        NodeClassification().adopt(GraphData.create(node_data.edge_index, 24, y=node_data.y))
    with pytest.raises(InputError, match="at least one edge"):
        LinkPrediction().adopt(GraphData.create(torch.empty(2, 0, dtype=torch.long), 3))
    with pytest.raises(InputError, match="num_hops must be 0 or more"):
        NodeClassification(num_hops=-1)


def test_affected_holds_every_node_whose_output_changes(plain):
    """Without node 0 its neighbour has another degree, so one hop more than the layers reach changes."""
    path = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]])
    edges = torch.cat([path, path.flip(1)]).t()
    splits = {"train": torch.arange(1, 6)}
    data = GraphData.create(edges, 6, x=torch.eye(6), y=torch.arange(6) % 2, splits=splits)
    task = NodeClassification(build=lambda d: GCN(6, 4, 2), num_hops=2)
    split, model = task.split(data, DeletionRequest.nodes([0])), task.new_model(data, seed=0)
    before, after = (task.predict(model, nodes_of(on, split.retain)) for on in (data, split.retain_data))
    changed = split.retain[((before - after).abs() > 1e-7).any(1)]
    assert changed.tolist() == [1, 2, 3] == split.affected.tolist()
