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
from typing import Any, cast

import torch
from torch import Tensor

from graphforget.exceptions import InputError
from graphforget.registry import nearest
from graphforget.requests.keys import unique_rows
from graphforget.requests.names import Names
from graphforget.requests.target import Kind, Target, Type, no_ids

_FORMAT = "graphforget.request/1"
_LISTS = {"columns": "a list of integers", "names": "a list of names", "masks": "a list of lengths"}


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
    def edges(
        cls, edge_index: Any = None, *, pairs: Any = None, ids: Any = None, names: Any = None, type: Type | None = None
    ) -> DeletionRequest:
        """Edges, in one of four ways.

        Args:
            edge_index: [2, n], as in PyG.
            pairs: [n, 2], one edge per row.
            ids: The same, known to be positions where nodes have numbers for names of their own; see :meth:`items`.
            names: Pairs of the nodes' own names.
            type: Edge type, e.g. ``("user", "rates", "movie")``, in data that have several.

        Raises:
            InputError: None or several of them, or not of that shape.

        Example:
            >>> DeletionRequest.edges(names=[("ann", "bob")]).summary()
            '1 edge (ann and bob)'
        """
        if sum(given is not None for given in (edge_index, pairs, ids, names)) != 1:
            raise InputError("give either edge_index of shape [2, n] or pairs=... (ids=...) of shape [n, 2], or names=[(a, b)].")
        if names is not None or ids is not None:
            return cls((replace(_target("edge", None, ids, names), type=type),))
        if pairs is not None:
            return cls((Target("edge", pairs, type=type),))
        if isinstance(edge_index, (list, tuple)) and len(edge_index) == 2 and all(isinstance(e, tuple) for e in edge_index):
            raise InputError(
                "two tuples can be two edges or the two rows of an edge_index: give pairs=[(u, v), ...], or a tensor edge_index."
            )
        try:
            tensor = torch.as_tensor(edge_index)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(
                "edge_index must be a rectangular array of integers of shape [2, n]; edges one by one are pairs=..., by the "
                "names of nodes names=[(a, b)]."
            ) from None
        if tensor.dim() != 2 or tensor.size(0) != 2:
            hint = "; one edge per row is DeletionRequest.edges(pairs=...)" if tensor.dim() == 2 and tensor.size(1) == 2 else ""
            raise InputError(f"edge_index must have shape [2, n], got {list(tensor.shape)}{hint}.")
        return cls((Target("edge", tensor.t(), type=type),))

    @classmethod
    def triples(cls, rows: Any) -> DeletionRequest:
        """Statements of a knowledge graph, [n, 3] rows (head, relation, tail)."""
        return cls((Target("triple", rows),))

    @classmethod
    def nodes(cls, plain: Any = None, *, ids: Any = None, names: Any = None, type: str | None = None) -> DeletionRequest:
        """Nodes: their features, their label and every incident edge.

        Args:
            plain: Node ids, [n], or a boolean mask: positions in the data. Where nodes have numbers for names of their own, an id
                that could also be one of these names is refused.
            ids: The same, known to be positions.
            names: Names of their own, as in ``GraphData.node_names``.
            type: Their node type, in data that have several.

        Example:
            >>> DeletionRequest.nodes(names=["ann"]).summary()
            '1 node (ann)'
        """
        return cls((replace(_target("node", plain, ids, names), type=type),))

    @classmethod
    def node_features(
        cls, plain: Any = None, columns: Sequence[int] = (), *, ids: Any = None, names: Any = None, type: str | None = None
    ) -> DeletionRequest:
        """The features of nodes: all columns, or the given ones; node and edges stay. Nodes and ``type`` as in :meth:`nodes`."""
        return cls((replace(_target("node_feature", plain, ids, names), columns=tuple(columns), type=type),))

    @classmethod
    def node_classes(cls, labels: Any, *, type: str | None = None) -> DeletionRequest:
        """Every labelled (training and validation) node of these classes; ``type`` as in :meth:`nodes`."""
        return cls((Target("node_class", labels, type=type),))

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

    def ids(self, kind: str, type: Type | None = None) -> Tensor:
        """All ids of one kind and one type (without a type: of those that have none), merged; empty when there are none.

        Raises:
            InputError: Only names of them are known yet.
        """
        asked = [t for t in self.of(kind) if t.type == type]
        for t in asked:
            if t.by_name:
                raise InputError(
                    f"the request gives {kind}s by name: task.split(data, request) finds their ids, and its .request holds them."
                )
        return unique_rows(torch.cat([t.ids for t in asked])) if asked else no_ids(kind)

    @property
    def modalities(self) -> dict[str, Tensor]:
        """Items by the modality that they lose."""
        return {str(t.name): t.ids for t in self.targets if t.kind == "modality"}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds present, sorted."""
        return tuple(sorted({t.kind for t in self.targets}))

    def summary(self) -> str:
        """For people: ``"2 edges, 1 node"``, ``"image of 3 items"``, ``"1 user (ann)"``, ``"2 nodes of type 'paper'"``."""

        def plural(kind: str, n: int) -> str:
            word = kind.replace("_", " ")
            return f"{n:,} {word}" + ("" if n == 1 else "es" if word.endswith("s") else "s")

        return ", ".join(
            (f"{t.name} of {plural('item', len(t))}" if t.kind == "modality" else plural(t.kind, len(t)))
            + ("" if t.type is None else f" of type {t.type!r}")
            + _shown(t.names)
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
            if t.type is not None:
                entry["type"] = t.type if isinstance(t.type, str) else list(t.type)
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
            _refuse_unknown(entry, ("kind", "ids", *_LISTS, "name", "positions", "type"), f"target {position} of the request")
            for key in _LISTS:
                if not isinstance(entry.get(key, ()), (list, tuple)):
                    raise InputError(f"'{key}' of target {position} must be {_LISTS[key]}, got {entry[key]!r}.")
            lists = [tuple(entry.get(key, ())) for key in _LISTS]
            if not isinstance(said := entry.get("positions", False), bool):
                raise InputError(f"'positions' of target {position} must be true or false, got {said!r}.")
            kind = cast(Kind, entry["kind"])
            name, of_type = entry.get("name"), entry.get("type")
            targets.append(Target(kind, entry.get("ids"), lists[0], name, lists[1], said, lists[2], of_type))  # type: ignore[arg-type]
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
    said = [" and ".join(name) if isinstance(name, tuple) else name or "?" for name in names[:limit]]
    return f" ({', '.join(said)}" + (f" and {len(names) - limit} more)" if len(names) > limit else ")")


def union(requests: Iterable[DeletionRequest]) -> DeletionRequest:
    """The union of several requests."""
    targets = tuple(target for request in requests for target in request.targets)
    return DeletionRequest(targets)


def _refuse_unknown(entry: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    for key in entry:
        if key not in known:
            raise InputError(f"{what} has an unknown key '{key}': {nearest(str(key), list(known))}")
