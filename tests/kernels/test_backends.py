from __future__ import annotations

import pytest
import torch

from graphforget.kernels.backends import cpu_sum, csr_sum, reference_sum, row_max, weighted_sum


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
    rowptr, col = rowptr.to(index_type), col.to(index_type)
    weight = weight if weighted else None
    expected = reference_sum(rowptr, col, weight, x.double() if weight is None else x)
    scale = reference_sum(rowptr, col, None if weight is None else weight.abs(), x.abs()) + 1
    for backend in (cpu_sum, csr_sum, weighted_sum):
        assert (((backend(rowptr, col, weight, x) - expected) / scale).abs().max()) < 1e-5


def test_views_are_read_correctly():
    rowptr, col, weight, _ = power_law(50, 8, torch.float32)
    wide = torch.randn(8, 50).t()
    assert not wide.is_contiguous()
    assert torch.allclose(cpu_sum(rowptr, col, weight, wide), reference_sum(rowptr, col, weight, wide), atol=1e-4)


def test_row_max_of_negative_numbers_and_empty_rows():
    out = row_max(torch.tensor([0, 2, 2]), torch.tensor([0, 0]), torch.tensor([[-3.0], [-1.0]]))
    assert out.tolist() == [[-1.0], [0.0]]


def test_nothing_to_sum():
    none = torch.zeros(0, dtype=torch.long)
    assert weighted_sum(torch.zeros(4, dtype=torch.long), none, None, torch.ones(0, 2)).shape == (3, 2)
    assert weighted_sum(torch.tensor([0, 1]), torch.tensor([0]), None, torch.ones(1, 0)).shape == (1, 0)
