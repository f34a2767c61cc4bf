from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.exceptions import InputError
from graphforget.unlearners._shared.hessian import (
    Rows,
    adam_solve,
    conjugate_gradients,
    damped_solve,
    gauss_newton_product,
    gradient,
    hessian_product,
)


class Bilinear(nn.Module):
    """Two tables and a bias, coupled through a smooth loss."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.a = nn.Parameter(torch.randn(4, 3, generator=g).double())
        self.b = nn.Parameter(torch.randn(5, 3, generator=g).double())
        self.bias = nn.Parameter(torch.randn(5, generator=g).double())
        self.unused = nn.Parameter(torch.ones(2).double())

    @staticmethod
    def value(a, b, bias):
        return torch.nn.functional.softplus(a @ b.t() + bias).square().sum()

    def terms(self):
        yield self.value(self.a[:2], self.b, self.bias)
        yield self.value(self.a[2:], self.b, self.bias)
        yield self.bias.sum()  # linear: no second derivative


ROWS = {"b": torch.tensor([4, 1]), "a": torch.tensor([0, 3]), "bias": None, "unused": None}


def full_derivatives():
    """Gradient and Hessian over all of (a, b, bias) by autograd on one flat vector."""
    model = Bilinear()
    flat = torch.cat([p.detach().reshape(-1) for p in (model.a, model.b, model.bias)])

    def value(v):
        a, b, bias = v[:12].view(4, 3), v[12:27].view(5, 3), v[27:]
        return Bilinear.value(a, b, bias) + bias.sum()

    return torch.autograd.functional.jacobian(value, flat), torch.autograd.functional.hessian(value, flat)


def positions():
    numbers = torch.arange(32)
    a, b, bias = numbers[:12].view(4, 3), numbers[12:27].view(5, 3), numbers[27:]
    return torch.cat([b[[4, 1]].reshape(-1), a[[0, 3]].reshape(-1), bias])


def test_gradient_and_product_are_blocks_of_the_full_ones():
    model = Bilinear()
    rows = Rows(model, ROWS)
    jacobian, hessian = full_derivatives()
    chosen = positions()
    torch.testing.assert_close(gradient(model.terms, rows)[:17], jacobian[chosen])
    vector = torch.randn(rows.size, generator=torch.Generator().manual_seed(1)).double()
    product = hessian_product(model.terms, rows, vector)
    torch.testing.assert_close(product[:17], hessian[chosen][:, chosen] @ vector[:17])
    assert rows.size == 19 and torch.equal(product[17:], torch.zeros(2).double())


def test_spread_is_the_transpose_of_take():
    model = Bilinear()
    rows = Rows(model, ROWS)
    g = torch.Generator().manual_seed(2)
    vector = torch.randn(rows.size, generator=g).double()
    tensors = [torch.randn(p.shape, generator=g).double() for p in rows.parameters]
    left = sum((s * t).sum() for s, t in zip(rows.spread(vector), tensors, strict=True))
    torch.testing.assert_close(left, vector @ rows.take(tensors))
    assert torch.equal(rows.take([None] * 4), rows.zeros())


def test_adding_moves_the_chosen_rows_only():
    model = Bilinear()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    rows = Rows(model, {"b": torch.tensor([4, 1])})
    rows.add_(torch.arange(1.0, 7.0).double())
    assert torch.equal(model.b[4], before["b"][4] + torch.tensor([1.0, 2, 3]).double())
    assert torch.equal(model.b[1], before["b"][1] + torch.tensor([4.0, 5, 6]).double())
    assert torch.equal(model.b[[0, 2, 3]], before["b"][[0, 2, 3]])
    assert torch.equal(model.a, before["a"])


def test_an_unknown_parameter_is_named():
    with pytest.raises(InputError, match="no parameter 'c'"):
        Rows(Bilinear(), {"c": None})


def spd(n=12):
    g = torch.Generator().manual_seed(3)
    q = torch.randn(n, n, generator=g).double()
    return q @ q.t() + 0.1 * torch.eye(n).double(), torch.randn(n, generator=g).double()


@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_conjugate_gradients_solve(damping):
    matrix, b = spd()
    found = conjugate_gradients(lambda v: matrix @ v, b, damping=damping, steps=60, tol=1e-10)
    assert found.positive and found.residual <= 1e-10
    torch.testing.assert_close(found.x, torch.linalg.solve(matrix + damping * torch.eye(12).double(), b), rtol=1e-6, atol=1e-8)


def test_conjugate_gradients_say_how_far_they_got():
    matrix, b = spd()
    found = conjugate_gradients(lambda v: matrix @ v, b, steps=3, tol=1e-10)
    assert found.steps == 3
    assert found.residual == pytest.approx(float((b - matrix @ found.x).norm() / b.norm()), rel=1e-8)
    assert conjugate_gradients(lambda v: matrix @ v, torch.zeros(12)).steps == 0


def test_damping_grows_until_the_matrix_is_positive():
    matrix = torch.diag(torch.tensor([-0.5, 1.0, 2.0]).double())
    b = torch.ones(3).double()
    assert not conjugate_gradients(lambda v: matrix @ v, b, damping=0.0).positive
    found = damped_solve(lambda v: matrix @ v, b, damping=0.1)
    assert found.positive and found.damping == pytest.approx(1.0)
    torch.testing.assert_close(found.x, 1 / (matrix.diagonal() + 1.0))


def test_what_cannot_be_solved_is_refused():
    with pytest.raises(InputError, match="not finite"):
        damped_solve(lambda v: v * float("nan"), torch.ones(2), damping=0.1)
    with pytest.raises(InputError, match="give more damping"):
        damped_solve(lambda v: -1e9 * v, torch.ones(2), damping=0.1)


def test_adam_goes_the_same_way():
    matrix, b = spd(4)
    expected = torch.linalg.solve(matrix + 0.5 * torch.eye(4).double(), b)
    found = adam_solve(lambda v: matrix @ v, b, damping=0.5, steps=3000, lr=5e-3)
    torch.testing.assert_close(found.x, expected, rtol=1e-2, atol=1e-2)
    assert found.residual < 1e-2
    assert float(adam_solve(lambda v: 0 * v, b, damping=0.0, steps=10, lr=0.01).x.abs().max()) <= 0.1 + 1e-6


def test_gauss_newton_is_jacobian_times_loss_curvature_times_jacobian():
    """Dense: J' L'' J + Hessian of the rest, over the rows of both tables; outputs and rest share an encoding."""
    model = Bilinear()
    rows = Rows(model, {"a": None, "b": None})
    start = torch.cat([model.a.detach().reshape(-1), model.b.detach().reshape(-1)])

    def outputs(v):
        return (v[:12].view(4, 3).sin() @ v[12:].view(5, 3).t()).reshape(-1)

    def loss(m):
        return torch.nn.functional.softplus(-m).sum()

    def parts():
        for piece in (slice(0, 2), slice(2, 4)):
            encoded = model.a[piece].sin()
            m = (encoded @ model.b.t()).reshape(-1)
            yield m, loss(m), 0.3 * encoded.square().sum()

    jacobian = torch.autograd.functional.jacobian(outputs, start)
    bent = torch.autograd.functional.hessian(loss, outputs(start))
    dense = jacobian.t() @ bent @ jacobian
    assert float(torch.linalg.eigvalsh(dense).min()) > -1e-10
    dense += torch.autograd.functional.hessian(lambda v: 0.3 * v[:12].sin().square().sum(), start)
    vector = torch.randn(27, generator=torch.Generator().manual_seed(4)).double()
    torch.testing.assert_close(gauss_newton_product(parts, rows, vector), dense @ vector)
    hessian = hessian_product(lambda: (one + rest for _, one, rest in parts()), rows, vector)
    assert float((hessian - dense @ vector).norm()) > 0.1 * float(hessian.norm())  # the outputs are not linear


def test_gauss_newton_is_the_hessian_where_outputs_are_linear():
    model = Bilinear()
    rows = Rows(model, {"a": torch.tensor([1, 2])})

    def parts():
        m = (model.a @ model.b.detach().t()).reshape(-1)
        yield m, torch.nn.functional.softplus(-m).sum(), model.bias.detach().sum()  # the rest is constant

    vector = torch.randn(6, generator=torch.Generator().manual_seed(5)).double()
    expected = hessian_product(lambda: (one for _, one, _ in parts()), rows, vector)
    torch.testing.assert_close(gauss_newton_product(parts, rows, vector), expected)


def test_gauss_newton_needs_a_loss_of_the_outputs():
    model = Bilinear()
    rows = Rows(model, {"a": None})
    with pytest.raises(InputError, match="Gauss-Newton"):
        gauss_newton_product(lambda: [(model.a.sum(1), model.a.square().sum(), model.b.sum())], rows, rows.zeros())
