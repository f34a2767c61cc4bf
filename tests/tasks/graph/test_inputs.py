"""A model is called with what its forward asks for by name, in full, in regions and in mini-batches, or refused in a sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.nn import GATv2Conv, GCNConv, GraphConv, NNConv, RGCNConv, SAGEConv, Sequential
from torch_geometric.transforms import ToSparseTensor
from torch_geometric.utils import to_undirected

import graphforget
from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, remove_edges
from graphforget.tasks import LinkPrediction, NodeClassification

N, F, C = 30, 6, 3


@pytest.fixture(scope="module")
def graph() -> GraphData:
    g = torch.Generator().manual_seed(1)
    edges = to_undirected(torch.randint(N, (2, 45), generator=g))
    edges = edges[:, edges[0] != edges[1]]
    count = edges.size(1)
    return GraphData.create(
        edges,
        N,
        x=torch.randn(N, F, generator=g),
        y=torch.randint(C, (N,), generator=g),
        splits={"train": torch.arange(18), "val": torch.arange(18, 24), "test": torch.arange(24, N)},
        edge_data={
            "edge_weight": torch.rand(count, generator=g) + 0.2,  # each direction its own
            "edge_attr": torch.randn(count, 4, generator=g),
            "edge_type": torch.randint(2, (count,), generator=g),
        },
        node_data={"node_type": torch.randint(2, (N,), generator=g)},
    )


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = GCNConv(F, 8), GCNConv(8, C)

    def forward(self, x, edge_index, edge_weight=None):
        return self.b(self.a(x, edge_index, edge_weight).relu(), edge_index, edge_weight)


class WithEdges(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = GATv2Conv(F, 8, edge_dim=4), GATv2Conv(8, C, edge_dim=4)

    def forward(self, x, edge_index, edge_attr):
        return self.b(self.a(x, edge_index, edge_attr).relu(), edge_index, edge_attr)


class Relational(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = RGCNConv(F, 8, 2), RGCNConv(8, C, 2)

    def forward(self, x, edge_index, edge_type):
        return self.b(self.a(x, edge_index, edge_type).relu(), edge_index, edge_type)


class Filtered(nn.Module):
    """Keyword only, in another order, with types of nodes."""

    def __init__(self):
        super().__init__()
        self.types, self.a = nn.Embedding(2, F), NNConv(F, C, nn.Linear(4, F * C))

    def forward(self, edge_index, *, node_type, edge_attr, x):
        return self.a(x + self.types(node_type), edge_index, edge_attr)


class OfData(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = GraphConv(F, C)

    def forward(self, data):
        return self.a(data.x, data.edge_index, data.edge_weight)


class Transposed(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = SAGEConv(F, 8), SAGEConv(8, C)

    def forward(self, x, adj_t):
        return self.b(self.a(x, adj_t).relu(), adj_t)


def by_hand(model: nn.Module, data: GraphData) -> torch.Tensor:
    """The module called as its author calls it; every node of these graphs is alive."""
    t = {**data.edge_data, **data.node_data}
    if isinstance(model, Weighted):
        return model(data.x, data.edge_index, t["edge_weight"])
    if isinstance(model, WithEdges):
        return model(data.x, data.edge_index, t["edge_attr"])
    if isinstance(model, Relational):
        return model(data.x, data.edge_index, t["edge_type"])
    if isinstance(model, Filtered):
        return model(data.edge_index, node_type=t["node_type"], edge_attr=t["edge_attr"], x=data.x)
    if isinstance(model, OfData):
        return model.a(data.x, data.edge_index, t["edge_weight"])
    pyg = Data(edge_index=data.edge_index, edge_weight=t["edge_weight"], num_nodes=N)  # PyG puts edge_weight into adj_t
    return model(data.x, ToSparseTensor(layout=torch.sparse_csr)(pyg).adj_t)


MODELS = (Weighted, WithEdges, Relational, Filtered, OfData, Transposed)


@pytest.mark.filterwarnings("ignore:.*does not read")
@pytest.mark.parametrize("build", MODELS)
def test_outputs_are_those_of_the_module_called_by_hand_in_every_path(build, graph):
    torch.manual_seed(0)
    model = build().eval()
    request = graphforget.DeletionRequest.edges(pairs=graph.pairs()[[0, 5, 9]])
    for recipe in (Recipe(), Recipe(eval_batch_size=4)):
        task = NodeClassification(num_hops=2, template=model, recipe=recipe)
        split = task.split(graph, request)
        for data in (graph, split.retain_data):
            view = task.view(data, "test")
            torch.testing.assert_close(task.predict(model, view), by_hand(model, data)[view.index].detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(by_hand(model, split.retain_data), by_hand(model, remove_edges(graph, graph.pairs()[[0, 5, 9]])))
    after = by_hand(model, split.retain_data).detach()
    result = graphforget.unlearn(model, graph, request, task=NodeClassification(template=model), method="unlink", scope="region")
    rows = result.state["rows"]
    torch.testing.assert_close(result.state["outputs"], after[rows], rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*does not read")
@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("method", ["finetune", "d2dgn", "retrain"])
def test_methods_run_and_forget_nodes_of_such_models(build, method, graph):
    torch.manual_seed(0)
    model = build()
    task = NodeClassification(num_hops=2, template=model, recipe=Recipe(epochs=2))
    options = {} if method == "retrain" else {"epochs": 1}
    result = graphforget.unlearn(model, graph, graphforget.DeletionRequest.nodes([3, 4]), task=task, method=method, **options)
    assert result.changed_parameters and bool(torch.isfinite(task.predict(result.model, task.view(result.data, "test"))).all())


@pytest.mark.filterwarnings("ignore:.*does not read")
def test_mini_batches_train_with_tables(graph):
    task = NodeClassification(num_hops=2, build=lambda d: WithEdges(), recipe=Recipe(epochs=2, batch_size=6, fanout=(3, 3)))
    log = task.fit(task.new_model(graph, seed=0), graph, seed=0)
    assert log.epochs == 2


@pytest.mark.filterwarnings("ignore:.*does not read")
def test_links_with_weights(graph):
    torch.manual_seed(0)
    model = Weighted()
    task = LinkPrediction(template=model)
    data = GraphData.create(graph.edge_index, N, x=graph.x, edge_data=dict(graph.edge_data))
    view = task.view(data, "train")
    z = by_hand(model, data)
    torch.testing.assert_close(task.predict(model, view)[: len(view)], (z[view.index[:, 0]] * z[view.index[:, 1]]).sum(1).detach())


def test_wrappers_are_looked_through(graph):
    torch.manual_seed(0)
    inner = Weighted()
    chain = Sequential(
        "x, edge_index, edge_weight",
        [(GCNConv(F, 8), "x, edge_index, edge_weight -> x"), (GCNConv(8, C), "x, edge_index, edge_weight -> x")],
    )
    task = NodeClassification(template=inner)
    expected = by_hand(inner.eval(), graph).detach()
    view = task.view(graph, "test")
    for wrapped in (torch.compile(inner, backend="eager"), nn.DataParallel(inner)):
        torch.testing.assert_close(task.predict(wrapped, view), expected[view.index])
    weight = graph.edge_data["edge_weight"]
    with torch.no_grad():
        torch.testing.assert_close(task.predict(chain, view), chain(graph.x, graph.edge_index, weight)[view.index])


class Asks(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = GCNConv(F, C)

    def forward(self, x, edge_index, edge_time):
        return self.a(x, edge_index)


class Dense(Asks):
    def forward(self, x, adj):
        return x


class NoEdges(Asks):
    def forward(self, x, mask):
        return x


class Closure(Asks):
    def forward(self):
        return 0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Asks, r"Asks\.forward\(x, edge_index, edge_time\) asks for 'edge_time', and the graph has no such table: give it as data\.edge_time"),
        (Dense, r"Dense\.forward\(x, adj\) asks for 'adj', and no one can tell how it is to be normalised: take edge_index"),
        (Closure, r"forward\(\) of Closure takes no graph, so it answers for the one that it holds: write forward\(x, edge_index\)"),
    ],
)
def test_what_is_not_there_is_refused_before_any_compute(model, words, graph):
    with pytest.raises(InputError, match=words):
        graphforget.unlearn(model(), graph, graphforget.DeletionRequest.nodes([3]), task="node_classification", method="finetune")


def test_what_is_not_read_is_said_once(graph, recwarn):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = SAGEConv(F, C)

        def forward(self, features, edge_index):
            return self.a(features, edge_index)

    task = NodeClassification()
    for _ in range(3):
        task.predict(Plain(), task.view(graph, "test"))
    said = [str(w.message) for w in recwarn if "does not read" in str(w.message)]
    assert len(said) == 1 and said[0].startswith("Plain.forward(features, edge_index) does not read edge_attr, edge_type, edge_weight,")
