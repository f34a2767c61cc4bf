"""The audit finds what is planted in every kind of place, and nothing on models that hold nothing."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_geometric.nn import GCNConv, SAGEConv

import graphforget
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.tasks import LinkPrediction, NodeClassification
from graphforget.testing import tiny_case

N, F, DEAD = 24, 5, 7


@pytest.fixture(scope="module")
def graph() -> GraphData:
    g = torch.Generator().manual_seed(0)
    pairs = torch.randint(N, (60, 2), generator=g)
    ring = torch.stack([torch.arange(N), (torch.arange(N) + 1) % N], 1)
    pairs = torch.cat([ring, pairs[pairs[:, 0] != pairs[:, 1]]])
    edges = torch.unique(torch.cat([pairs, pairs.flip(1)]), dim=0).t()
    splits = {"train": torch.arange(16), "val": torch.arange(16, 20), "test": torch.arange(20, N)}
    return GraphData.create(edges, N, x=torch.randn(N, F, generator=g), y=torch.randint(3, (N,), generator=g), splits=splits)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = SAGEConv(F, 8), SAGEConv(8, 3)

    def forward(self, x, edge_index):
        return self.b(self.a(x, edge_index).relu(), edge_index)


class Rows(nn.Module):
    """A table read by the ids of nodes, as a parameter of its own."""

    def __init__(self, padding: int = 0) -> None:
        super().__init__()
        self.a = SAGEConv(F + 4, 3)
        self.rows = nn.Parameter(torch.randn(N + padding, 4))

    def forward(self, x, edge_index, n_id):
        return self.a(torch.cat([x, self.rows[n_id]], 1), edge_index)


class Columns(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = SAGEConv(F + 4, 3)
        self.columns = nn.Parameter(torch.randn(4, N))

    def forward(self, x, edge_index, n_id):
        return self.a(torch.cat([x, self.columns.t()[n_id]], 1), edge_index)


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.a = nn.Embedding(N, 4), SAGEConv(F + 4, 3)

    def forward(self, x, edge_index, n_id):
        return self.a(torch.cat([x, self.table(n_id)], 1), edge_index)


def planted(what: str, graph: GraphData) -> nn.Module:
    torch.manual_seed(0)
    if what in ("embedding", "rows", "columns"):
        return {"embedding": Embedded, "rows": Rows, "columns": Columns}[what]()
    model = Plain()
    if what == "buffer with a row per node":
        model.register_buffer("memory", torch.randn(N, 2))
    elif what == "buffer with a number per node":
        model.register_buffer("count", torch.arange(1, N + 1))
    elif what == "list of ids":
        model.register_buffer("seeds", torch.tensor([3, DEAD, 12]))
    elif what == "edges":
        model.register_buffer("edges", graph.edge_index.clone())
    elif what == "adjacency":
        model.register_buffer("adjacency", torch.zeros(N, N).index_put(tuple(graph.edge_index), torch.tensor(1.0)))
    elif what == "sparse adjacency":
        model.adjacency = torch.sparse_coo_tensor(graph.edge_index, torch.ones(graph.edge_index.size(1)), (N, N))
    elif what == "content":
        model.register_buffer("prototypes", graph.x[[1, DEAD]].clone())
    elif what == "attribute":
        model.last = {"x": [graph.x.clone()]}
    elif what == "number per edge":
        model.register_buffer("edge_norm", torch.rand(graph.edge_index.size(1)) + 1)
    elif what == "optimiser":
        net = Rows()
        net.optimiser = torch.optim.Adam(net.parameters())
        net(graph.x, graph.edge_index, torch.arange(N)).sum().backward()
        net.optimiser.step()
        return net
    return model


PLACES = {
    "embedding": "table.weight",
    "rows": "rows",
    "columns": "columns",
    "buffer with a row per node": "memory",
    "buffer with a number per node": "count",
    "list of ids": "seeds",
    "edges": "edges",
    "adjacency": "adjacency",
    "sparse adjacency": "adjacency",
    "content": "prototypes",
    "attribute": "last",
    "number per edge": "edge_norm",
    "optimiser": "optimiser",
}


@pytest.mark.parametrize("what", PLACES)
def test_a_planted_residue_is_found(what, graph):
    model = planted(what, graph)
    request = graphforget.DeletionRequest.nodes([DEAD])
    result = graphforget.unlearn(model, graph, request, task=NodeClassification(template=model), method="unlink")
    assert any(f"'{PLACES[what]}" in sentence for sentence in result.residue), result.residue


@pytest.mark.parametrize("what", ["embedding", "rows", "columns"])
def test_rows_that_a_fresh_model_has_are_put_back_after_any_method(what, graph):
    model = planted(what, graph)
    request = graphforget.DeletionRequest.nodes([DEAD])
    builders = {"embedding": Embedded, "rows": Rows, "columns": Columns}
    task = NodeClassification(build=lambda data: builders[what]())
    result = graphforget.unlearn(model, graph, request, task=task, method="finetune", epochs=1)
    assert result.residue == () and result.info["rows_put_back"] == {PLACES[what]: 1}
    before, after = (getattr(m, PLACES[what].partition(".")[0]) for m in (model, result.model))
    before, after = (t.weight if isinstance(t, nn.Embedding) else t for t in (before, after))
    if what == "columns":
        before, after = before.t(), after.t()
    assert float((before[DEAD] - after[DEAD]).norm()) > 0.5 * float(before[DEAD].norm())
    others = torch.arange(N) != DEAD
    assert float((before - after)[others].abs().max()) < 0.2


@pytest.mark.parametrize("model", [Plain, Rows, Embedded])
@pytest.mark.parametrize(
    "request_", [graphforget.DeletionRequest.edges(pairs=[[0, 1]]), graphforget.DeletionRequest.node_features([3])]
)
def test_a_deletion_of_no_node_says_nothing_of_tables(model, request_, graph):
    torch.manual_seed(0)
    result = graphforget.unlearn(model(), graph, request_, task="node_classification", method="unlink")
    assert result.residue == ()


def test_a_weight_matrix_as_wide_as_the_graph_is_no_table(graph):
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.norm, self.b = SAGEConv(F, N), nn.BatchNorm1d(N), SAGEConv(N, 3)

        def forward(self, x, edge_index):
            return self.b(self.norm(self.a(x, edge_index)).relu(), edge_index)

    torch.manual_seed(0)
    request = graphforget.DeletionRequest.nodes([DEAD])
    for method in ("unlink", "finetune"):
        assert graphforget.unlearn(Wide(), graph, request, task="node_classification", method=method).residue == ()


def test_one_hot_features_make_the_first_weights_a_table(graph):
    """A column of the first layer is then read by one node only."""
    one_hot = GraphData.create(graph.edge_index, N, x=torch.eye(N), y=graph.y, splits=graph.splits)

    class OneLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GCNConv(N, 3)

        def forward(self, x, edge_index):
            return self.conv(x, edge_index)

    torch.manual_seed(0)
    request = graphforget.DeletionRequest.nodes([DEAD])
    result = graphforget.unlearn(OneLayer(), one_hot, request, task="node_classification", method="unlink")
    assert result.residue == ("'conv.lin.weight' (parameter) still has the rows of node 7 as before the deletion",)


def test_a_cache_is_renewed_for_every_graph_that_is_read(graph):
    class Cached(nn.Module):
        def __init__(self, cached: bool) -> None:
            super().__init__()
            self.a, self.b = GCNConv(F, 8, cached=cached), GCNConv(8, 3, cached=cached)

        def forward(self, x, edge_index):
            return self.b(self.a(x, edge_index).relu(), edge_index)

    torch.manual_seed(0)
    model = Cached(True)
    plain = Cached(False)
    plain.load_state_dict(model.state_dict())
    model(graph.x, graph.edge_index)  # as after training: filled with the whole graph
    request = graphforget.DeletionRequest.edges(pairs=graph.pairs()[:9])
    for method, options in (("unlink", {}), ("finetune", {"epochs": 2}), ("d2dgn", {"epochs": 2})):
        found, expected = (
            graphforget.unlearn(m, graph, request, task=NodeClassification(template=m), method=method, **options)
            for m in (model, plain)
        )
        assert found.model.a._cached_edge_index is None
        edges = found.data.edge_index
        assert torch.allclose(found.model.eval()(graph.x, edges), expected.model.eval()(graph.x, edges), atol=1e-6)
        assert torch.allclose(
            found.task.predict(found.model, found.task.view(found.data, "test")),
            expected.task.predict(expected.model, expected.task.view(expected.data, "test")),
            atol=1e-6,
        )


def test_batch_norm_statistics_are_taken_from_retained_data(graph):
    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.a = nn.BatchNorm1d(F), SAGEConv(F, 3)

        def forward(self, x, edge_index):
            return self.a(self.norm(x), edge_index)

    torch.manual_seed(0)
    model = Normed()
    model.norm.running_mean.fill_(100.0)
    request = graphforget.DeletionRequest.nodes([DEAD])
    result = graphforget.unlearn(model, graph, request, task=NodeClassification(template=model), method="finetune", epochs=1)
    live = torch.arange(N) != DEAD
    assert result.info["statistics_renewed"] == 1
    assert torch.allclose(result.model.norm.running_mean, graph.x[live].mean(0), atol=1e-5)
    assert torch.allclose(result.model.norm.running_var, graph.x[live].var(0), atol=1e-4)
    kept = graphforget.unlearn(model, graph, request, task="node_classification", method="unlink")
    assert bool((kept.model.norm.running_mean == 100).all()), "a method that changes no weight leaves statistics alone"


def test_no_verdict_is_sufficient_while_something_is_left(graph):
    torch.manual_seed(0)
    model = Plain()
    task = NodeClassification(build=lambda data: Plain())
    request = graphforget.DeletionRequest.nodes([DEAD])
    clean = graphforget.unlearn(model, graph, request, task=task, method="retrain")
    holding = graphforget.unlearn(model, graph, request, task=task, method="retrain")
    holding.model.register_buffer("prototypes", graph.x[[DEAD]].clone())
    assert clean.residue == () and holding.audit() != ()
    labels = [graphforget.evaluate(one, gold=2, cache=False, margin=100.0).verdict for one in (clean, holding)]
    assert labels[0].label == "sufficient"
    assert labels[1].label == "insufficient" and "'prototypes' (buffer) holds 1 rows" in " ".join(labels[1].sentences)


@pytest.mark.parametrize("method", ["row_reset", "finetune", "mmrecun", "retrain"])
def test_rows_of_forgotten_items_are_not_left(method):
    case = tiny_case("recommendation")
    result = case.unlearn(method, "items")
    assert result.residue == ()


def test_links_with_a_table_of_nodes(graph):
    torch.manual_seed(0)
    model, request = Embedded(), graphforget.DeletionRequest.nodes([DEAD])
    result = graphforget.unlearn(model, graph, request, task=LinkPrediction(template=model), method="unlink")
    assert result.residue == ("'table.weight' (parameter) still has the rows of node 7 as before the deletion",)


@pytest.mark.parametrize("what", ["buffer with a row per node", "number per edge"])
def test_golds_inherit_no_buffer_of_the_data(what, graph):
    model = planted(what, graph)
    with pytest.raises(InputError, match=r"a fresh Plain would inherit the buffer .*, one row per (node|edge), .*pass build="):
        NodeClassification(template=model).new_model(graph, seed=0)
    NodeClassification(build=lambda data: planted(what, data)).new_model(graph, seed=0)
