"""Target: one kind of thing to forget, as canonical ids of one, two or three numbers each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests.keys import show_ids, unique_rows
from graphforget.requests.names import Names, are_positions, as_names

Kind = Literal[
    "node",
    "edge",
    "triple",
    "node_feature",
    "node_class",
    "edge_type",
    "graph",
    "user",
    "item",
    "interaction",
    "modality",
    "sample",
    "class",
    "sequence",
    "concept",
]
KINDS: tuple[str, ...] = get_args(Kind)
NAMED_KINDS = frozenset({"modality", "concept"})
Type = str | tuple[str, str, str]  # a node type "paper", or an edge type ("user", "rates", "movie"), as in PyG's HeteroData
_WIDTHS = {"edge": 2, "interaction": 2, "triple": 3}  # numbers in one id, where it is more than one
_TYPED = {"node": 1, "node_feature": 1, "node_class": 1, "edge": 3}  # names in a type, where targets may have one
_ROWS = {2: "pair", 3: "triple"}


def id_width(kind: str) -> int:
    """How many numbers an id of a kind has: 1, 2 for pairs, 3 for triples."""
    return _WIDTHS.get(kind, 1)


def no_ids(kind: str) -> Tensor:
    """Ids of a kind, none of them: [0], [0, 2] or [0, 3]."""
    width = id_width(kind)
    return torch.empty((0,) if width == 1 else (0, width), dtype=torch.long)


def as_ids(ids: Any, kind: str) -> Tensor:
    """Canonical ids: int64, CPU, one example per row, sorted, unique.

    Args:
        ids: Tensor, array or sequence of integers ([n]; [n, 2] for edges and interactions; [n, 3] for triples), or a boolean
            mask [N].
        kind: The target kind, used in messages.

    Raises:
        InputError: Not integers, wrong shape, negative, or empty.
    """
    width = id_width(kind)
    try:
        tensor = torch.as_tensor(_listed(ids)).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{kind} ids must be integers, got {type(ids).__name__} that is no array of numbers ({error}); names of their own "
            f"are given as names=[...]."
        ) from None
    if tensor.dtype == torch.bool:
        if width > 1 or tensor.dim() != 1:
            raise InputError(
                f"{kind} ids were given as a boolean tensor of shape {list(tensor.shape)}; give integer ids instead."
            )
        tensor = tensor.nonzero().view(-1)
    if tensor.numel() == 0:
        raise InputError(f"the request names no {kind}: give at least one id.")
    if tensor.is_floating_point() or tensor.is_complex():
        raise InputError(
            f"{kind} ids must be integers, got dtype {str(tensor.dtype).removeprefix('torch.')}; "
            f"convert them with .long() if they are whole numbers."
        )
    tensor = tensor.long()
    if width > 1:
        if tensor.dim() != 2 or tensor.size(1) != width:
            raise InputError(
                f"{kind} ids must have one {_ROWS[width]} per row, shape [n, {width}]; got shape {list(tensor.shape)}."
            )
    elif tensor.dim() == 0:
        tensor = tensor.view(1)
    elif tensor.dim() != 1:
        raise InputError(f"{kind} ids must be one-dimensional, shape [n]; got shape {list(tensor.shape)}.")
    if bool((tensor < 0).any()):
        bad = tensor[(tensor < 0).view(tensor.size(0), -1).any(1)]
        raise InputError(f"{kind} ids must not be negative, got {show_ids(bad)}.")
    return unique_rows(tensor)


def _listed(ids: Any) -> Any:
    """Ids in what torch reads: frames and series by their values, sets, views and generators as lists."""
    if isinstance(ids, (Tensor, list, tuple, range)):
        return ids
    if callable(getattr(ids, "to_numpy", None)):  # pandas: the values, whatever the index
        return ids.to_numpy()
    if isinstance(ids, Iterable) and not isinstance(ids, (str, bytes)) and not hasattr(ids, "__array__"):
        return list(ids)
    return ids


def mask_length(ids: Any) -> tuple[int, ...]:
    """The length of a boolean mask, as a tuple of one; nothing for ids."""
    if isinstance(ids, Tensor) or hasattr(ids, "dtype"):
        return (len(ids),) if str(ids.dtype) in ("torch.bool", "bool") else ()
    return (len(ids),) if isinstance(ids, (list, tuple)) and ids and all(isinstance(one, bool) for one in ids) else ()


@dataclass(frozen=True)
class Target:
    """One kind of thing to forget.

    Attributes:
        kind: One of :data:`KINDS`.
        ids: int64, [n], [n, 2] or [n, 3] (one example per row; triples are (head, relation, tail)), sorted, unique; empty where
            only names are given.
        columns: Feature columns, for ``node_feature`` only; empty means all of them.
        name: Name of a modality or concept; for these kinds only.
        names: The entities' own names: instead of ids, to be looked up in the data, or beside them, one per id.
        positions: Whether the ids are known to be positions, and never names that are numbers.
        masks: Lengths of the boolean masks that the ids were given by; checked against the data.
        type: Node type (``"paper"``) or edge type (``("user", "rates", "movie")``) that the ids count in, for data that have
            several; for nodes, their features and classes, and for edges.
    """

    kind: Kind
    ids: Tensor
    columns: tuple[int, ...] = ()
    name: str | None = None
    names: Names = ()
    positions: bool = False
    masks: tuple[int, ...] = ()
    type: Type | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown target kind '{self.kind}': {nearest(str(self.kind), list(KINDS))}")
        object.__setattr__(self, "type", _as_type(self.type, self.kind))
        self._set_ids()
        try:
            columns = tuple(sorted({int(c) for c in self.columns}))
        except (TypeError, ValueError):
            raise InputError(f"columns must be a sequence of integers, got {self.columns!r}.") from None
        if columns and self.kind != "node_feature":
            raise InputError(f"columns belong to node_feature targets, not to '{self.kind}'.")
        if columns and columns[0] < 0:
            raise InputError(f"feature columns must not be negative, got {columns[0]}.")
        object.__setattr__(self, "columns", columns)
        if self.kind == "modality" and not (isinstance(self.name, str) and self.name.strip()):
            raise InputError(
                f"a modality target needs the name of the item features, for example "
                f"DeletionRequest.modality('image', [3]); got {self.name!r}."
            )
        if self.name is not None and self.kind not in NAMED_KINDS:
            raise InputError(f"a name belongs to modality and concept targets, not to '{self.kind}'.")

    def _set_ids(self) -> None:
        """Canonical ids, with the names in their order."""
        given = self.ids
        if len(self.names) and (given is None or len(given) == 0):
            names = tuple(sorted(set(as_names(self.names, self.kind, width=id_width(self.kind)))))
            ids = no_ids(self.kind)
        else:
            ids = as_ids(given, self.kind)
            names = self._names_of(given, ids) if len(self.names) else ()
        object.__setattr__(self, "masks", (*self.masks, *mask_length(given)))
        object.__setattr__(self, "positions", bool(self.positions or are_positions(given)))
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "names", names)

    def _names_of(self, given: Any, ids: Tensor) -> Names:
        """The names that were given beside ids, in the order of the canonical ones."""
        rows = torch.as_tensor(given).view(-1, *ids.shape[1:]).tolist()
        names = as_names(self.names, self.kind, width=id_width(self.kind), some=True)
        if len(rows) != len(names):
            raise InputError(f"a {self.kind} target has {len(rows)} ids and {len(names)} names: give one name per id.")
        named = dict(zip(map(str, rows), names, strict=True))
        return tuple(named[str(row)] for row in ids.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Target) or self.key != other.key or self.by_name != other.by_name:
            return False
        return self.names == other.names if self.by_name else torch.equal(self.ids, other.ids)

    def __hash__(self) -> int:
        return hash((self.key, len(self)))

    @property
    def by_name(self) -> bool:
        """Whether only names are known: which ids they have is found in the data."""
        return bool(self.names) and not len(self.ids)

    @property
    def key(self) -> tuple[Any, ...]:
        """What two targets must share to be merged: kind, columns, name, and the type where there is one."""
        typed = () if self.type is None else ((self.type,) if isinstance(self.type, str) else self.type,)
        return (self.kind, self.columns, self.name or "", *typed)

    def __len__(self) -> int:
        return len(self.names) if self.by_name else int(self.ids.size(0))

    def joined(self, other: Target) -> Target:
        """Both targets as one, where they share a key and the way their ids were given."""
        if self.by_name:
            return replace(self, names=self.names + other.names)
        none = "" if id_width(self.kind) == 1 else ("",) * id_width(self.kind)
        names = [one.names or (none,) * len(one) for one in (self, other)] if self.names or other.names else [(), ()]
        masks = tuple(dict.fromkeys(self.masks + other.masks))
        return replace(self, ids=torch.cat([self.ids, other.ids]), names=names[0] + names[1], masks=masks)


def _as_type(given: Any, kind: str) -> Type | None:
    """A node or edge type, checked."""
    if given is None:
        return None
    if kind not in _TYPED:
        raise InputError(f"a type belongs to targets of {', '.join(_TYPED)}, not to '{kind}'.")
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, (list, tuple)) else ()
    if len(names) != _TYPED[kind] or not all(isinstance(name, str) and name.strip() for name in names):
        wanted = "an edge type ('user', 'rates', 'movie')" if _TYPED[kind] == 3 else "a node type 'paper'"
        raise InputError(f"the type of {kind} targets is written as {wanted}; got {given!r}.")
    return names[0] if _TYPED[kind] == 1 else (names[0], names[1], names[2])
