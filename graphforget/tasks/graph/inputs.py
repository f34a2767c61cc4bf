"""How a model wants to be called: what its ``forward`` asks for, by name, and where that stands in the data.

A model of nodes says what it reads by the names of its parameters, as PyG's examples do: ``forward(x, edge_index)``,
``forward(x, edge_index, edge_weight=None)``, ``forward(x, edge_index, n_id)``, ``forward(data)``, in any order. What is asked for
and not there is refused before anything is computed; what is there and not asked for is said once.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import has_encode
from graphforget.base.memo import Memo
from graphforget.exceptions import InputError

if TYPE_CHECKING:
    from graphforget.tasks.graph.encoding import GraphContext

_PLANS = Memo()
_SAID: set[tuple[str, tuple[str, ...]]] = set()
# Names under which a graph's own fields are asked for.
FIELDS = ("x", "edge_index", "adj_t", "n_id", "batch", "data", "num_nodes")
_EDGES = frozenset({"edge_index", "edges", "edge_list", "edge_idx", "ei"})
_DENSE = frozenset({"adj", "adjacency", "adj_matrix", "a_hat", "laplacian", "L", "A"})


@dataclass(frozen=True)
class Parameter:
    """One parameter of a ``forward``: its name, whether it must be given, and which field of the graph it means."""

    name: str
    required: bool
    field: str


@dataclass(frozen=True)
class InputPlan:
    """What a ``forward`` asks for.

    Attributes:
        model: Name of the model's class.
        parameters: What it takes, in order.
        by_position: Whether the arguments go by position (``forward(*args)``): x, then edge_index.
    """

    model: str
    parameters: tuple[Parameter, ...]
    by_position: bool = False

    @property
    def signature(self) -> str:
        """``forward(x, edge_index, edge_weight=None)``, for messages."""
        return f"forward({', '.join(p.name if p.required else f'{p.name}=...' for p in self.parameters)})"

    def asks(self, field: str) -> bool:
        """Whether a field of the graph has a parameter."""
        return any(p.field == field for p in self.parameters)

    def check(self, node_data: Sequence[str], edge_data: Sequence[str]) -> None:
        """Refuse what is asked for and not there, and say once what is there and not asked for.

        Raises:
            InputError: A required parameter is nothing that the graph has.
        """
        if self.by_position or self.asks("data"):
            return
        have = {*node_data, *edge_data}
        missing = [p.name for p in self.parameters if p.required and p.field not in FIELDS and p.field not in have]
        if missing:
            known = ", ".join([*FIELDS[:4], *sorted(have)])
            raise InputError(
                f"{self.model}.{self.signature} asks for '{missing[0]}', and the graph has no such table: give it as data."
                f"{missing[0]} (PyG) or in node_data= or edge_data= of GraphData.create. The graph has {known}."
            )
        unread = tuple(sorted(name for name in have if not self.asks(name)))
        if unread and (self.model, unread) not in _SAID:
            _SAID.add((self.model, unread))
            warnings.warn(
                f"{self.model}.{self.signature} does not read {', '.join(unread)} of the graph, so they play no part here; a "
                f"parameter of that name reads them.",
                stacklevel=4,
            )


def unwrapped(model: nn.Module) -> nn.Module:
    """The module whose ``forward`` a user wrote, inside of ``torch.compile`` and ``DataParallel``."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def is_autoencoder(model: nn.Module) -> bool:
    """Whether a model is called by ``encode``: PyG's GAE and its kin, and models with ``encode`` and no ``forward``."""
    model = unwrapped(model)
    own = type(model).forward is not nn.Module.forward and not any(base.__name__ == "GAE" for base in type(model).__mro__)
    return not own and has_encode(model)


def input_plan(model: nn.Module) -> InputPlan:
    """What a model's ``forward`` asks for; read off its signature once per model.

    Raises:
        InputError: A signature that is none of a graph model.
    """
    return _PLANS.get(model, "plan", (), lambda: _read(unwrapped(model)))


def _read(model: nn.Module) -> InputPlan:
    name = type(model).__name__
    names = getattr(getattr(model, "signature", None), "param_dict", None)  # PyG's Sequential: from its first argument
    if isinstance(names, Mapping):
        found = [(str(n), True) for n in names]
    elif isinstance(model, torch.jit.ScriptModule):
        schema = model.forward.schema  # type: ignore[attr-defined]
        found = [(a.name, not a.has_default_value()) for a in schema.arguments if a.name != "self"]
    else:
        every = list(inspect.signature(_entry(model)).parameters.values())
        kinds = inspect.Parameter
        if any(p.kind == kinds.POSITIONAL_ONLY for p in every):
            raise InputError(f"forward of {name} has positional-only parameters: name them x, edge_index and so on.")
        named = [p for p in every if p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)]
        # PyG's own models have parameters for everything and say which of them their layers can read.
        named = [p for p in named if getattr(model, f"supports_{p.name}", True)]
        found = [(p.name, p.default is kinds.empty) for p in named]
        if not found:
            if any(p.kind == kinds.VAR_POSITIONAL for p in every):
                return InputPlan(name, (Parameter("x", True, "x"), Parameter("edge_index", True, "edge_index")), by_position=True)
            raise InputError(
                f"forward() of {name} takes no graph, so it answers for the one that it holds: write forward(x, edge_index)."
            )
    return InputPlan(name, _fields(name, found))


def _entry(model: nn.Module) -> Callable[..., Any]:
    """The function whose parameters a user wrote: ``forward``, or ``encode`` (that of the encoder, where it only hands on)."""
    if not is_autoencoder(model):
        return model.forward
    encode, encoder = cast(Callable[..., Any], model.encode), getattr(model, "encoder", None)
    hands_on = all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in inspect.signature(encode).parameters.values())
    return encoder.forward if hands_on and isinstance(encoder, nn.Module) else encode


def _fields(model: str, found: Sequence[tuple[str, bool]]) -> tuple[Parameter, ...]:
    """Which field each parameter means; a first required one of another name is x, one beside it the edges."""
    fields = {name: name for name, _ in found}
    required = [name for name, must in found if must]
    shown = f"{model}.forward({', '.join(name for name, _ in found)})"
    dense = next((name for name in required if name in _DENSE or (name.startswith("adj") and name != "adj_t")), None)
    if dense is not None:
        raise InputError(
            f"{shown} asks for '{dense}', and no one can tell how it is to be normalised: take edge_index (and edge_weight), or "
            f"adj_t, and normalise in forward."
        )
    for name in fields:
        if name in _EDGES:
            fields[name] = "edge_index"
    edges = [name for name in fields if fields[name] in ("edge_index", "adj_t")]
    others = [name for name in required if fields[name] not in FIELDS]
    if "data" not in fields and "x" not in fields and required and required[0] in others:
        fields[others.pop(0)] = "x"
    if not edges and len(required) == 2 and others == [required[1]]:
        fields[others.pop(0)] = "edge_index"
        edges = [required[1]]
    if len(found) == 1 and not edges and fields[found[0][0]] == "x" and found[0][0] != "x":
        fields[found[0][0]] = "data"  # forward(batch), forward(graph): the graph as a whole
    if not edges and "data" not in fields.values() and required != ["x"]:  # forward(x) reads no edges, and may
        raise InputError(
            f"{shown} has no parameter for the edges: a model of a graph is called as forward(x, edge_index), forward(x, adj_t) "
            f"or forward(data)."
        )
    return tuple(Parameter(name, must, fields[name]) for name, must in found)


def call(model: nn.Module, plan: InputPlan, context: GraphContext, x: Any, edges: Any) -> Any:
    """The model's own output on a graph.

    Args:
        model: The model.
        plan: Its :func:`input_plan`.
        context: The live part of the graph.
        x: Features, or None where the graph has none.
        edges: ``edge_index`` [2, E], or a compiled graph for a model that accepts one.
    """
    called = cast(Callable[..., Any], unwrapped(model).encode) if is_autoencoder(model) else model
    if plan.by_position:
        return called(x, edges)
    arguments: dict[str, Any] = {}
    for parameter in plan.parameters:
        if parameter.field in ("batch", "num_nodes") and not parameter.required:
            continue  # for many graphs at once; this is one
        value, there = _value(parameter.field, context, x, edges)
        if there:
            arguments[parameter.name] = value
    return called(**arguments)


def _value(field: str, context: GraphContext, x: Any, edges: Any) -> tuple[Any, bool]:
    """The value of a field, and whether the graph has it."""
    if field == "x":
        return x, True
    if field == "edge_index":
        return edges, True
    if field == "n_id":
        return context.row_ids, True
    if field == "num_nodes":
        return len(context.ids), True
    if field == "batch":  # one graph
        return torch.zeros(len(context.ids), dtype=torch.long, device=context.ids.device), True
    if field == "adj_t":
        return context.adj_t, True
    if field == "data":
        return _pyg(context, x), True
    for tables in (context.edge_data, context.node_data):
        if field in tables:
            return tables[field], True
    return None, False


def _pyg(context: GraphContext, x: Any) -> Any:
    from torch_geometric.data import Data

    data = Data(edge_index=context.edge_index, num_nodes=len(context.ids), **context.node_data, **context.edge_data)
    if x is not None:
        data.x = x
    data.n_id = context.row_ids
    data.batch = torch.zeros(len(context.ids), dtype=torch.long, device=context.ids.device)
    return data


def tables_on(tables: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Every table on a device."""
    return {name: table.to(device) for name, table in tables.items()}
