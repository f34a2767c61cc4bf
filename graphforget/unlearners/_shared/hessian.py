"""Second-order steps on listed parameter rows: gradients, Hessian-vector products and damped solvers.

An objective is a function that yields scalar terms, one per batch; their sum is meant. Nothing of the size of a Hessian is
made, and one term is held in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from graphforget.exceptions import InputError
from graphforget.registry import nearest

Terms = Callable[[], Iterable[Tensor]]
Product = Callable[[Tensor], Tensor]
Parts = Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]


class Rows:
    """Chosen rows of some parameters of a model, read and written as one vector.

    Args:
        model: Its parameters are looked up by name.
        rows: By parameter name, row numbers [n] without repetitions; None means the whole parameter.

    Raises:
        InputError: No parameter has that name.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> Rows(layer, {"weight": torch.tensor([0, 2]), "bias": None}).size
        7
    """

    def __init__(self, model: nn.Module, rows: Mapping[str, Tensor | None]) -> None:
        named = dict(model.named_parameters())
        self.names = list(rows)
        for name in self.names:
            if name not in named:
                raise InputError(f"the model has no parameter '{name}': {nearest(name, list(named))}")
        self.parameters = [named[name] for name in self.names]
        ids = [rows[name] for name in self.names]
        self._ids = [None if one is None else one.to(p.device) for one, p in zip(ids, self.parameters, strict=True)]
        shapes = [p.shape if i is None else (len(i), *p.shape[1:]) for p, i in zip(self.parameters, self._ids, strict=True)]
        self._shapes = [torch.Size(shape) for shape in shapes]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(shape.numel() for shape in self._shapes)

    def zeros(self) -> Tensor:
        """A vector of zeros."""
        return self.parameters[0].new_zeros(self.size) if self.parameters else torch.zeros(0)

    def take(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """The chosen rows of tensors shaped like the parameters, as one vector; None counts as zero."""
        pieces = [
            parameter.new_zeros(shape.numel()) if tensor is None else (tensor if ids is None else tensor[ids]).reshape(-1)
            for tensor, parameter, ids, shape in zip(tensors, self.parameters, self._ids, self._shapes, strict=True)
        ]
        return torch.cat(pieces) if pieces else self.zeros()

    def spread(self, vector: Tensor) -> list[Tensor]:
        """The vector as tensors shaped like the parameters, zero in all other rows."""
        result = []
        pieces = vector.split([shape.numel() for shape in self._shapes])
        for piece, parameter, ids, shape in zip(pieces, self.parameters, self._ids, self._shapes, strict=True):
            part = piece.view(shape)
            result.append(part if ids is None else torch.zeros_like(parameter).index_copy(0, ids, part))
        return result

    @torch.no_grad()
    def add_(self, vector: Tensor) -> None:
        """Add the vector to the chosen rows, in place; every other row keeps its bits."""
        pieces = vector.split([shape.numel() for shape in self._shapes])
        for piece, parameter, ids, shape in zip(pieces, self.parameters, self._ids, self._shapes, strict=True):
            if ids is None:
                parameter.add_(piece.view(shape))
            else:
                parameter[ids] = parameter[ids] + piece.view(shape)


def gradient(terms: Terms, rows: Rows) -> Tensor:
    """Gradient of the sum of ``terms`` by the chosen rows, [size]."""
    total = rows.zeros()
    for term in terms():
        total += rows.take(torch.autograd.grad(term, rows.parameters, allow_unused=True))
    return total


def hessian_product(terms: Terms, rows: Rows, vector: Tensor) -> Tensor:
    """The block of the Hessian that belongs to the chosen rows, times a vector, [size] (Pearlmutter, Neural Computation 1994).

    Costs two backward passes per term. ``terms`` must be the same function every time: draw batches before, not within.

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> rows = Rows(layer, {"weight": None})
        >>> hessian_product(lambda: [layer.weight.square().sum()], rows, torch.tensor([1.0, 3.0])).tolist()
        [2.0, 6.0]
    """
    directions, total = rows.spread(vector), rows.zeros()
    for term in terms():
        grads = torch.autograd.grad(term, rows.parameters, create_graph=True, allow_unused=True)
        along = [
            (grad * way).sum() for grad, way in zip(grads, directions, strict=True) if grad is not None and grad.requires_grad
        ]
        if along:
            second = torch.autograd.grad(torch.stack(along).sum(), rows.parameters, allow_unused=True)
            total += rows.take(second)
    return total


def gauss_newton_product(parts: Parts, rows: Rows, vector: Tensor) -> Tensor:
    r"""The block of the generalised Gauss-Newton matrix times a vector, [size] (Schraudolph, Neural Computation 2002).

    :math:`J^\top B J`, with J the Jacobian of the outputs and B the second derivative of the loss by the outputs: the Hessian
    without the curvature of the outputs themselves, hence without negative directions where the loss is convex in the outputs.
    It is the Hessian where the outputs are linear in the rows.

    Args:
        parts: Yields (outputs, loss, rest) per batch: ``loss`` is a scalar function of ``outputs`` alone; ``rest`` is a scalar
            whose Hessian is taken in full, such as an L2 term.
        rows: Chosen rows.
        vector: [size].

    Raises:
        InputError: A loss that does not depend on its outputs.
    """
    directions, total = rows.spread(vector), rows.zeros()
    for outputs, loss, rest in parts():
        slope = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True)[0]
        if slope is None:
            raise InputError("this loss is no function of the outputs, so it has no Gauss-Newton matrix: use the Hessian.")
        # J v as the derivative of J'w by w, which is linear in w.
        w = torch.zeros_like(outputs, requires_grad=True)
        pulled = torch.autograd.grad(outputs, rows.parameters, w, create_graph=True, allow_unused=True)
        along = [(one * way).sum() for one, way in zip(pulled, directions, strict=True) if one is not None]
        if along:
            pushed = torch.autograd.grad(torch.stack(along).sum(), w, retain_graph=True)[0]
            bent = torch.autograd.grad(slope, outputs, pushed, retain_graph=True)[0]
            # The rest may share its encoding with the outputs, so that must not be freed before its own product.
            total += rows.take(torch.autograd.grad(outputs, rows.parameters, bent, retain_graph=True, allow_unused=True))
        if rest.requires_grad:
            total += hessian_product(lambda rest=rest: [rest], rows, vector)  # type: ignore[misc]
    return total


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Attributes:
        x: The solution of ``(H + damping I) x = b``, as far as it got.
        residual: ``|b - (H + damping I) x| / |b|``; 0 for b = 0.
        steps: Products with H that were used, in failed attempts too.
        damping: The damping that was used: more than what was asked where H was not positive.
        positive: Whether H + damping I was positive along every direction looked at.
        finite: Whether every product was finite.
    """

    x: Tensor
    residual: float
    steps: int
    damping: float
    positive: bool = True
    finite: bool = True

    def facts(self) -> dict[str, float | int]:
        """For a result's ``info``."""
        return {"residual": self.residual, "hessian_products": self.steps, "damping_used": self.damping}


def conjugate_gradients(product: Product, b: Tensor, *, damping: float = 0.0, steps: int = 100, tol: float = 1e-6) -> Solution:
    """Solve ``(H + damping I) x = b`` for a symmetric H (Hestenes and Stiefel, 1952).

    Stops at a relative residual of ``tol``, after ``steps`` products, or at a direction along which the matrix is not positive.

    Args:
        product: ``product(v) = H v``.
        b: [n].
        damping: Added to the diagonal.
        steps: Most products with H.
        tol: Relative residual that suffices.

    Example:
        >>> conjugate_gradients(lambda v: torch.tensor([2.0, 4.0]) * v, torch.tensor([2.0, 2.0])).x.tolist()
        [1.0, 0.5]
    """
    x, residual = torch.zeros_like(b), b.clone()
    size = float(_dot(b, b)) ** 0.5
    if size == 0:
        return Solution(x, 0.0, 0, damping)
    direction, now = residual.clone(), _dot(residual, residual)
    for step in range(1, steps + 1):
        image = product(direction) + damping * direction
        curvature = _dot(direction, image)
        if not curvature > 0:
            finite = bool(torch.isfinite(curvature))
            return Solution(x, float(now) ** 0.5 / size, step, damping, positive=False, finite=finite)
        length = now / curvature
        x += length.to(b.dtype) * direction
        residual -= length.to(b.dtype) * image
        before, now = now, _dot(residual, residual)
        if float(now) ** 0.5 <= tol * size:
            return Solution(x, float(now) ** 0.5 / size, step, damping)
        direction = residual + (now / before).to(b.dtype) * direction
    return Solution(x, float(now) ** 0.5 / size, steps, damping)


def damped_solve(product: Product, b: Tensor, *, damping: float, steps: int = 100, tol: float = 1e-6) -> Solution:
    """:func:`conjugate_gradients`, with ten times the damping as long as the matrix is not positive (Levenberg, 1944).

    The Hessian of a model that is no minimum, or of products of parameters, has negative directions; along them a Newton step
    would climb.

    Raises:
        InputError: The products are not finite, or no damping up to a million times the given one makes the matrix positive.
    """
    used, trial = 0, damping
    for _ in range(7):
        found = conjugate_gradients(product, b, damping=trial, steps=steps, tol=tol)
        used += found.steps
        if not found.finite:
            raise InputError("products with the Hessian are not finite: the loss has no second derivative at these weights.")
        if found.positive:
            return Solution(found.x, found.residual, used, trial)
        trial = 10 * trial if trial else 1e-6
    raise InputError(f"the Hessian is not positive with any damping from {damping:g} to {trial / 10:g}: give more damping.")


def adam_solve(product: Product, b: Tensor, *, damping: float, steps: int = 100, lr: float = 1e-2) -> Solution:
    """Approach ``(H + damping I) x = b`` by Adam on its residual, from x = 0.

    An entry of x moves by about ``lr`` per step at most, so that ``lr * steps`` bounds it where H is singular or negative.
    """
    size = float(_dot(b, b)) ** 0.5
    if size == 0:
        return Solution(torch.zeros_like(b), 0.0, 0, damping)
    x = torch.zeros_like(b, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=lr)
    for _ in range(steps):
        x.grad = product(x.detach()) + damping * x.detach() - b
        optimizer.step()
    left = product(x.detach()) + damping * x.detach() - b
    return Solution(x.detach(), float(_dot(left, left)) ** 0.5 / size, steps + 1, damping)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(a.double(), b.double())
