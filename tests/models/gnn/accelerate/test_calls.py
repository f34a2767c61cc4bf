"""Every documented form of input of every helped layer, against PyG's own layer: outputs and gradients, or its refusal."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn
from torch_geometric import nn as pyg
from torch_geometric.data import Data
from torch_geometric.edge_index import EdgeIndex

from graphforget.models.gnn.accelerate import accelerate
from graphforget.models.gnn.accelerate.layers import LAYERS

from .conftest import F, N, assert_same, edge_index, filled, numbers, outcome

M = 9  # sources, where there are two kinds of nodes
MAKE = {
    "GCNConv": lambda: pyg.GCNConv(F, 4),
    "SAGEConv": lambda: pyg.SAGEConv(F, 4),
    "GraphConv": lambda: pyg.GraphConv(F, 4),
    "GINConv": lambda: pyg.GINConv(nn.Sequential(nn.Linear(F, 4), nn.ReLU(), nn.Linear(4, 3)), train_eps=True),
    "LGConv": lambda: pyg.LGConv(),
    "SGConv": lambda: pyg.SGConv(F, 4, K=2),
    "APPNP": lambda: pyg.APPNP(2, 0.2),
    "TAGConv": lambda: pyg.TAGConv(F, 4, K=2),
    "ChebConv": lambda: pyg.ChebConv(F, 4, K=3),
    "GATConv": lambda: pyg.GATConv(F, 3, heads=2),
    "RGCNConv": lambda: pyg.RGCNConv(F, 4, 3),
    "FastRGCNConv": lambda: pyg.FastRGCNConv(F, 4, 3),
    # The other order of operations, and what else changes the path of a call.
    "GCNConv wide": lambda: pyg.GCNConv(F, 9),
    "GCNConv raw": lambda: pyg.GCNConv(F, 4, normalize=False),
    "SAGEConv wide": lambda: pyg.SAGEConv(F, 9, aggr="sum", project=True),
    "GraphConv mean": lambda: pyg.GraphConv(F, 9, aggr="mean"),
    "GINConv wide": lambda: pyg.GINConv(nn.Linear(F, 9)),
    "LGConv raw": lambda: pyg.LGConv(normalize=False),
    "APPNP raw": lambda: pyg.APPNP(2, 0.2, normalize=False),
    "TAGConv wide": lambda: pyg.TAGConv(F, 9, K=2, normalize=False),
    "ChebConv wide": lambda: pyg.ChebConv(F, 9, K=3, normalization=None),
    "GATConv edges": lambda: pyg.GATConv(F, 3, heads=2, edge_dim=2),
    "GATConv no loops": lambda: pyg.GATConv(F, 3, add_self_loops=False, residual=True),
    "RGCNConv bases": lambda: pyg.RGCNConv(F, 9, 3, num_bases=2),
    "RGCNConv blocks": lambda: pyg.RGCNConv(F, 4, 3, num_blocks=2),
}
RELATIONAL = [name for name in MAKE if "RGCN" in name]
PLAIN = [name for name in MAKE if name not in RELATIONAL]
WEIGHTED = [name for name in PLAIN if name.split()[0] not in ("SAGEConv", "GINConv", "GATConv")]
PAIRS = [name for name in PLAIN if name.split()[0] in ("SAGEConv", "GraphConv", "GINConv", "GATConv")]


def layer_of(name, dtype=torch.float64):
    torch.manual_seed(0)
    return filled(MAKE[name]().to(dtype))


def arguments(name, x, edges):
    return [x, edges, *([torch.arange(edges.size(1)) % 3] if name in RELATIONAL else [])]


# ---- node features ---------------------------------------------------------------------------------------------
SPARSE = {
    "coo": lambda x: x.to_sparse(),
    "coo twice": lambda x: torch.sparse_coo_tensor([[1, 1, 3], [2, 2, 0]], torch.tensor([1.0, 2.0, -1.0]).to(x), x.shape),
    "csr": lambda x: x.to_sparse_csr(),
    "csc": lambda x: x.to_sparse_csc(),
    "bsr": lambda x: x.to_sparse_bsr((2, 2)),
}
FEATURES = {
    "dense": (lambda x: x, True),
    "learned": (lambda x: x.requires_grad_(), True),
    "mostly zero": (lambda x: x * (numbers(N, F, seed=9) > 1.2), True),
    "mostly zero and learned": (lambda x: (x * (numbers(N, F, seed=9) > 1.2)).requires_grad_(), True),
    "a parameter": (lambda x: nn.Parameter(x), True),
    "columns first": (lambda x: x.t().contiguous().t(), True),
    "every other row": (lambda x: x.repeat_interleave(2, 0)[::2], True),
    "broadcast": (lambda x: x[:1].expand(N, F), True),
    "all zero": (lambda x: torch.zeros_like(x), True),
    "not a number": (lambda x: x.index_fill(0, torch.tensor([3]), float("nan")), True),
    "a batch of matrices": (lambda x: torch.stack([x, 2 * x]), False),
    "whole numbers": (lambda x: (3 * x).long(), False),
    "node numbers": (lambda x: torch.arange(N) % F, False),
    "complex": (lambda x: torch.complex(x, x), False),
    "none": (lambda x: None, False),
    "list": (lambda x: [x, x], False),
    "no rows": (lambda x: x[:0], None),
}


@pytest.mark.parametrize("form", FEATURES)
@pytest.mark.parametrize("name", MAKE)
def test_features(name, form, compare):
    make, helped = FEATURES[form]
    helped = helped and name != "GATConv edges"
    edges = edge_index() if form != "no rows" else edge_index()[:, :0]
    ran = compare(layer_of(name), arguments(name, make(numbers(N, F)), edges))
    assert ran is None or helped is None or ran == helped
    if helped:
        assert ran


@pytest.mark.parametrize("layout", SPARSE)
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", MAKE)
def test_sparse_features(name, layout, learned, compare):
    x = SPARSE[layout](numbers(N, F) * (numbers(N, F, seed=9) > 1)).requires_grad_(learned)
    ran = compare(layer_of(name), arguments(name, x, edge_index()))
    if name.split()[0] == "GCNConv" and not learned and layout != "bsr":
        assert ran  # PyG takes them, so do the kernels


def two_kinds():
    generator = torch.Generator().manual_seed(8)
    return torch.stack([torch.randint(M, (30,), generator=generator), torch.randint(N, (30,), generator=generator)])


PAIR_FORMS = {
    "both": (lambda s, t: ((s, t), {}), True),
    "both learned": (lambda s, t: ((s.requires_grad_(), t.requires_grad_()), {}), True),
    "the same twice": (lambda s, t: ((t, t), {}), True),
    "sources only": (lambda s, t: ((s, None), {"size": (M, N)}), False),
    "sources only, size unknown": (lambda s, t: ((s, None), {}), False),
    "with size": (lambda s, t: ((s, t), {"size": (M, N)}), False),
    "with a wrong size": (lambda s, t: ((s, t), {"size": (M + 1, N)}), False),
    "list": (lambda s, t: ([s, t], {}), False),
    "three": (lambda s, t: ((s, t, t), {}), False),
    "sparse sources": (lambda s, t: ((s.to_sparse_csr(), t), {}), None),
}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("form", PAIR_FORMS)
@pytest.mark.parametrize("name", MAKE)
def test_two_kinds_of_nodes(name, form, backwards, compare):
    layer = layer_of(name)
    make, helped = PAIR_FORMS[form]
    helped = helped and name != "GATConv edges"
    x, extra = make(numbers(M, F), numbers(N, F, seed=6))
    edges = two_kinds()
    if backwards:
        layer.flow, edges = "target_to_source", edges.flip(0)
    extra = extra if name in PAIRS else {}
    ran = compare(layer, arguments(name, x, edges), extra)
    if name in PAIRS and helped and not backwards:
        assert ran
    assert ran is None or helped is None or not ran or (helped and not backwards)


@pytest.mark.parametrize("edge_dim", [None, 2])
@pytest.mark.parametrize("sizes", [(F, 4), (-1, -1)])
def test_two_kinds_of_nodes_of_two_widths(sizes, edge_dim, compare):
    source, target = numbers(M, F), numbers(N, 4, seed=6)
    options = {"add_self_loops": False, "residual": True, "edge_dim": edge_dim}
    for layer in (pyg.SAGEConv(sizes, 5), pyg.GraphConv(sizes, 5, aggr="mean"), pyg.GATConv(sizes, 5, heads=2, **options)):
        torch.manual_seed(0)
        ran = compare(filled(layer.double()), [(source, target), two_kinds()])
        assert ran == (not isinstance(layer, pyg.GATConv) or edge_dim is None)


# ---- edges -----------------------------------------------------------------------------------------------------
def adjacency(values=None):
    edges = edge_index().unique(dim=1)
    values = torch.ones(edges.size(1), dtype=torch.float64) if values is None else values
    return torch.sparse_coo_tensor(edges.flip(0), values, (N, N)).coalesce()


EDGES = {
    "int64": (lambda e: e, True),
    "one by one": (lambda e: e.t().contiguous().t(), True),
    "a part of a tensor": (lambda e: torch.cat([e, e], 1)[:, : e.size(1)], True),
    "none": (lambda e: e[:, :0], None),
    "loops only": (lambda e: e[:, -4:], None),
    "one edge": (lambda e: e[:, :1], True),
    "int16": (lambda e: e.short(), False),
    "floating point": (lambda e: e.double(), False),
    "bool": (lambda e: e.bool(), False),
    "three rows": (lambda e: e[[0, 1, 1]], False),
    "a row": (lambda e: e[0], False),
    "node of no row": (lambda e: torch.cat([e, torch.tensor([[N], [0]])], 1), None),
    "negative": (lambda e: torch.cat([e, torch.tensor([[-1], [0]])], 1), None),
    "EdgeIndex": (lambda e: EdgeIndex(e, sparse_size=(N, N)), False),
    "EdgeIndex by target": (lambda e: EdgeIndex(e, sparse_size=(N, N)).sort_by("col")[0], False),
    "COO": (lambda e: adjacency(), False),
    "CSR": (lambda e: adjacency().to_sparse_csr(), False),
    "CSC": (lambda e: adjacency().to_sparse_csc(), False),
    "numpy": (lambda e: e.numpy(), False),
    "nothing": (lambda e: None, False),
}


@pytest.mark.parametrize("form", EDGES)
@pytest.mark.parametrize("name", MAKE)
def test_edges(name, form, compare):
    make, helped = EDGES[form]
    helped = helped and name != "GATConv edges"
    args = arguments(name, numbers(N, F).requires_grad_(), edge_index())
    args[1] = make(args[1])
    if name in RELATIONAL and isinstance(args[1], torch.Tensor) and args[1].dim() == 2 and args[1].layout == torch.strided:
        args[2] = torch.arange(args[1].size(1)) % 3
    ran = compare(layer_of(name), args)
    assert ran is None or helped is None or ran == helped
    if helped:
        assert ran


@pytest.mark.parametrize("name", MAKE)
def test_edges_of_32_bits_give_what_those_of_64_bits_give(name):
    """PyG itself refuses some, and has wrong gradients of others where torch misreads them (gather, with an expanded int32 index)."""
    layer, args = layer_of(name), arguments(name, numbers(N, F).requires_grad_(), edge_index())
    expected = outcome(layer, args)
    if name == "GATConv edges":
        return
    args[1] = args[1].int()
    assert_same(outcome(accelerate(layer), args), expected)
    assert layer.left is None


def test_sparse_tensors_of_torch_sparse():
    torch_sparse = pytest.importorskip("torch_sparse")
    edges = edge_index()
    adj = torch_sparse.SparseTensor(row=edges[1], col=edges[0], sparse_sizes=(N, N))
    for name in PLAIN:
        layer = layer_of(name, torch.float32)
        expected = layer(numbers(N, F, dtype=torch.float32), adj)
        assert torch.equal(accelerate(layer)(numbers(N, F, dtype=torch.float32), adj), expected)
        assert layer.left == "edges are no plain tensor"


# ---- weights and features of edges -----------------------------------------------------------------------------
WEIGHTS = {
    "plain": (lambda w: w, True),
    "learned": (lambda w: w.requires_grad_(), True),
    "a parameter": (lambda w: nn.Parameter(w), True),
    "ones": (lambda w: torch.ones_like(w), True),
    "zeros": (lambda w: torch.zeros_like(w), True),
    "every other": (lambda w: w.repeat_interleave(2)[::2], True),
    "a column": (lambda w: w.unsqueeze(1), False),
    "whole numbers": (lambda w: torch.ones_like(w).long(), False),
    "float32": (lambda w: w.float(), False),
    "too few": (lambda w: w[:-1], False),
    "one for all": (lambda w: w[:1], False),
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize("name", WEIGHTED)
def test_edge_weights(name, form, by_name, compare):
    make, helped = WEIGHTS[form]
    weight = make(numbers(edge_index().size(1), seed=7).abs() + 0.1)
    args = [numbers(N, F).requires_grad_(), edge_index()]
    ran = compare(layer_of(name), args, {"edge_weight": weight}) if by_name else compare(layer_of(name), [*args, weight])
    assert ran is None or ran == helped
    if helped:
        assert ran


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_in_a_sparse_matrix_of_edges(name, compare):
    matrix = adjacency(numbers(edge_index().unique(dim=1).size(1), seed=7).abs())
    for adj in (matrix, matrix.to_sparse_csr()):
        assert compare(layer_of(name), [numbers(N, F), adj]) in (False, None)


GAT_CALLS = {
    "edge_attr": lambda a: {"edge_attr": a},
    "learned edge_attr": lambda a: {"edge_attr": a.requires_grad_()},
    "edge_attr of one number": lambda a: {"edge_attr": a[:, 0]},
    "weights asked for": lambda a: {"return_attention_weights": True},
    "weights asked for with False": lambda a: {"return_attention_weights": False},
    "weights asked for with 1": lambda a: {"return_attention_weights": 1},
    "not asked for": lambda a: {"return_attention_weights": None},
    "size": lambda a: {"size": (N, N)},
    "all": lambda a: {"edge_attr": a, "size": (N, N), "return_attention_weights": True},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", GAT_CALLS)
@pytest.mark.parametrize("options", [{}, {"edge_dim": 2, "fill_value": "add"}, {"edge_dim": 2, "fill_value": torch.ones(2)}])
def test_what_attention_may_be_given(options, form, training, compare):
    layer = filled(pyg.GATConv(F, 3, heads=2, dropout=0.4, **options).double()).train(training)
    extra = GAT_CALLS[form](numbers(edge_index().size(1), 2, seed=7))
    ran = compare(layer, [numbers(N, F).requires_grad_(), edge_index()], extra)
    assert ran is None or ran == (form == "not asked for" and not options)


@pytest.mark.parametrize("batch", [None, torch.arange(N) // 6])
@pytest.mark.parametrize("lambda_max", [None, 1.7, torch.tensor(1.7, dtype=torch.float64), torch.tensor([1.5, 1.9]).double()])
def test_what_a_chebyshev_layer_may_be_given(batch, lambda_max, compare):
    ran = compare(layer_of("ChebConv"), [numbers(N, F), edge_index()], {"batch": batch, "lambda_max": lambda_max})
    assert ran is None or ran == (batch is None and lambda_max is None)


RELATIONS = {
    "int64": (lambda t: t, True),
    "int32": (lambda t: t.int(), True),
    "one only": (lambda t: torch.zeros_like(t), True),
    "sorted": (lambda t: t.sort().values, True),
    "bool": (lambda t: t.bool(), False),
    "int8": (lambda t: t.to(torch.int8), False),
    "floating point": (lambda t: t.double(), False),
    "a column": (lambda t: t.unsqueeze(1), False),
    "too few": (lambda t: t[:-1], False),
    "unknown": (lambda t: t + 2, None),
    "negative": (lambda t: t - 1, None),
    "none": (lambda t: None, False),
}


@pytest.mark.parametrize("form", RELATIONS)
@pytest.mark.parametrize("name", RELATIONAL)
def test_relations(name, form, compare):
    make, helped = RELATIONS[form]
    edges = edge_index()
    ran = compare(layer_of(name), [numbers(N, F).requires_grad_(), edges, make(torch.arange(edges.size(1)) % 3)])
    assert ran is None or helped is None or ran == helped
    if helped:
        assert ran


@pytest.mark.parametrize("form", ["nothing", "node numbers", "numbers of both", "two matrices"])
@pytest.mark.parametrize("kind", [pyg.RGCNConv, pyg.FastRGCNConv])
@pytest.mark.parametrize("options", [{}, {"num_bases": 2}, {"num_blocks": 2}])
def test_relational_layers_without_features(kind, form, options, compare):
    edges, few = edge_index(), torch.arange(N).flip(0)
    x = {
        "nothing": None,
        "node numbers": few,
        "numbers of both": (few, few),
        "two matrices": (numbers(N, N), numbers(N, N, seed=6)),
    }
    layer = filled(kind(N, 4, 3, **options).double())
    ran = compare(layer, [x[form], edges, torch.arange(edges.size(1)) % 3])
    assert ran is None or ran == (form == "nothing")


# ---- types of numbers ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MAKE)
def test_float32(name, compare):
    args = arguments(name, numbers(N, F, dtype=torch.float32).requires_grad_(), edge_index())
    assert compare(layer_of(name, torch.float32), args, tolerance=1e-5) == ("edges" not in name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", MAKE)
def test_half_types_are_as_near_to_the_truth_as_pygs(name, dtype):
    layer, exact, x = layer_of(name, dtype), layer_of(name), numbers(N, F, dtype=dtype)
    exact.load_state_dict({key: value.double() for key, value in layer.state_dict().items()})
    truth = exact(*arguments(name, x.double(), edge_index()))
    theirs = layer(*arguments(name, x, edge_index()))
    ours = accelerate(layer)(*arguments(name, x, edge_index()))
    assert ours.dtype == theirs.dtype
    worst, scale = float((theirs.double() - truth).abs().max()), float(truth.abs().max())
    assert float((ours.double() - truth).abs().max()) <= 2 * worst + torch.finfo(dtype).eps * scale


@pytest.mark.parametrize("name", RELATIONAL)
def test_relations_are_added_up_in_the_default_type(name, compare):
    before = torch.get_default_dtype()
    args = arguments(name, numbers(N, F, dtype=torch.float32), edge_index())
    layer = layer_of(name, torch.float32)
    try:
        torch.set_default_dtype(torch.float64)
        compare(layer, args, tolerance=1e-5)  # types are compared too
    finally:
        torch.set_default_dtype(before)


# ---- nothing is forgotten --------------------------------------------------------------------------------------
def test_every_parameter_of_every_call_is_here():
    given = {
        "x",
        "edge_index",
        "edge_weight",
        "size",
        "edge_attr",
        "return_attention_weights",
        "batch",
        "lambda_max",
        "edge_type",
    }
    asked = {name for layer in LAYERS for name in inspect.signature(layer.stock().forward).parameters}
    assert asked - {"self"} <= given
    assert {layer.stock().__name__ for layer in LAYERS} <= set(MAKE)


def test_the_graph_of_these_tests_has_everything():
    data = Data(edge_index=edge_index(), num_nodes=N)
    assert data.has_isolated_nodes() and data.has_self_loops() and not data.is_coalesced()
