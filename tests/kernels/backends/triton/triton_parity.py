"""Parity of the Triton backend with the reference: forward, every gradient, every storage type, the awkward graphs.

``test_triton.py`` runs this file in a process of its own: on the CPU with the interpreter (which must be asked for before Triton is
imported, and takes about half a millisecond per step, hence the small graphs), and unchanged on a CUDA device.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from graphforget import kernels
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.kernels.backends import choose, reference
from graphforget.kernels.backends.triton import buckets as triton_buckets
from graphforget.kernels.backends.triton import operations as backend
from graphforget.kernels.backends.triton.buckets import PART, SHORT
from graphforget.kernels.masked import masked_spmm

DEVICE = torch.device("cpu" if backend.INTERPRETED else "cuda")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1.5e-2, torch.float16: 2e-3}
TYPES = [torch.float32, torch.bfloat16, torch.float16]


def random(*size, seed=0, dtype=torch.float32):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def draw(high, count, seed):
    return torch.randint(high, (count,), generator=torch.Generator().manual_seed(seed))


def _edges(source, target, n, index=torch.long):
    return SparseGraph.from_edge_index(torch.stack([torch.as_tensor(source), torch.as_tensor(target)]).to(index), n).to(DEVICE)


def _undirected():
    u, v = draw(20, 40, 1), draw(20, 40, 2)
    return _edges(torch.cat([u, v, torch.arange(20)]), torch.cat([v, u, torch.arange(20)]), 20)


def _hub():
    """Node 0 has more entries than a part, twice over in its row and column; node 1 is long, node 2 ends a bucket."""
    many, long, short = PART + 9, SHORT + 5, SHORT
    source = torch.cat(
        [draw(40, many, 3), draw(40, long, 4), draw(40, short, 5), torch.zeros(30, dtype=torch.long), draw(40, 60, 6)]
    )
    target = torch.cat(
        [torch.full((many,), 0), torch.full((long,), 1), torch.full((short,), 2), draw(40, 30, 7), 3 + draw(30, 60, 8)]
    )
    return _edges(source, target, 40)


GRAPHS = {
    "directed": lambda: _edges(draw(30, 120, 9), draw(30, 120, 10), 30, torch.int32),
    "undirected with self-loops": _undirected,
    "empty rows, an isolated node, duplicates": lambda: _edges([0, 0, 0, 4, 4, 2, 2], [1, 1, 1, 1, 4, 4, 4], 7, torch.int32),
    "one node": lambda: _edges([], [], 1, torch.int32),
    "one node with a self-loop": lambda: _edges([0], [0], 1),
    "hub": _hub,
    "hub, transposed": lambda: _hub().transpose(),
    "rectangular": lambda: SparseGraph(torch.tensor([0, 2, 2, 5]), torch.tensor([0, 3, 1, 1, 2]), num_cols=4).to(DEVICE),
}


def derive(function, leaves, name):
    """The result and the gradients of all leaves."""
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    out = function(*leaves, backend=name)
    # A multiple of 1/16: the same number in every type.
    pull = random(*out.shape, seed=99).mul(16).round().div(16)
    pull = pull.abs() if all(bool((t >= 0).all()) for t in leaves) else pull
    return [out.detach(), *torch.autograd.grad(out, leaves, pull.to(out.dtype))]


def agree(function, *leaves, linear=True):
    """The backend agrees with the reference in float64, relative to the sum of absolute terms (or to the largest result)."""
    dtype = leaves[0].dtype
    found = derive(function, leaves, "triton")
    wanted = derive(function, [t.double() for t in leaves], "reference")
    scales = derive(function, [t.double().abs() for t in leaves], "reference") if linear else wanted
    for one, other, scale in zip(found, wanted, scales):
        assert one.dtype == dtype and one.shape == other.shape
        if one.numel():
            error = (one.double() - other).abs() / ((scale if linear else scale.abs().max()) + 1)
            assert float(error.max()) < TOLERANCE[dtype]


@pytest.fixture(scope="module")
def graph(request):
    return GRAPHS[request.param]()


def on_graphs(*types, only=GRAPHS):
    """Each graph with each type, the rarer types on the hub alone."""
    pairs = [(name, dtype) for name in only for dtype in types if dtype in TYPES[:2] or name == "hub"]
    ids = [f"{name}, {str(dtype).removeprefix('torch.')}" for name, dtype in pairs]
    return pytest.mark.parametrize("graph, dtype", pairs, indirect=["graph"], ids=ids)


every_graph = pytest.mark.parametrize("graph", GRAPHS, indirect=True)


@on_graphs(*TYPES, torch.float64)
def test_weighted_sums(graph, dtype):
    def function(x, weight, *, backend):
        return kernels.spmm(graph.with_weight(weight), x, "sum", backend=backend)

    agree(function, random(graph.num_cols, 20, dtype=dtype), random(graph.num_edges, seed=1, dtype=dtype))


@every_graph
def test_means_without_weights(graph):
    agree(lambda x, backend: kernels.spmm(graph, x, "mean", backend=backend), random(graph.num_cols, 1))


@pytest.mark.parametrize("graph", ["directed"], indirect=True)
def test_rows_wider_than_a_block(graph):
    agree(lambda x, backend: kernels.spmm(graph, x, backend=backend), random(graph.num_cols, 150))


@on_graphs(*TYPES)
def test_listed_rows(graph, dtype):
    rows = torch.tensor([0, graph.num_rows - 1, graph.num_rows // 2, 0], device=DEVICE)
    constant = graph.with_weight(random(graph.num_edges, seed=1, dtype=dtype).abs())

    def function(x, *, backend):
        return kernels.spmm_rows(constant.to(dtype=x.dtype), x, rows, backend=backend)

    agree(function, random(graph.num_cols, 20, dtype=dtype))


@every_graph
def test_no_rows_listed(graph):
    x = random(graph.num_cols, 3)
    assert kernels.spmm_rows(graph, x, torch.zeros(0, dtype=torch.long, device=DEVICE), backend="triton").shape == (0, 3)


@on_graphs(*TYPES)
def test_kept_entries(graph, dtype):
    keep = draw(2, graph.num_edges, 11).bool().to(DEVICE)

    def function(x, weight, *, backend):
        return masked_spmm(graph.with_weight(weight), x, keep, backend=backend)

    agree(function, random(graph.num_cols, 20, dtype=dtype), random(graph.num_edges, seed=1, dtype=dtype))


@every_graph
def test_what_is_masked_out_is_not_read(graph):
    x = random(graph.num_cols, 4)
    x[0] = torch.nan
    out = backend.masked_spmm(graph, None, x, graph.col != 0)
    assert bool(out.isfinite().all())


@on_graphs(*TYPES)
def test_scaling_both_sides_equals_weights(graph, dtype):
    left, right = random(graph.num_rows, seed=1, dtype=dtype).abs(), random(graph.num_cols, seed=2, dtype=dtype).abs()
    x = random(graph.num_cols, 33, dtype=dtype)
    weight = left.double()[graph.row.long()] * right.double()[graph.col.long()]
    wanted, scale = (reference.spmm(graph, weight, t) for t in (x.double(), x.double().abs()))
    error = (backend.scaled_spmm(graph, x, left, right).double() - wanted).abs() / (scale + 1)
    assert float(error.max()) < TOLERANCE[dtype]


@every_graph
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("weighted", [True, False])
def test_extremes_are_the_same_entries(graph, reduce, weighted):
    # Few values, so that there are ties, and what compares badly.
    x = random(graph.num_cols, 5).mul(2).round()
    x.view(-1)[:4] = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0], device=DEVICE)[: x.numel()]
    weight = random(graph.num_edges, seed=1).round() if weighted else None
    found, wanted = (module.extreme_entry(graph, weight, x, reduce == "max") for module in (backend, reference))
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("dtype", TYPES)
def test_extremes_and_their_gradients(dtype):
    graph = GRAPHS["hub"]()
    agree(lambda x, backend: kernels.spmm(graph, x, "max", backend=backend), random(graph.num_cols, 9, dtype=dtype), linear=False)


@on_graphs(*TYPES)
def test_dot_products_along_entries(graph, dtype):
    def function(a, b, *, backend):
        return kernels.sddmm(graph, a, b, backend=backend)

    agree(function, random(graph.num_rows, 33, dtype=dtype), random(graph.num_cols, 33, seed=1, dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
def test_dot_products_of_pairs(dtype):
    pairs = torch.stack([draw(30, 70, 1), draw(30, 70, 2)], 1).to(DEVICE)
    agree(lambda z, backend: kernels.pair_scores(z, pairs, backend=backend), random(30, 20, dtype=dtype))


@every_graph
def test_softmax_and_sums_of_entries(graph):
    def function(scores, *, backend):
        with kernels.using(backend):
            return kernels.edge_softmax(graph, scores)

    agree(function, random(graph.num_edges, 3), linear=False)


def attention(graph, dtype, heads, width):
    def function(x, source, target, *, backend):
        return kernels.gat_aggregate(graph, x, source, target, backend=backend)

    x = random(graph.num_cols, heads, width, dtype=dtype)
    agree(
        function,
        x,
        random(graph.num_cols, heads, seed=1, dtype=dtype),
        random(graph.num_rows, heads, seed=2, dtype=dtype),
        linear=False,
    )


@on_graphs(*TYPES)
def test_attention(graph, dtype):
    attention(graph, dtype, 3, 5)


@pytest.mark.parametrize("graph", ["directed"], indirect=True)
@pytest.mark.parametrize("heads, width", [(1, 1), (2, 70), (9, 16)])
def test_heads_of_other_sizes(graph, heads, width):
    attention(graph, torch.float32, heads, width)


@on_graphs(torch.float32, torch.bfloat16, torch.float64)
def test_attention_with_dropped_weights(graph, dtype):
    keep = draw(2, graph.num_edges * 3, 12).view(-1, 3).to(DEVICE, dtype) * 2
    leaves = [random(graph.num_cols, 3, 5), random(graph.num_cols, 3, seed=1), random(graph.num_rows, 3, seed=2)]
    leaves, grad = [t.to(dtype) for t in leaves], random(graph.num_rows, 3, 5, seed=3).to(dtype)
    results = []
    for module, kind in ((backend, dtype), (reference, torch.float64)):
        values, factor = [t.to(kind) for t in leaves], keep.to(kind)
        saved = module.gat_forward(graph, *values, 0.1, factor)
        results.append([saved[0], *module.gat_backward(graph, *values, 0.1, factor, saved, grad.to(kind))])
    for found, wanted in zip(*results):
        assert found.dtype == dtype
        assert float((found.double() - wanted).abs().max()) <= TOLERANCE[dtype] * (1 + float(wanted.abs().max()))


def test_attention_is_stable_for_large_scores():
    graph = GRAPHS["hub"]()
    x, source, target = random(40, 2, 4), random(40, 2, seed=1) * 1e4, random(40, 2, seed=2) * 1e4
    found, wanted = (kernels.gat_aggregate(graph, x, source, target, backend=name) for name in ("triton", "reference"))
    assert bool(found.isfinite().all()) and torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", [*TYPES, torch.float64])
def test_bpr_triples(dtype):
    user, item = random(9, 20, dtype=dtype), random(PART + 90, 20, seed=1, dtype=dtype)
    triples = torch.stack([draw(9, 600, 1), draw(PART + 90, 600, 2), draw(PART + 90, 600, 3)], 1).to(DEVICE)
    triples[: PART + 40, 1] = 5  # an item that everybody likes: a hub
    loss, slope = backend.bpr_forward(user, item, triples)
    grad = random(600, seed=4).to(dtype)
    found = [loss, *backend.bpr_backward(user, item, triples, slope, grad)]
    leaves = [t.double().requires_grad_() for t in (user, item)]
    margin = (leaves[0][triples[:, 0]] * (leaves[1][triples[:, 1]] - leaves[1][triples[:, 2]])).sum(1)
    wanted = F.softplus(-margin)
    for one, other in zip(found, [wanted.detach(), *torch.autograd.grad(wanted, leaves, grad.double())]):
        assert one.dtype == dtype
        assert float((one.double() - other).abs().max()) <= TOLERANCE[dtype] * (1 + float(other.abs().max()))


@pytest.mark.parametrize("dtype", TYPES)
def test_bpr_loss(dtype):
    triples = torch.stack([draw(9, 80, 1), draw(12, 80, 2), draw(12, 80, 3)], 1).to(DEVICE, torch.int32)

    def function(user, item, bias, *, backend):
        return kernels.bpr_loss(user, item, triples, item_bias=bias, reduction="none", backend=backend)

    agree(function, random(9, 7, dtype=dtype), random(12, 7, seed=1, dtype=dtype), random(12, seed=2, dtype=dtype), linear=False)


def test_second_derivatives():
    graph = GRAPHS["rectangular"]()
    triples = torch.tensor([[0, 1, 2], [1, 2, 3], [1, 0, 1]], device=DEVICE)

    def function(x, source, target, *, backend):
        attended = kernels.gat_aggregate(graph, x, source, target, backend=backend)
        summed = kernels.spmm(graph, x[:, 0], backend=backend)
        ranked = kernels.bpr_loss(x[:, 0], x[:, 1], triples, backend=backend)
        loss = attended.square().sum() + summed.pow(3).sum() + ranked
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, [x, source, target], create_graph=True)])

    agree(function, random(4, 2, 3), random(4, 2, seed=1), random(3, 2, seed=2), linear=False)


def test_bpr_keeps_the_digits_of_small_losses_and_does_not_overflow():
    user, item = torch.ones(1, 1, device=DEVICE), torch.tensor([[0.0], [25.0], [-200.0]], device=DEVICE)
    triples = torch.tensor([[0, 1, 0], [0, 2, 0]], device=DEVICE)
    loss, slope = backend.bpr_forward(user, item, triples)
    assert torch.allclose(loss, torch.tensor([1.3887944e-11, 200.0], device=DEVICE), rtol=1e-5, atol=0)
    assert torch.allclose(slope, torch.tensor([-1.3887944e-11, -1.0], device=DEVICE), rtol=1e-5, atol=0)


def test_hubs_of_more_parts_than_are_joined_at_once(monkeypatch):
    monkeypatch.setattr(triton_buckets, "PART", 16)
    graph = GRAPHS["hub"]()
    assert len(triton_buckets.buckets(graph.rowptr).joins) == 3
    agree(lambda x, backend: kernels.spmm(graph, x, backend=backend), random(40, 70))
    agree(lambda x, backend: kernels.spmm(graph, x, "min", backend=backend), random(40, 70).round(), linear=False)
    attention(graph, torch.float32, 1, 16)


def test_the_same_bits_twice():
    graph = GRAPHS["hub"]()
    x, weight = random(40, 2, 8), random(graph.num_edges, seed=1)
    scores, pull = random(40, 2, seed=2), random(40, 2, 8, seed=3)
    triples = torch.stack([draw(40, 200, 4), draw(3, 200, 5), draw(40, 200, 6)], 1).to(DEVICE)

    def run():
        saved = backend.gat_forward(graph, x, scores, scores, 0.2, None)
        loss, slope = backend.bpr_forward(x[:, 0], x[:, 1], triples)
        yield backend.spmm(graph, weight, x[:, 0])
        yield backend.masked_spmm(graph, weight, x[:, 0], weight > 0)
        yield backend.spmm_rows(graph, weight, x[:, 0], torch.arange(5, device=DEVICE))
        yield backend.scaled_spmm(graph, x[:, 0], scores[:, 0], scores[:, 1])
        yield backend.segment_sum(graph.rowptr, None, weight.unsqueeze(-1))
        yield from saved
        yield from backend.gat_backward(graph, x, scores, scores, 0.2, None, saved, pull)
        yield loss
        yield from backend.bpr_backward(x[:, 0], x[:, 1], triples, slope, random(200, seed=5))

    first, second = list(run()), list(run())
    assert len(first) == 15 and all(torch.equal(one, other) for one, other in zip(first, second))


def test_rows_do_not_depend_on_their_company():
    graph, x = GRAPHS["hub"](), random(40, 20)
    rows = torch.tensor([5, 0, 1, 2], device=DEVICE)
    assert torch.equal(backend.spmm_rows(graph, None, x, rows), backend.spmm(graph, None, x)[rows])


def test_empty_widths_and_types_that_no_kernel_takes():
    graph = GRAPHS["directed"]()
    assert backend.spmm(graph, None, random(30, 0)).shape == (30, 0)
    assert backend.extreme_entry(graph, None, random(30, 0), True).shape == (30, 0)
    with pytest.raises(InputError, match="takes torch.float32.*got torch.complex64"):
        backend.spmm(graph, None, random(30, 2).to(torch.complex64))


def test_it_is_chosen_where_it_runs():
    assert choose("spmm_rows", DEVICE, "triton") is backend.spmm_rows
    if DEVICE.type == "cuda":
        assert choose("gat_forward", DEVICE) is backend.gat_forward
