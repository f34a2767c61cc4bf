"""A small graph with everything that a graph can have, and the comparison of a layer of PyG with itself accelerated."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from graphforget.models.gnn.accelerate import accelerate

N, F = 12, 6


def edge_index():
    """Undirected pairs, copies of an edge, self-loops (one of them twice), isolated nodes 10 and, but for its loop, 11."""
    generator = torch.Generator().manual_seed(3)
    one_way = torch.randint(9, (2, 20), generator=generator)
    loops = torch.tensor([[2, 5, 5, 11], [2, 5, 5, 11]])
    return torch.cat([one_way, one_way.flip(0), one_way[:, :3], loops], 1)


def numbers(*shape, seed=4, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def filled(layer):
    """The layer with all parameters away from zero: biases too must matter."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in layer.parameters():
            if not isinstance(p, torch.nn.parameter.UninitializedParameter):
                p.copy_(0.5 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return layer


def tensors(value):
    """All tensors of an output, dense."""
    if isinstance(value, Tensor):
        return [value if value.layout == torch.strided else value.to_dense()]
    if isinstance(value, (tuple, list)):
        return [t for one in value for t in tensors(one)]
    return []


def outcome(layer, args, kwargs=None, *, seed=0):
    """(outputs, gradients of parameters and of inputs that want one) of one call, or the error that it raises."""
    kwargs, given = kwargs or {}, []
    for value in [*args, *(kwargs or {}).values()]:
        given += [t for t in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(t, Tensor)]
    for t in given:
        if t.requires_grad:
            t.grad = None
    layer.zero_grad()
    torch.manual_seed(seed)
    try:
        out = tensors(layer(*args, **kwargs))
        total = sum((numbers(*t.shape, seed=i).to(t) * t).sum() for i, t in enumerate(out) if t.requires_grad)
        if isinstance(total, Tensor):
            total.backward()
    except Exception as error:
        return error
    return [t.detach() for t in out], [*(p.grad for p in layer.parameters()), *(t.grad for t in given if t.requires_grad)]


def assert_same(ours, theirs, tolerance=1e-9):
    """Equal outputs and gradients up to rounding; a gradient that is not there is one of zeros."""
    assert not isinstance(ours, Exception), f"fails when accelerated: {ours!r}"
    for mine, others in zip(ours, theirs, strict=True):
        assert len(mine) == len(others)
        for a, b in zip(mine, others, strict=True):
            if a is None or b is None:
                assert (a is None and b is None) or not torch.any((b if a is None else a) != 0)
                continue
            assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape, a.dtype, b.dtype)
            a, b = (t if t.layout == torch.strided else t.to_dense() for t in (a, b))
            scale = max(1.0, float(b.abs().max()) if b.numel() else 0.0)
            assert torch.allclose(a.double() / scale, b.double() / scale, rtol=0, atol=tolerance, equal_nan=True)


@pytest.fixture
def compare():
    """``compare(layer, args, kwargs)``: the layer accelerated does what it does without; True where the kernels did it.

    What PyG refuses is refused, and gives None. The layer is called twice, so that what is kept is read too.
    """

    def run(layer, args, kwargs=None, *, tolerance=1e-9):
        ours, helped = accelerate(copy.deepcopy(layer)), set()
        for seed in (0, 1):
            for cache in ("_cached_x", "_cached_edge_index"):  # which answers for the first call's gradients, or graph
                if hasattr(layer, cache):
                    setattr(layer, cache, None)
            expected = outcome(layer, args, kwargs, seed=seed)
            found = outcome(ours, args, kwargs, seed=seed)
            if isinstance(expected, Exception):
                assert isinstance(found, Exception), f"PyG refuses: {expected!r}"
            else:
                assert_same(found, expected, tolerance)
            on_pyg = bool(ours.acceleration.not_helped) or getattr(ours, "left", None) is not None
            helped.add(None if isinstance(expected, Exception) else not on_pyg)
        (one,) = helped
        return one

    return run
