"""Accelerated PyG models against themselves unaccelerated: outputs, gradients, what is listed, copies, other graphs, saving."""

from __future__ import annotations

import copy
import gc
import io
import subprocess
import sys
import warnings
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric import nn as pyg
from torch_geometric.data import Data

import graphforget
from graphforget import DeletionRequest, InputError
from graphforget.base.memo import shared
from graphforget.kernels import SparseGraph
from graphforget.kernels.backends import reference
from graphforget.models.gnn.accelerate import accelerate, undo
from graphforget.models.gnn.accelerate.inputs import edge_index_of
from graphforget.tasks import NodeClassification

N, F = 12, 7
LAYERS = {
    "gcn": lambda: pyg.GCNConv(F, 4),
    "gcn widens": lambda: pyg.GCNConv(F, 9),
    "gcn improved": lambda: pyg.GCNConv(F, 4, improved=True, bias=False),
    "gcn no loops": lambda: pyg.GCNConv(F, 4, add_self_loops=False),
    "gcn raw": lambda: pyg.GCNConv(F, 4, normalize=False),
    "gcn cached": lambda: pyg.GCNConv(F, 4, cached=True),
    "gcn backwards": lambda: pyg.GCNConv(F, 4, flow="target_to_source"),
    "sage": lambda: pyg.SAGEConv(F, 4),
    "sage widens": lambda: pyg.SAGEConv(F, 9, aggr="sum", bias=False),
    "sage project": lambda: pyg.SAGEConv(F, 4, project=True, normalize=True, root_weight=False),
    "sage backwards": lambda: pyg.SAGEConv(F, 4, flow="target_to_source"),
    "graph": lambda: pyg.GraphConv(F, 4),
    "graph mean": lambda: pyg.GraphConv(F, 9, aggr="mean"),
    "gin": lambda: pyg.GINConv(nn.Sequential(nn.Linear(F, 4), nn.ReLU(), nn.Linear(4, 3)), eps=0.3, train_eps=True),
    "gin widens": lambda: pyg.GINConv(nn.Sequential(pyg.Linear(F, 9), nn.ReLU())),
    "gin mlp": lambda: pyg.GINConv(pyg.MLP([F, 4, 4], norm=None)),
    "gin mean": lambda: pyg.GINConv(nn.Sequential(nn.Linear(F, 4)), aggr="mean"),
    "lg": lambda: pyg.LGConv(),
    "lg raw": lambda: pyg.LGConv(normalize=False),
    "gat": lambda: pyg.GATConv(F, 3, heads=2),
    "gat mean": lambda: pyg.GATConv(F, 3, heads=3, concat=False, negative_slope=0.1, bias=False),
    "gat no loops": lambda: pyg.GATConv(F, 3, add_self_loops=False, residual=True),
    "gat dropout": lambda: pyg.GATConv(F, 3, heads=2, dropout=0.4),
    "gat backwards": lambda: pyg.GATConv(F, 3, flow="target_to_source"),
    "sg": lambda: pyg.SGConv(F, 4, K=2),
    "sg widens": lambda: pyg.SGConv(F, 9, K=2, bias=False),
    "sg cached": lambda: pyg.SGConv(F, 4, K=2, cached=True),
    "appnp": lambda: pyg.APPNP(3, 0.2),
    "appnp dropout": lambda: pyg.APPNP(2, 0.2, dropout=0.4),
    "appnp raw": lambda: pyg.APPNP(2, 0.2, normalize=False),
    "tag": lambda: pyg.TAGConv(F, 4, K=2),
    "tag widens": lambda: pyg.TAGConv(F, 9, K=2, normalize=False, bias=False),
    "cheb": lambda: pyg.ChebConv(F, 4, K=4),
    "cheb 1": lambda: pyg.ChebConv(F, 4, K=1),
    "cheb 2": lambda: pyg.ChebConv(F, 4, K=2, normalization="rw"),
    "cheb widens": lambda: pyg.ChebConv(F, 9, K=3, normalization=None, bias=False),
    "gcn model": lambda: pyg.GCN(F, 5, 3, 4, dropout=0.3),
    "gat model": lambda: pyg.GAT(F, 6, 2, 4, heads=2, norm="batch_norm"),
    "gin model": lambda: pyg.GIN(F, 5, 2, 4, jk="cat"),
    "sage model": lambda: pyg.GraphSAGE(F, 5, 3, 4),
    "sequential": lambda: pyg.Sequential(
        "x, edge_index", [(pyg.GCNConv(F, 5), "x, edge_index -> x"), nn.ReLU(), nn.Linear(5, 3)]
    ),
}
WEIGHTED = [n for n in LAYERS if n.partition(" ")[0] in ("gcn", "graph", "lg", "sg", "appnp", "tag", "cheb") and "model" not in n]


def graphs():
    generator = torch.Generator().manual_seed(3)
    directed = torch.randint(9, (2, 30), generator=generator)  # nodes 9 to 11 are isolated, some edges are double
    undirected = torch.cat([directed, directed.flip(0)], 1)
    return {
        "directed": directed[:, directed[0] != directed[1]],
        "undirected": undirected,
        "loops": torch.cat([undirected, torch.tensor([[2, 5, 5, 11], [2, 5, 5, 11]])], 1),
        "empty": directed[:, :0],
    }


def features(dtype=torch.float64, share=1.0):
    generator = torch.Generator().manual_seed(4)
    mask = torch.rand(N, F, generator=generator) < share
    return (torch.randn(N, F, generator=generator, dtype=dtype) * mask).to(dtype)


def pair(name, dtype=torch.float64):
    torch.manual_seed(0)
    model = LAYERS[name]().to(dtype)
    with torch.no_grad():  # biases too must matter
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return accelerate(copy.deepcopy(model)), model


def run(model, x, edge_index, *weight, seed=0):
    """(output, gradients of parameters and of the inputs that want one)."""
    model.zero_grad()
    inputs = [t for t in (x, *weight) if t.requires_grad]
    for t in inputs:
        t.grad = None
    torch.manual_seed(seed)
    out = model(x, edge_index, *weight)
    if out.requires_grad:
        target = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
        (out * target).sum().backward()
    return [out.detach(), *(p.grad for p in model.parameters()), *(t.grad for t in inputs)]


def same(ours, theirs, tolerance=1e-10):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if a is None or b is None:
            assert (a is None and b is None) or not torch.any((b if a is None else a) != 0)
            continue
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = max(1.0, float(b.abs().max()) if b.numel() else 0.0)
        assert float((a - b).abs().max() if a.numel() else 0.0) <= tolerance * scale


@pytest.mark.parametrize("share", [1.0, 0.1])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_those_of_pyg(name, share):
    for edges in graphs().values():
        if edges.size(1) == 0 and name.startswith("cheb"):
            continue  # PyG takes the maximum of no weights
        for grad in (False, True):
            ours, theirs = pair(name)
            assert ours.acceleration.helped and not ours.acceleration.not_helped
            x = features(share=share).requires_grad_(grad)
            for _ in range(2):  # made, then kept; what PyG caches has no gradient, and is the first graph
                same(run(ours, x, edges), run(copy.deepcopy(theirs), x, edges))


@pytest.mark.parametrize("name", LAYERS)
def test_float32_and_evaluation(name):
    ours, theirs = pair(name, torch.float32)
    x, edges = features(torch.float32), graphs()["loops"]
    same(run(ours, x, edges), run(theirs, x, edges), 1e-5)
    ours.eval(), theirs.eval()
    with torch.no_grad():
        assert torch.allclose(ours(x, edges), theirs(x, edges), atol=1e-5)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", WEIGHTED)
def test_edge_weights(name, learned):
    edges = graphs()["loops"]
    weight = torch.rand(edges.size(1), dtype=torch.float64, generator=torch.Generator().manual_seed(5)) + 0.1
    ours, theirs = pair(name)
    for values in (weight, weight.flip(0)):
        values = values.clone().requires_grad_(learned)
        for _ in range(2):
            same(run(ours, features(), edges, values), run(copy.deepcopy(theirs), features(), edges, values), 1e-9)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(LAYERS)), st.integers(1, N), st.data())
def test_any_small_graph(name, n, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=20))
    edges = torch.tensor(pairs, dtype=torch.long).t().contiguous()
    if name.startswith("cheb") and bool((edges[0] == edges[1]).all()):
        return  # the largest Laplacian weight is 0: PyG divides by it
    ours, theirs = pair(name)
    x = features()[: max(n, 2)]  # batch norm wants two rows
    same(run(ours, x, edges), run(copy.deepcopy(theirs), x, edges), 1e-9)


@pytest.mark.parametrize(
    "conv",
    [pyg.SAGEConv((F, 4), 5), pyg.GraphConv((F, 4), 5), pyg.GATConv((F, 4), 5), pyg.GATConv((F, 4), 5, add_self_loops=False)],
)
def test_two_kinds_of_nodes(conv):
    ours = accelerate(copy.deepcopy(conv))
    source, target, edges = torch.randn(6, F), torch.randn(8, 4), torch.stack([torch.randint(6, (15,)), torch.randint(8, (15,))])
    assert torch.allclose(ours((source, target), edges), conv((source, target), edges), atol=1e-5)


@pytest.mark.parametrize("name", ["rgcn", "fast", "bases", "blocks", "sum"])
def test_relations(name):
    options = {"bases": {"num_bases": 2}, "blocks": {"num_blocks": 2}, "sum": {"aggr": "sum", "bias": False}}.get(name, {})
    kind = pyg.FastRGCNConv if name == "fast" else pyg.RGCNConv
    torch.manual_seed(0)
    theirs = kind(6, 4, 3, **options).double()
    ours = accelerate(copy.deepcopy(theirs))
    edges = graphs()["loops"]
    types = torch.randint(2, (edges.size(1),), generator=torch.Generator().manual_seed(6))  # the last relation is empty
    assert ours.acceleration.helped
    for share in (1.0, 0.1):
        for _ in range(2):
            x = features(share=share)[:, :6]
            same(run(ours, x, edges, types), run(theirs, x, edges, types))
    types[0] = 2
    same(run(ours, x, edges, types), run(theirs, x, edges, types))
    if name != "blocks":
        named = kind(N, 4, 3, **options)
        assert torch.allclose(accelerate(copy.deepcopy(named))(None, edges, types), named(None, edges, types), atol=1e-5)


# ---- what is not helped ---------------------------------------------------------------------------------------
class Doubled(pyg.GCNConv):
    def message(self, x_j, edge_weight):
        return 2 * super().message(x_j, edge_weight)


def hooked(conv, how):
    getattr(conv, how)(lambda *_: None)
    return conv


def explained(conv):
    conv.explain = True
    return conv


@pytest.mark.parametrize(
    "layer, word",
    [
        (Doubled(F, 4), "subclass of GCNConv"),
        (pyg.GATv2Conv(F, 4), "GATv2Conv has no kernel"),
        (pyg.SAGEConv(F, 4, aggr="median"), "aggr='median'"),
        (pyg.SAGEConv(F, 4, aggr="max"), "aggr='max'"),
        (pyg.GATConv(F, 4, edge_dim=2), "edge_dim"),
        (pyg.GCNConv(F, 4, decomposed_layers=2), "decomposed_layers"),
        (hooked(pyg.GCNConv(F, 4), "register_message_forward_hook"), "hooks"),
        (hooked(pyg.SAGEConv(F, 4), "register_propagate_forward_pre_hook"), "hooks"),
        (explained(pyg.GCNConv(F, 4)), "explained"),
    ],
)
def test_what_is_not_helped_is_listed_and_untouched(layer, word):
    net = nn.ModuleDict({"good": pyg.GCNConv(F, 4), "left": layer})
    kind = type(layer)
    report = accelerate(net).acceleration
    assert [r.name for r in report.helped] == ["good"]
    (left,) = report.not_helped
    assert (left.name, left.kind) == ("left", kind.__name__) and word in left.reason
    assert type(layer) is kind
    assert "1 of 2" in str(report) and f"left ({kind.__name__})" in str(report) and word in str(report)


def test_a_model_without_such_layers_gets_a_warning_and_ours_none():
    with pytest.warns(UserWarning, match="no layer of Linear"):
        accelerate(nn.Linear(2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert accelerate(graphforget.models.GCN(2, 2, 2)).acceleration.helped == ()


def test_calls_without_a_kernel_take_pygs_path():
    edges, x = graphs()["undirected"], features(torch.float32)
    for name, call in {
        "gcn": lambda m: m(x, csr(edges)),
        "sage": lambda m: m((x, None), edges, size=(N, N)),
        "gat": lambda m: m(x, edges, return_attention_weights=True)[1][1],
        "graph": lambda m: m(x, edges, torch.ones(edges.size(1), 1)),
    }.items():
        ours, theirs = pair(name, torch.float32)
        assert torch.equal(call(ours), call(theirs))
        assert id(edges) not in shared._slots
    ours, theirs = pair("gcn", torch.float32)
    hooked(ours, "register_message_forward_hook"), hooked(theirs, "register_message_forward_hook")  # after the fact
    assert torch.equal(ours(x, edges), theirs(x, edges)) and id(edges) not in shared._slots


def csr(edges):
    return torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1)), (N, N)).coalesce().to_sparse_csr()


def test_hooks_on_an_inner_linear_layer_are_called_with_what_pyg_gives_them():
    seen = []
    for model in pair("gcn"):
        model.lin.register_forward_hook(lambda _m, _i, out: seen.append(out))
        model(features(share=0.1), graphs()["loops"])
    assert len(seen) == 2 and torch.equal(*seen)


def test_a_lazy_layer_is_sized_by_its_first_call():
    torch.manual_seed(0)
    theirs = pyg.GCNConv(-1, 4)
    ours = accelerate(copy.deepcopy(theirs))
    x, edges = features(torch.float32), graphs()["loops"]
    torch.manual_seed(1)
    expected = theirs(x, edges)
    torch.manual_seed(1)
    assert torch.allclose(ours(x, edges), expected, atol=1e-5)


# ---- state, copies, other graphs ------------------------------------------------------------------------------
def test_parameters_state_and_class_stay_and_undo_restores():
    model = pyg.GCN(F, 5, 2, 4)
    parameters, state, kind = dict(model.named_parameters()), copy.deepcopy(model.state_dict()), type(model.convs[0])
    assert accelerate(model) is model and type(model) is pyg.GCN and isinstance(model.convs[0], kind)
    assert all(p is parameters[n] for n, p in model.named_parameters())
    assert list(model.state_dict()) == list(state) and repr(model.convs[0]) == "GCNConv(7, 5)"
    model.load_state_dict(state)
    hooks = len(model._forward_pre_hooks)
    accelerate(model)
    assert len(model._forward_pre_hooks) == hooks == 1  # twice is once
    undo(model)
    assert type(model.convs[0]) is kind and not model._forward_pre_hooks and not hasattr(model, "acceleration")
    undo(model)


def test_copies_stay_accelerated_and_follow_the_graph_they_are_given():
    ours, theirs = pair("gcn cached")
    x, edges = features(), graphs()["loops"]
    ours(x, edges)
    twin = copy.deepcopy(ours)
    assert type(twin) is type(ours) is not type(theirs) and twin.acceleration == ours.acceleration
    fewer = edges[:, 5:]
    for model in (ours, twin):
        assert torch.allclose(model(x, fewer), copy.deepcopy(theirs)(x, fewer))
        assert torch.allclose(model(x[:9], graphs()["undirected"]), copy.deepcopy(theirs)(x[:9], graphs()["undirected"]))
    buffer = io.BytesIO()
    torch.save(twin, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    assert torch.equal(again(x, fewer), twin(x, fewer)) and type(again) is type(twin)


@pytest.mark.parametrize("name", ["gcn", "sage", "gat", "sg cached", "cheb"])
def test_tensors_edited_in_place_are_read_anew(name):
    ours, theirs = pair(name)
    x, edges = features(share=0.1), graphs()["directed"].clone()
    ours(x, edges)
    edges[:, :4] = torch.tensor([[0], [1]])
    assert torch.allclose(ours(x, edges), copy.deepcopy(theirs)(x, edges))
    x[3] += 1
    assert torch.allclose(ours(x, edges), copy.deepcopy(theirs)(x, edges))


def test_what_is_kept_goes_with_the_tensor():
    ours, _ = pair("gcn")
    gc.collect()
    before = len(shared)
    x, edges = features(share=0.1), graphs()["loops"]
    ours(x, edges).sum().backward()
    assert len(shared) == before + 2
    assert isinstance(shared.peek(x, "features"), SparseGraph)
    del x, edges
    gc.collect()
    assert len(shared) == before


def test_a_sparse_graph_that_was_given_goes_when_nobody_holds_it():
    ours, _ = pair("gcn")
    graph, x = SparseGraph.from_edge_index(graphs()["loops"], N), SparseGraph.from_dense(features(share=0.1))
    ours(x, graph).sum().backward()
    left = [weakref.ref(graph), weakref.ref(x)]
    before = len(shared)
    del graph, x
    gc.collect()
    assert [ref() for ref in left] == [None, None] and len(shared) == before - 4  # both, and the tensors made of them


def test_hidden_activations_are_not_sorted_out_in_evaluation():
    model = accelerate(pyg.GCN(F, 5, 2, 4)).eval()
    x, edges = features(torch.float32, 0.1), graphs()["loops"]
    gc.collect()
    before = len(shared)
    with torch.no_grad():
        model(x, edges)
    assert len(shared) == before + 2  # x and edges


def test_inference_mode_first_and_training_after():
    ours, theirs = pair("gcn")
    x, edges = features(share=0.1), graphs()["loops"]
    with torch.inference_mode():
        first = ours(x, edges)
        made_inside = ours(x.clone(), edges.clone())
    assert torch.allclose(first, theirs(x, edges)) and torch.allclose(made_inside, first)
    same(run(ours, x, edges), run(theirs, x, edges))


def test_second_derivatives():
    ours, _ = pair("gcn")
    x, edges = features()[:4], torch.tensor([[0, 1, 2, 2], [1, 2, 0, 3]])
    weights = tuple(p.detach().clone().requires_grad_() for p in ours.parameters())
    edge_weight = torch.rand(4, dtype=torch.float64, requires_grad=True)
    names = [n for n, _ in ours.named_parameters()]

    def f(edge_weight, *weights):
        return torch.func.functional_call(ours, dict(zip(names, weights, strict=True)), (x, edges, edge_weight))

    assert torch.autograd.gradcheck(f, (edge_weight, *weights)) and torch.autograd.gradgradcheck(f, (edge_weight, *weights))


def test_a_sparse_graph_and_sparse_features_may_be_given():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = pyg.SAGEConv(F, 4)

        def forward(self, x, edge_index):
            assert x.shape == (N, F) and edge_index.shape[0] == 2  # the user's code sees tensors
            return self.conv(x * 1.0, edge_index)

    net, x, edges = Net(), features(torch.float32, 0.1), graphs()["loops"]
    expected = net(x, edges)
    accelerate(net, Data(x=x, edge_index=edges))
    graph, sparse = SparseGraph.from_edge_index(edges, N), SparseGraph.from_dense(x)
    assert torch.allclose(net(x, graph), expected, atol=1e-6)
    assert torch.allclose(net(sparse, edge_index=graph), expected, atol=1e-6)
    assert edge_index_of(graph) is edge_index_of(graph)
    with pytest.raises(InputError, match="without weights"):
        net(x, graph.gcn_norm())


def test_a_forced_backend_is_used(monkeypatch):
    calls = []
    inner = reference.spmm
    monkeypatch.setattr(reference, "spmm", lambda *a: calls.append(1) or inner(*a))
    x, edges = features(torch.float32), graphs()["loops"]
    ours, theirs = pair("gcn", torch.float32)
    ours(x, edges)
    assert not calls
    forced = accelerate(copy.deepcopy(theirs), backend="reference")
    forced(x, edges).sum().backward()
    assert len(calls) == 2  # forward and backward; x needs no gradient, the product does
    calls.clear()
    forced.acceleration.apply(copy.deepcopy(theirs))(x, edges)
    assert calls


def test_bad_input_is_one_sentence():
    with pytest.raises(InputError, match="torch.nn.Module"):
        accelerate("gcn")
    with pytest.raises(InputError, match="edge_index"):
        accelerate(pyg.GCNConv(F, 4), torch.eye(3))
    with pytest.raises(InputError, match="unknown kernel backend"):
        accelerate(pyg.GCNConv(F, 4), backend="cpux")
    with pytest.raises(InputError, match="12 rows"):
        accelerate(pyg.SAGEConv(F, 4))(features(torch.float32), torch.tensor([[0], [12]]))


# ---- with the rest of the library -----------------------------------------------------------------------------
class Net(nn.Module):
    def __init__(self, in_channels=F, out_channels=3):
        super().__init__()
        self.config = {"in_channels": in_channels, "out_channels": out_channels}
        self.first, self.second = pyg.GCNConv(in_channels, 6), pyg.GATConv(6, out_channels, dropout=0.2)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


def data():
    y = torch.arange(N) % 3
    return Data(x=features(torch.float32), edge_index=graphs()["undirected"], y=y, train_mask=torch.arange(N) < 9)


@pytest.mark.parametrize("what", ["nodes", "edges"])
def test_unlearning_gives_the_same_model(what):
    torch.manual_seed(0)
    plain, graph = Net(), data()
    asked = DeletionRequest.nodes([1, 4]) if what == "nodes" else DeletionRequest.edges(graph.edge_index[:, :2])
    fast = graphforget.accelerate(copy.deepcopy(plain), graph)
    results = [
        graphforget.unlearn(m, graph, asked, task="node_classification", method="finetune", epochs=5, seed=0)
        for m in (plain, fast)
    ]
    ours = results[1].model
    assert len(ours.acceleration.helped) == 2 and type(ours.first) is type(fast.first)
    for name, value in results[0].model.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], value, atol=1e-4), name
    assert not torch.equal(ours.first.lin.weight, plain.first.lin.weight)
    task = NodeClassification(template=fast)
    fresh = task.new_model(task.adopt(graph), seed=0)
    assert torch.isfinite(fresh(graph.x, graph.edge_index)).all()


def test_saving_and_loading(tmp_path):
    model = accelerate(Net()).eval()
    graphforget.save_model(model, tmp_path / "saved")
    loaded, _ = graphforget.load_model(tmp_path / "saved", model=Net())
    x, edges = features(torch.float32), graphs()["loops"]
    assert torch.allclose(loaded.eval()(x, edges), model(x, edges), atol=1e-5)
    again, _ = graphforget.load_model(tmp_path / "saved", model=accelerate(Net()))
    assert torch.equal(again.eval()(x, edges), model(x, edges))


def test_pyg_is_imported_only_when_a_model_is_accelerated():
    code = "from graphforget import accelerate; import sys; assert 'torch_geometric' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
