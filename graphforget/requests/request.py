"""DeletionRequest: what must be forgotten, as canonical, content-addressed ids.

A request knows nothing of data or models. It is resolved against data by ``task.split(data, request)``, which
canonicalises undirected edges and refuses unknown or already forgotten ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests.keys import show_ids, unique_rows
from graphforget.requests.names import Names, are_positions, as_names

Kind = Literal[
    "node",
    "edge",
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
PAIR_KINDS = frozenset({"edge", "interaction"})
NAMED_KINDS = frozenset({"modality", "concept"})
_FORMAT = "graphforget.request/1"
_LISTS = {"columns": "a list of integers", "names": "a list of names", "masks": "a list of lengths"}


def as_ids(ids: Any, kind: str) -> Tensor:
    """Canonical ids: int64, CPU, one example per row, sorted, unique.

    Args:
        ids: Tensor, array or sequence of integers ([n], or [n, 2] for pair kinds), or a boolean mask [N].
        kind: The target kind, used in messages.

    Raises:
        InputError: Not integers, wrong shape, negative, or empty.
    """
    try:
        tensor = torch.as_tensor(ids).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{kind} ids must be integers, got {type(ids).__name__} that is no array of numbers ({error}); names of their own "
            f"are given as names=[...]."
        ) from None
    if tensor.dtype == torch.bool:
        if kind in PAIR_KINDS or tensor.dim() != 1:
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
    if kind in PAIR_KINDS:
        if tensor.dim() != 2 or tensor.size(1) != 2:
            raise InputError(f"{kind} ids must have one pair per row, shape [n, 2]; got shape {list(tensor.shape)}.")
    elif tensor.dim() == 0:
        tensor = tensor.view(1)
    elif tensor.dim() != 1:
        raise InputError(f"{kind} ids must be one-dimensional, shape [n]; got shape {list(tensor.shape)}.")
    if bool((tensor < 0).any()):
        bad = tensor[(tensor < 0).view(tensor.size(0), -1).any(1)]
        raise InputError(f"{kind} ids must not be negative, got {show_ids(bad)}.")
    return unique_rows(tensor)


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
        ids: int64, [n] or [n, 2] (one example per row), sorted, unique; empty where only names are given.
        columns: Feature columns, for ``node_feature`` only; empty means all of them.
        name: Name of a modality or concept; for these kinds only.
        names: The entities' own names: instead of ids, to be looked up in the data, or beside them, one per id.
        positions: Whether the ids are known to be positions, and never names that are numbers.
        masks: Lengths of the boolean masks that the ids were given by; checked against the data.
    """

    kind: Kind
    ids: Tensor
    columns: tuple[int, ...] = ()
    name: str | None = None
    names: Names = ()
    positions: bool = False
    masks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown target kind '{self.kind}': {nearest(str(self.kind), list(KINDS))}")
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
        given, pairs = self.ids, self.kind in PAIR_KINDS
        if len(self.names) and (given is None or len(given) == 0):
            names = tuple(sorted(set(as_names(self.names, self.kind, pairs=pairs))))
            ids = torch.empty((0, 2) if pairs else (0,), dtype=torch.long)
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
        names = as_names(self.names, self.kind, pairs=self.kind in PAIR_KINDS, some=True)
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
    def key(self) -> tuple[str, tuple[int, ...], str]:
        """What two targets must share to be merged."""
        return (self.kind, self.columns, self.name or "")

    def __len__(self) -> int:
        return len(self.names) if self.by_name else int(self.ids.size(0))

    def joined(self, other: Target) -> Target:
        """Both targets as one, where they share a key and the way their ids were given."""
        if self.by_name:
            return replace(self, names=self.names + other.names)
        none = ("", "") if self.kind in PAIR_KINDS else ""
        names = [one.names or (none,) * len(one) for one in (self, other)] if self.names or other.names else [(), ()]
        masks = tuple(dict.fromkeys(self.masks + other.masks))
        return replace(self, ids=torch.cat([self.ids, other.ids]), names=names[0] + names[1], masks=masks)


@dataclass(frozen=True)
class DeletionRequest:
    """What must be forgotten: one or more targets, canonical and hashable by content.

    Example:
        >>> request = DeletionRequest.edges([[0, 2], [1, 3]]) | DeletionRequest.nodes([7])
        >>> [t.kind for t in request.targets]
        ['edge', 'node']
        >>> DeletionRequest.from_json(request.to_json()) == request
        True
    """

    targets: tuple[Target, ...]
    note: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.targets:
            raise InputError("a deletion request needs at least one target, for example DeletionRequest.nodes([3]).")
        merged: dict[Any, Target] = {}
        for target in self.targets:
            if not isinstance(target, Target):
                raise InputError(
                    f"targets must be Target objects, got {type(target).__name__}; "
                    f"use DeletionRequest.nodes(...), .edges(...) and so on."
                )
            # What is still to be looked up, or must not be read as a name, is kept apart until it is resolved against data.
            key = (target.key, target.by_name, target.positions)
            merged[key] = merged[key].joined(target) if key in merged else target
        object.__setattr__(self, "targets", tuple(merged[key] for key in sorted(merged)))

    # ---- constructors -------------------------------------------------------------------------------------
    @classmethod
    def edges(cls, edge_index: Any = None, *, pairs: Any = None) -> DeletionRequest:
        """Edges by ``edge_index`` ([2, n], as in PyG) or by ``pairs`` ([n, 2], one edge per row)."""
        if (edge_index is None) == (pairs is None):
            raise InputError("give either edge_index of shape [2, n] or pairs=... of shape [n, 2].")
        if pairs is not None:
            return cls((Target("edge", pairs),))
        try:
            tensor = torch.as_tensor(edge_index)
        except (TypeError, ValueError, RuntimeError):
            raise InputError("edge_index must be a rectangular array of integers of shape [2, n].") from None
        if tensor.dim() != 2 or tensor.size(0) != 2:
            hint = "; one edge per row is DeletionRequest.edges(pairs=...)" if tensor.dim() == 2 and tensor.size(1) == 2 else ""
            raise InputError(f"edge_index must have shape [2, n], got {list(tensor.shape)}{hint}.")
        return cls((Target("edge", tensor.t()),))

    @classmethod
    def nodes(cls, ids: Any) -> DeletionRequest:
        """Nodes: their features, their label and every incident edge."""
        return cls((Target("node", ids),))

    @classmethod
    def node_features(cls, ids: Any, columns: Sequence[int] = ()) -> DeletionRequest:
        """The features of nodes: all columns, or the given ones; node and edges stay."""
        return cls((Target("node_feature", ids, tuple(columns)),))

    @classmethod
    def node_classes(cls, labels: Any) -> DeletionRequest:
        """Every labelled (training and validation) node of these classes."""
        return cls((Target("node_class", labels),))

    @classmethod
    def samples(cls, ids: Any) -> DeletionRequest:
        """Independent training samples, e.g. images or rows of a table."""
        return cls((Target("sample", ids),))

    @classmethod
    def classes(cls, labels: Any) -> DeletionRequest:
        """Every training and validation sample of these classes."""
        return cls((Target("class", labels),))

    @classmethod
    def users(cls, plain: Any = None, *, ids: Any = None, names: Any = None) -> DeletionRequest:
        """Users of a recommender with all of their interactions; ``names`` and ``ids`` as in :meth:`items`."""
        return cls((_target("user", plain, ids, names),))

    @classmethod
    def items(cls, plain: Any = None, *, ids: Any = None, names: Any = None) -> DeletionRequest:
        """Items of a recommender with all of their interactions and content.

        Args:
            plain: Item ids, [n]: positions in the data, counted from 0. Where items have numbers for names of their own, an id
                that could also be one of these names is refused.
            ids: The same, said to be positions.
            names: Names of their own, as in ``Interactions.item_names``.

        Raises:
            InputError: None of the three, or several.

        Example:
            >>> DeletionRequest.items(names=["B007", "B009"]).summary()
            '2 items (B007, B009)'
        """
        return cls((_target("item", plain, ids, names),))

    @classmethod
    def interactions(cls, plain: Any = None, *, ids: Any = None, names: Any = None) -> DeletionRequest:
        """Single (user, item) interactions, [n, 2]; ``names`` are pairs (user, item), else as in :meth:`items`."""
        return cls((_target("interaction", plain, ids, names),))

    @classmethod
    def modality(cls, name: str, plain: Any = None, *, ids: Any = None, names: Any = None) -> DeletionRequest:
        """One modality of items, e.g. the image of a book's cover; the items, their interactions and other modalities stay.

        Args:
            name: Name of the item features, as in ``Interactions.features``.
            plain: Items that lose them, [n].
            ids: The same, said to be positions; see :meth:`items`.
            names: The items' own names.

        Example:
            >>> DeletionRequest.modality("image", [7, 3]).summary()
            'image of 2 items'
        """
        return cls((_target("modality", plain, ids, names, name),))

    # ---- use ----------------------------------------------------------------------------------------------
    def __or__(self, other: DeletionRequest) -> DeletionRequest:
        note = "; ".join(n for n in (self.note, other.note) if n)
        return DeletionRequest(self.targets + other.targets, note)

    def __len__(self) -> int:
        return sum(len(target) for target in self.targets)

    def of(self, *kinds: str) -> tuple[Target, ...]:
        """The targets of the given kinds."""
        return tuple(t for t in self.targets if t.kind in kinds)

    def ids(self, kind: str) -> Tensor:
        """All ids of one kind, merged over its targets; empty when there are none.

        Raises:
            InputError: Only names of them are known yet.
        """
        for t in self.of(kind):
            if t.by_name:
                raise InputError(
                    f"the request gives {kind}s by name: task.split(data, request) finds their ids, and its .request holds them."
                )
        found = [t.ids for t in self.targets if t.kind == kind]
        width = (0, 2) if kind in PAIR_KINDS else (0,)
        return unique_rows(torch.cat(found)) if found else torch.empty(width, dtype=torch.long)

    @property
    def modalities(self) -> dict[str, Tensor]:
        """Items by the modality that they lose."""
        return {str(t.name): t.ids for t in self.targets if t.kind == "modality"}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds present, sorted."""
        return tuple(sorted({t.kind for t in self.targets}))

    def summary(self) -> str:
        """For people: ``"2 edges, 1 node"``, ``"image of 3 items"``, ``"1 user (ann)"``."""

        def plural(kind: str, n: int) -> str:
            word = kind.replace("_", " ")
            return f"{n:,} {word}" + ("" if n == 1 else "es" if word.endswith("s") else "s")

        return ", ".join(
            (f"{t.name} of {plural('item', len(t))}" if t.kind == "modality" else plural(t.kind, len(t))) + _shown(t.names)
            for t in self.targets
        )

    def digest(self) -> str:
        """SHA-256 of the canonical content; the note is not part of it."""
        hasher = hashlib.sha256(_FORMAT.encode())
        for t in self.targets:
            hasher.update(repr((t.key, tuple(t.ids.shape))).encode())
            hasher.update(t.ids.contiguous().numpy().tobytes())
            if t.by_name:  # beside ids names are a note for people
                hasher.update(repr(t.names).encode())
        return hasher.hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe content, the inverse of :meth:`from_dict`."""
        targets: list[dict[str, Any]] = []
        for t in self.targets:
            entry: dict[str, Any] = {"kind": t.kind, "ids": t.ids.tolist()}
            if t.columns:
                entry["columns"] = list(t.columns)
            if t.name is not None:
                entry["name"] = t.name
            if t.names:
                entry["names"] = [list(name) if isinstance(name, tuple) else name for name in t.names]
            if t.by_name:
                del entry["ids"]
            if t.positions:
                entry["positions"] = True
            if t.masks:
                entry["masks"] = list(t.masks)
            targets.append(entry)
        return {"format": _FORMAT, "targets": targets} | ({"note": self.note} if self.note else {})

    def to_json(self) -> str:
        """The request as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, content: Any) -> DeletionRequest:
        """Read what :meth:`to_dict` wrote.

        Raises:
            InputError: Not such a document; the sentence says what is missing.
        """
        example = '{"targets": [{"kind": "edge", "ids": [[0, 1]]}]}'
        if not isinstance(content, dict) or not isinstance(content.get("targets"), list):
            raise InputError(f"a request is a JSON object with a list 'targets', for example {example}.")
        if content.get("format", _FORMAT) != _FORMAT:
            raise InputError(f"this request has format '{content['format']}', expected '{_FORMAT}'.")
        _refuse_unknown(content, ("format", "targets", "note"), "a request")
        targets = []
        for position, entry in enumerate(content["targets"]):
            if not isinstance(entry, dict) or "kind" not in entry or not ("ids" in entry or entry.get("names")):
                raise InputError(f"target {position} of the request needs 'kind' and 'ids' (or 'names'), for example {example}.")
            _refuse_unknown(entry, ("kind", "ids", *_LISTS, "name", "positions"), f"target {position} of the request")
            for key in _LISTS:
                if not isinstance(entry.get(key, ()), (list, tuple)):
                    raise InputError(f"'{key}' of target {position} must be {_LISTS[key]}, got {entry[key]!r}.")
            lists = [tuple(entry.get(key, ())) for key in _LISTS]
            if not isinstance(said := entry.get("positions", False), bool):
                raise InputError(f"'positions' of target {position} must be true or false, got {said!r}.")
            kind = cast(Kind, entry["kind"])
            targets.append(Target(kind, entry.get("ids"), lists[0], entry.get("name"), lists[1], said, lists[2]))  # type: ignore[arg-type]
        return cls(tuple(targets), str(content.get("note", "")))

    @classmethod
    def from_json(cls, text: str) -> DeletionRequest:
        """Read a request from JSON text.

        Raises:
            InputError: Not JSON, or not a request.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"the request is not valid JSON: {error}.") from None
        return cls.from_dict(content)

    @classmethod
    def load(cls, path: str | Path) -> DeletionRequest:
        """Read a request file.

        Raises:
            InputError: No such file, unreadable, or not a request.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the request file '{path}': {error}.") from None
        return cls.from_json(text)


def _target(kind: Kind, plain: Any, ids: Any, names: Any, name: str | None = None) -> Target:
    """A target whose ids are given in one of three ways."""
    if sum(given is not None for given in (plain, ids, names)) != 1:
        raise InputError(f"give {kind}s in one way: as ids (positions in the data), as ids=[...], or as names=[...].")
    if names is None:
        return Target(kind, plain if ids is None else ids, name=name, positions=ids is not None)
    if isinstance(names, (str, int)):
        names = [names]
    names = list(names) if isinstance(names, Iterable) else names
    if not names:
        raise InputError(f"the request names no {kind}: give at least one name.")
    return Target(kind, None, name=name, names=names)  # type: ignore[arg-type]


def _shown(names: Names, limit: int = 3) -> str:
    """The first names in brackets."""
    if not any(any(name) for name in names):
        return ""
    said = [f"{name[0]} and {name[1]}" if isinstance(name, tuple) else name or "?" for name in names[:limit]]
    return f" ({', '.join(said)}" + (f" and {len(names) - limit} more)" if len(names) > limit else ")")


def union(requests: Iterable[DeletionRequest]) -> DeletionRequest:
    """The union of several requests."""
    targets = tuple(target for request in requests for target in request.targets)
    return DeletionRequest(targets)


def _refuse_unknown(entry: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in entry:
        if key not in known:
            raise InputError(f"{what} has an unknown key '{key}': {nearest(str(key), list(known))}")
