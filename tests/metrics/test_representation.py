from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.metrics.representation import linear_cka, neighbourhood_overlap


def draw(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_cka_equals_the_kernel_form_and_ignores_rotation_scale_and_shift():
    x, y = draw(40, 5, 0), draw(40, 3, 1)
    centre = torch.eye(40, dtype=torch.float64) - 1 / 40
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    assert linear_cka(x, y) == pytest.approx(((k * m).sum() / (k.norm() * m.norm())).item())
    rotation = torch.linalg.qr(draw(5, 5, 2)).Q
    assert linear_cka(x, 3 * x @ rotation + 7) == pytest.approx(1.0)
    assert linear_cka(draw(4000, 4, 3), draw(4000, 4, 4)) < 0.02
    assert torch.tensor(linear_cka(x, torch.ones(40, 2))).isnan()


def test_neighbourhood_overlap_limits_chunks_and_rows():
    x = draw(60, 8, 0)
    assert (neighbourhood_overlap(x, 2 * x, num_neighbors=5) == 1).all()
    full = neighbourhood_overlap(x, draw(60, 8, 1), num_neighbors=6)
    assert full.mean().item() == pytest.approx(6 / 59, abs=0.06)
    assert torch.equal(full, neighbourhood_overlap(x, draw(60, 8, 1), num_neighbors=6, chunk_size=7))
    assert torch.equal(full[[3, 9]], neighbourhood_overlap(x, draw(60, 8, 1), num_neighbors=6, index=torch.tensor([3, 9])))


def test_bad_input():
    with pytest.raises(InputError):
        linear_cka(draw(4, 2, 0), draw(5, 2, 0))
    with pytest.raises(InputError, match="NaN"):
        linear_cka(draw(4, 2, 0) * float("nan"), draw(4, 2, 0))
    with pytest.raises(InputError, match="num_neighbors"):
        neighbourhood_overlap(draw(4, 2, 0), draw(4, 2, 0), num_neighbors=4)
