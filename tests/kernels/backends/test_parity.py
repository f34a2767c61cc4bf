"""Every operation on every backend, dtype and kind of graph against the reference in float64: values and all gradients.

The product of half-precision inputs is compared with that of the same rounded inputs. A backend that needs a process or a
device of its own is added to ``RUNS`` with a mark.
"""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from graphforget.kernels import SparseGraph, masked_spmm, pair_scores, sddmm, spmm, spmm_rows, sum_edges, using
from graphforget.kernels.backends import cpu, cuda, reference

#: (backend, device): "cuda" is torch's CSR product, which the CPU has too.
RUNS = [
    ("reference", "cpu"),
    ("cpu", "cpu"),
    ("cuda", "cpu"),
    pytest.param("reference", "cuda", marks=pytest.mark.gpu),
    pytest.param("cuda", "cuda", marks=pytest.mark.gpu),
]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2**-7}
WIDTH = 3


def seeded(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def edges(pairs, n, index_type=torch.long):
    return SparseGraph.from_edge_index(torch.tensor(pairs, dtype=index_type).view(-1, 2).t(), n)


def power_law(n=120, longest=7000):
    degree = (longest / torch.arange(1, n + 1).double() ** 1.5).long()
    degree[n // 2 :] = 0
    rowptr = torch.cat([torch.zeros(1, dtype=torch.long), degree.cumsum(0)])
    col = torch.randint(n, (int(rowptr[-1]),), generator=torch.Generator().manual_seed(0))
    return SparseGraph(rowptr, col)


GRAPHS = {
    "directed": edges([(0, 1), (1, 2), (3, 2), (2, 0)], 4),
    "directed, int32": edges([(0, 1), (1, 2), (3, 2), (2, 0)], 4, torch.int32),
    "undirected": edges([(0, 1), (1, 0), (1, 2), (2, 1)], 3),
    "empty rows": edges([(0, 3), (1, 3), (2, 3)], 6),
    "self-loop": edges([(0, 0), (0, 1), (1, 0), (2, 2)], 3),
    "isolated": edges([(1, 2), (2, 1)], 5),
    "single node": edges([(0, 0)], 1),
    "no entry": edges([], 3),
    "duplicates": edges([(0, 1), (0, 1), (0, 1), (1, 0), (2, 1)], 3),
    "rectangular": SparseGraph(torch.tensor([0, 2, 2, 5]), torch.tensor([0, 3, 1, 1, 2]), num_cols=4),
    "power law": power_law(),
}
assert int(GRAPHS["power law"].degree().max()) == 7000


def bits(graph, some=2):
    """One entry in ``some`` is dropped."""
    return torch.arange(graph.num_edges, device=graph.device) % some != some - 1


def some_rows(graph):
    return torch.cat([torch.arange(graph.num_rows).flip(0), torch.tensor([0, 0])])[::2].to(graph.device)


def heads(x):
    return torch.cat([x, x * 2], 1)


#: name: (function of the graph and its inputs, which inputs it takes). Inputs: n = [rows, d], m = [columns, d], e = [entries],
#: h = [entries, d].
OPS = {
    "spmm": (lambda g, x: spmm(g, x), "m"),
    "spmm, constant weights": (lambda g, x: spmm(g.with_weight(WEIGHT(g, x)), x), "m"),
    "spmm, learned weights": (lambda g, x, w: spmm(g.with_weight(w), x), "me"),
    "spmm mean": (lambda g, x, w: spmm(g.with_weight(w), x, "mean"), "me"),
    "spmm max": (lambda g, x, w: spmm(g.with_weight(w), x, "max"), "me"),
    "spmm min": (lambda g, x: spmm(g, x, "min"), "m"),
    "spmm_rows": (lambda g, x: spmm_rows(g, x, some_rows(g)), "m"),
    "spmm_rows, constant weights": (lambda g, x: spmm_rows(g.with_weight(WEIGHT(g, x)), x, some_rows(g)), "m"),
    "spmm_rows mean": (lambda g, x, w: spmm_rows(g.with_weight(w), x, some_rows(g), "mean"), "me"),
    "masked_spmm, half": (lambda g, x: masked_spmm(g, x, bits(g)), "m"),
    "masked_spmm, few": (lambda g, x, w: masked_spmm(g.with_weight(w), x, bits(g, max(g.num_edges, 2))), "me"),
    "masked_spmm mean": (lambda g, x, w: masked_spmm(g.with_weight(w), x, bits(g), "mean"), "me"),
    "sddmm": (lambda g, a, b: sddmm(g, a, b), "nm"),
    "sum_edges": (lambda g, h: torch.cat([sum_edges(g, h, "row"), sum_edges(g, h, "col")]), "h"),
    "pair_scores": (lambda g, z: pair_scores(z, g.transpose().to_edge_index().t()), "square m"),
}
#: What a backend leaves to another one; a forced backend refuses it.
ABSENT = {"cuda": {"spmm, learned weights", "spmm mean", "spmm max", "spmm min", "masked_spmm, few", "masked_spmm mean", "sddmm",
                   "spmm_rows mean", "sum_edges", "pair_scores"}}  # fmt: skip


def WEIGHT(graph, like):
    return seeded(graph.num_edges, seed=9).to(like)


def make_inputs(graph, letters, dtype, device):
    sizes = {"n": (graph.num_rows, WIDTH), "m": (graph.num_cols, WIDTH), "e": (graph.num_edges,), "h": (graph.num_edges, WIDTH)}
    made = [seeded(*sizes[letter], seed=i) for i, letter in enumerate(letters.removeprefix("square "))]
    return [value.to(device, dtype).requires_grad_() for value in made]


def run(op, graph, inputs, backend):
    """Output and gradients of a fixed weighted sum of it."""
    with using(backend):
        out = OPS[op][0](graph, *inputs)
        seed = seeded(*out.shape, seed=7).to(out)
        return out.detach(), *torch.autograd.grad(out, inputs, seed)


def magnitude(op, graph, inputs):
    """The same sums over absolute values: what an error is relative to."""
    signed = [value.detach().double() for value in inputs]
    inputs = [value.abs().requires_grad_() for value in signed]
    with using("reference"):
        if op in ("spmm max", "spmm min"):
            return extremum_magnitude(op, graph, signed)
        if "constant" in op:
            function = spmm if op.startswith("spmm,") else spmm_rows
            weighted = graph.with_weight(WEIGHT(graph, inputs[0]).abs())
            out = function(weighted, inputs[0], *([] if function is spmm else [some_rows(graph)]))
        else:
            out = OPS[op][0](graph, *inputs)
        seed = seeded(*out.shape, seed=7).abs()
        return [value + 1 for value in (out.detach(), *torch.autograd.grad(out, inputs, seed))]


def extremum_magnitude(op, graph, inputs):
    x, weight = inputs[0], inputs[1] if len(inputs) > 1 else torch.ones(graph.num_edges, dtype=torch.double)
    seed = seeded(graph.num_rows, WIDTH, seed=7).abs()
    if graph.num_edges == 0:
        return [torch.ones(())] * (1 + len(inputs))
    entry = reference.extreme_entry(graph, weight, x, op == "spmm max")
    col = graph.col.long()[entry]
    grad_x = torch.ones_like(x).scatter_add(0, col, weight[entry].abs() * seed)
    grad_weight = torch.ones_like(weight).index_add(0, entry.flatten(), (x.gather(0, col).abs() * seed).flatten())
    return [(x.gather(0, col) * weight[entry]).abs() + 1, grad_x, grad_weight][: 1 + len(inputs)]


def applies(op, kind):
    return GRAPHS[kind].num_rows == GRAPHS[kind].num_cols or not OPS[op][1].startswith("square")


def cases():
    for op in OPS:
        for run_on in RUNS:
            backend, device = getattr(run_on, "values", run_on)
            for dtype in TOLERANCE:
                # torch's CSR product on the CPU (MKL) has no bfloat16.
                if op not in ABSENT.get(backend, ()) and (backend, device, dtype) != ("cuda", "cpu", torch.bfloat16):
                    name = f"{op}-{backend}-{device}-{str(dtype).removeprefix('torch.')}"
                    yield pytest.param(op, backend, device, dtype, id=name, marks=getattr(run_on, "marks", ()))


@pytest.mark.parametrize(("op", "backend", "device", "dtype"), list(cases()))
def test_values_and_gradients_agree_with_the_reference(op, backend, device, dtype):
    for kind in GRAPHS:
        if applies(op, kind):
            assert_parity(op, backend, device, dtype, kind)


def assert_parity(op, backend, device, dtype, kind):
    graph = GRAPHS[kind].to(device)
    inputs = make_inputs(graph, OPS[op][1], dtype, device)
    exact = [value.detach().double().requires_grad_() for value in inputs]
    for got, expected, scale in zip(
        run(op, graph, inputs, backend), run(op, graph, exact, "reference"), magnitude(op, graph, inputs), strict=True
    ):
        assert got.dtype == dtype and got.shape == expected.shape
        assert got.numel() == 0 or ((got.double() - expected).abs() / scale).max() < TOLERANCE[dtype], kind


SMALL = [kind for kind in GRAPHS if kind != "power law"]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("op", OPS)
def test_first_and_second_derivatives_against_finite_differences(op, backend):
    for kind in SMALL:
        graph = GRAPHS[kind]
        if not applies(op, kind):
            continue
        inputs = make_inputs(graph, OPS[op][1], torch.float64, "cpu")
        if any(value.numel() == 0 for value in inputs):
            continue  # nothing to differentiate by
        with using(backend):
            assert gradcheck(lambda *i, g=graph: OPS[op][0](g, *i), inputs), kind
            assert gradgradcheck(lambda *i, g=graph: OPS[op][0](g, *i), inputs), kind


def test_every_backend_has_what_it_had():
    own = {name for name in vars(reference) if not name.startswith("_") and callable(vars(reference)[name])}
    expected = {"spmm", "spmm_rows", "masked_spmm", "extreme_entry", "segment_sum", "segment_max", "pair_dots"}
    assert expected | {"gat_forward", "gat_backward", "bpr_forward", "bpr_backward"} <= own
    assert expected - set(vars(cpu)) == {"segment_max"}
    assert expected - set(vars(cuda)) == {"extreme_entry", "segment_sum", "segment_max", "pair_dots"}
    ran = {(case.values[0], case.values[1]) for case in cases()}
    assert len(OPS) == 15 and len(ran) == 2 * 15 + 5


@pytest.mark.parametrize("op", sorted(ABSENT["cuda"]))
def test_a_backend_refuses_what_it_has_not(op):
    from graphforget.exceptions import InputError

    graph = GRAPHS["undirected"]
    with pytest.raises(InputError, match="'cuda' kernel backend has no"):
        run(op, graph, make_inputs(graph, OPS[op][1], torch.float32, "cpu"), "cuda")


@pytest.mark.parametrize("backend", ["reference", "cpu", "cuda"])
@pytest.mark.parametrize("some", [2, 5000])
def test_a_masked_entry_contributes_nothing_whatever_it_holds(backend, some):
    graph = GRAPHS["power law"].with_weight(WEIGHT(GRAPHS["power law"], torch.ones(1)))
    keep = bits(graph, some)
    bad = 5
    keep &= (graph.col != bad) & (graph.row != bad)
    x = seeded(graph.num_cols, WIDTH).float()
    clean = masked_spmm(graph, x, keep, backend="reference")
    x[bad] = torch.nan
    out = masked_spmm(graph, x.requires_grad_(), keep, backend=backend)
    assert torch.allclose(out, clean, atol=1e-2, rtol=1e-4)
    seed = torch.ones_like(out)
    seed[bad] = torch.inf  # the same in the backward pass
    (grad,) = torch.autograd.grad(out, x, seed)
    assert bool(grad.isfinite().all()) and grad[bad].tolist() == [0.0] * WIDTH


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_learned_weight_of_a_masked_entry_has_no_gradient(backend):
    graph = edges([(0, 1), (2, 1), (1, 0)], 3)
    keep = graph.col != 2
    x = torch.tensor([[1.0], [2.0], [torch.nan]], requires_grad=True)
    weight = torch.ones(3, requires_grad=True)
    with using(backend):
        out = masked_spmm(graph.with_weight(weight), x, keep)
        grads = torch.autograd.grad(out.square().sum(), (x, weight), create_graph=True)
        assert grads[1][~keep].item() == 0.0 and all(bool(g.isfinite().all()) for g in grads)
        second = torch.autograd.grad(sum(g.square().sum() for g in grads), (x, weight))
        assert all(bool(g.isfinite().all()) for g in second)
