from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, spmm
from graphforget.kernels.backends import VARIABLE, choose, cpu, cuda, forced, is_fused, reference, using
from graphforget.kernels.backends.numba import attention, launch, pairs

CPU = torch.device("cpu")


def power_law(n, d, dtype):
    generator = torch.Generator().manual_seed(0)
    degree = (n / torch.arange(1, n + 1)).long()
    degree[n // 2 :] = 0
    rowptr = torch.cat([torch.zeros(1, dtype=torch.long), degree.cumsum(0)])
    col = torch.randint(n, (int(rowptr[-1]),), generator=generator)
    weight = torch.randn(col.numel(), generator=generator, dtype=dtype)
    return rowptr, col, weight, torch.randn(n, d, generator=generator, dtype=dtype)


@pytest.mark.parametrize("index_type", [torch.int32, torch.int64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("width", [1, 3, 64])
def test_every_backend_agrees_with_the_reference(index_type, dtype, weighted, width):
    rowptr, col, weight, x = power_law(400, width, dtype)
    graph = SparseGraph(rowptr.to(index_type), col.to(index_type))
    weight = weight if weighted else None
    expected = reference.spmm(graph, None if weight is None else weight.double(), x.double())
    scale = reference.spmm(graph, None if weight is None else weight.abs(), x.abs()) + 1
    for backend in (reference, cpu, cuda):
        assert (((backend.spmm(graph, weight, x) - expected) / scale).abs().max()) < 1e-5


def test_views_are_read_correctly():
    rowptr, col, weight, _ = power_law(50, 8, torch.float32)
    graph = SparseGraph(rowptr, col)
    wide = torch.randn(8, 50).t()
    assert not wide.is_contiguous()
    assert torch.allclose(cpu.spmm(graph, weight, wide), reference.spmm(graph, weight, wide), atol=1e-4)


def test_row_max_of_negative_numbers_and_empty_rows():
    graph = SparseGraph(torch.tensor([0, 2, 2]), torch.tensor([0, 0]))
    assert reference.segment_max(graph, torch.tensor([[-3.0], [-1.0]])).tolist() == [[-1.0], [0.0]]


def test_nothing_to_sum():
    none = torch.zeros(0, dtype=torch.long)
    for backend in (reference, cpu):
        assert backend.spmm(SparseGraph(torch.zeros(4, dtype=torch.long), none), None, torch.ones(3, 2)).shape == (3, 2)
        assert backend.spmm(SparseGraph(torch.tensor([0, 1]), torch.tensor([0])), None, torch.ones(1, 0)).shape == (1, 0)


def test_the_choice_follows_the_device_and_can_be_forced(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert choose("spmm", CPU) is cpu.spmm
    assert choose("spmm", CPU, "reference") is reference.spmm
    with using("reference"):
        assert choose("spmm", CPU) is reference.spmm
        assert choose("spmm", CPU, "cpu") is cpu.spmm  # the argument is nearer
    monkeypatch.setenv(VARIABLE, "cuda")
    assert forced() == "cuda"
    assert choose("spmm", CPU) is cuda.spmm
    with using("auto"):
        assert forced() is None and choose("spmm", CPU) is cpu.spmm


def test_compiled_functions_are_found_for_the_types_that_they_take(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    for backend in (None, "cpu"):
        assert choose("pair_dots", CPU, backend, dtype=torch.float32) is pairs.pair_dots
        assert choose("pair_dots", CPU, backend, dtype=torch.bfloat16) is choose("pair_dots", CPU, backend) is cpu.pair_dots
        assert is_fused("gat_forward", CPU, backend, torch.float64) and not is_fused("gat_forward", CPU, backend, torch.float16)
    assert choose("gat_forward", CPU, dtype=torch.float32) is attention.gat_forward
    assert choose("gat_forward", CPU, dtype=torch.float16) is reference.gat_forward
    assert is_fused("gat_forward", CPU, "reference", torch.float16)
    monkeypatch.setattr(launch, "available", lambda: False)
    assert choose("pair_dots", CPU, dtype=torch.float32) is cpu.pair_dots
    with pytest.raises(InputError, match="'cpu' kernel backend has no 'gat_forward'"):
        choose("gat_forward", CPU, "cpu", dtype=torch.float32)


def test_a_forced_backend_never_falls_back(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match="unknown kernel backend 'refrence'.*reference"):
        spmm(SparseGraph(torch.tensor([0, 1]), torch.tensor([0])), torch.ones(1, 1), backend="refrence")
    with pytest.raises(InputError, match="'cuda' kernel backend has no 'pair_dots'"):
        choose("pair_dots", CPU, "cuda")
    with pytest.raises(InputError, match="'cpu' kernel backend runs on cpu"):
        choose("spmm", torch.device("cuda"), "cpu")


def test_a_backend_serves_the_backward_pass_too(monkeypatch):
    graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 2, 2]]), 3)
    calls = []
    monkeypatch.setattr(reference, "spmm", lambda *a, original=reference.spmm: (calls.append(1), original(*a))[1])
    x = torch.ones(3, 2, requires_grad=True)
    spmm(graph, x, backend="reference").sum().backward()
    assert len(calls) == 2
