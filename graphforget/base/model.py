"""Small tools on any ``nn.Module``: fresh copies, ensembles, layer capture, modes, digests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import acceleration_of, config_of, has_layer_names, has_reset
from graphforget.base.data import content_digest
from graphforget.base.stored import clear_caches, private_copy
from graphforget.exceptions import InputError
from graphforget.registry import nearest


class Ensemble(nn.Module):
    """Several models served as one. Only ``Task.forward`` combines them, in probability space."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise InputError("an ensemble needs at least one member.")
        self.members = nn.ModuleList(members)

    def forward(self, *args: object, **kwargs: object) -> Tensor:
        """Refused: averaging raw outputs is wrong for embeddings."""
        raise TypeError("an Ensemble is combined by Task.forward, in probability space; do not call it directly.")


def fresh_like(template: nn.Module) -> nn.Module:
    """A new module of the same shape with fresh weights.

    Uses ``type(template)(**template.config)`` where the model offers ``config``; otherwise a deep copy whose
    submodules' ``reset_parameters`` are called. The copy's weights are NaN before the reset, so a parameter that no
    reset touches is seen.

    Raises:
        InputError: Some parameter has no ``reset_parameters`` that sets it.
    """
    config = config_of(template)
    if config is not None:
        made = type(template)(**config)
        acceleration = acceleration_of(template)
        return made if acceleration is None else acceleration.apply(made)
    model = private_copy(template)
    clear_caches(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    # Children first, so that a parent's own reset has the last word.
    for module in reversed(list(model.modules())):
        if has_reset(module):
            module.reset_parameters()
    stale = [name for name, p in model.named_parameters() if bool(torch.isnan(p).any())]
    if stale:
        raise InputError(
            f"cannot make a fresh {type(template).__name__}: reset_parameters leaves {', '.join(stale[:3])} unset; "
            f"pass build=lambda data: {type(template).__name__}(...) to the task."
        )
    return model


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all parameters and buffers."""
    return content_digest(dict(model.state_dict()))


@contextlib.contextmanager
def captured(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Collect the tensor outputs of named submodules during the enclosed forward pass.

    Raises:
        InputError: No submodule has that name.
    """
    store: dict[str, Tensor] = {}
    modules = dict(model.named_modules()) if layers else {}
    handles = []

    def make(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: object, output: object) -> None:
            if isinstance(output, Tensor):
                store[name] = output

        return hook

    try:
        for name in layers:
            if name not in modules:
                raise InputError(f"the model has no layer '{name}': {nearest(name, [n for n in modules if n])}")
            handles.append(modules[name].register_forward_hook(make(name)))
        yield store
    finally:
        for handle in handles:
            handle.remove()


def is_message_passing(module: nn.Module) -> bool:
    """Whether a module is one of PyG's convolutions; by name, so that torch_geometric need not be imported."""
    return any(base.__name__ == "MessagePassing" for base in type(module).__mro__)


def message_passing_steps(model: nn.Module) -> tuple[int, list[int]]:
    """Steps of the deepest stack of convolutions (``convs`` and ``num_layers``, as ours and PyG's have), and of each PyG layer.

    A layer takes several with ``K`` or ``num_layers``; ``ChebConv`` one less than it has weights.
    """
    stack, layers = 0, []
    for module in model.modules():
        steps = getattr(module, "num_layers", None)
        if isinstance(steps, int) and hasattr(module, "convs"):
            stack = max(stack, steps)
        if is_message_passing(module):
            chebyshev = type(module).__name__ == "ChebConv"
            steps = len(module.lins) - 1 if chebyshev else getattr(module, "K", steps)  # type: ignore[arg-type]
            layers.append(steps if isinstance(steps, int) else 1)
    return stack, layers


def num_hops_of(model: nn.Module) -> int:
    """How many hops a model reads: its message-passing steps, else its number of layers."""
    stack, layers = message_passing_steps(model)
    return max(stack, sum(layers)) or len(default_layer_names(model))


def default_layer_names(model: nn.Module) -> list[str]:
    """Layer names: the model's own ``layer_names()``, else message-passing modules, else linear / conv / recurrent ones.

    PyG's ``Linear`` and ``MessagePassing`` are recognised by name, so that torch_geometric need not be imported.
    """
    if has_layer_names(model):
        return list(model.layer_names())
    named = list(model.named_modules())
    passing = [n for n, m in named if n and is_message_passing(m)]
    if passing:
        return passing
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase)
    return [n for n, m in named if n and (isinstance(m, kinds) or type(m).__name__ == "Linear")]


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule's mode is restored."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def frozen_copy(model: nn.Module) -> nn.Module:
    """A deep copy in evaluation mode that needs no gradients: a teacher."""
    teacher = private_copy(model).eval()
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    return teacher


def restored_like(source: nn.Module, made: nn.Module) -> nn.Module:
    """``made`` in the train or eval modes and with the ``requires_grad`` flags of ``source``, by name, and without gradients.

    A module that is new in ``made`` gets the mode of ``source`` itself, and a new parameter is trainable.
    """
    modes = {name: module.training for name, module in source.named_modules()}
    for name, module in made.named_modules():
        module.training = modes.get(name, source.training)
    flags = {name: parameter.requires_grad for name, parameter in source.named_parameters()}
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(flags.get(name, True))
        parameter.grad = None
    return made


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters lie (CPU for a model without any)."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
