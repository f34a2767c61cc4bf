"""Residue: what a model still holds of forgotten users, items, nodes, edges or samples outside of what training moved.

Weights that every example shares are judged by behaviour. But a model may also keep something *per entity*: a row of a table, a
buffer with one entry per node, a cached graph, a list of ids, a copy of the content. No behaviour on retained data shows it,
and whoever reads the file can. The audit looks for such places by shape, by how the forward pass uses them, and by content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from graphforget.base.stored import Stored, stored
from graphforget.requests import show_ids
from graphforget.requests.keys import is_among

UNMOVED = 0.1  # a row nearer than this share of its own norm to what it was before counts as the same row
_LAYERS = ("torch.nn.", "torch_geometric.nn.", "graphforget.models.gnn.")
_ALIKE = 0.3  # a row whose cosine with what it was before is at least this is put back to fresh weights

# Gradients of the outputs on retained data with respect to some stored tensors, by name; None where one is not used.
Gradients = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor | None]]


@dataclass(frozen=True, eq=False)
class Content:
    """Content rows that only forgotten entities had.

    Attributes:
        width: Numbers per row.
        rows: Makes them, [n, ...]; asked only where a model stores something of that width.
    """

    width: int
    rows: Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class Gone:
    """What a deletion took, as the audit looks for it; what is as large as the data is made only where a model stores the like.

    Attributes:
        sizes: Slots by kind before the deletion, e.g. ``{"node": N}`` or ``{"user": U, "item": I}``, in the order in which a
            joint table would stack them.
        ids: Forgotten slots by kind, [n] each.
        pairs: Makes the deleted edges or interactions, [m, 2].
        entries: Number of edge entries before the deletion: the rows of a table with one row per edge.
        deleted_entries: Makes the entries that went, [n].
        content: Content by name.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    ids: Mapping[str, Tensor] = field(default_factory=dict)
    pairs: Callable[[], Tensor] = lambda: torch.empty(0, 2, dtype=torch.long)
    entries: int = 0
    deleted_entries: Callable[[], Tensor] = lambda: torch.empty(0, dtype=torch.long)
    content: Mapping[str, Content] = field(default_factory=dict)


@dataclass(frozen=True)
class Residue:
    """One place where something forgotten is still held.

    Attributes:
        place: Dotted path in the model.
        sentence: What is held there, for the report.
    """

    place: str
    sentence: str


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows ``offset + ids`` of a stored tensor along a dimension."""

    one: Stored
    kind: str
    dim: int
    ids: Tensor
    rows: Tensor
    sure: bool

    def of(self, tensor: Tensor) -> Tensor:
        """[n, everything else]."""
        picked = tensor.detach().index_select(self.dim, self.rows.to(tensor.device))
        return picked.movedim(self.dim, 0).reshape(len(self.rows), -1)


def audit(model: nn.Module, before: nn.Module, gone: Gone, gradients: Gradients, *, tables: bool = True) -> list[Residue]:
    """Places in ``model`` that still hold something of what is gone.

    Args:
        model: The model after unlearning.
        before: The model before it.
        gone: What must not be held any more.
        gradients: How the outputs on retained data use some stored tensors; asked only where a shape is ambiguous.
        tables: Whether rows of trained tables are compared with what they were; False where all of them were trained anew.

    Returns:
        What was found, in the order of the model's modules.
    """
    found: dict[str, str] = {}
    was = {one.name: one.tensor for one in stored(before)}
    for rows in entity_rows(model, gone, gradients) if tables else ():
        held = _unmoved(rows, was.get(rows.one.name))
        if len(held):
            what = f"rows of {rows.kind} {show_ids(held)} as before the deletion"
            found.setdefault(rows.one.name, f"'{rows.one.name}' ({rows.one.kind}) still has the {what}")
    for one in stored(model):
        if one.name not in found:
            what = _held(one, was.get(one.name), gone)
            if what:
                found[one.name] = f"'{one.name}' ({one.kind}) {what}"
    return [Residue(place, sentence) for place, sentence in found.items()]


def put_back(model: nn.Module, before: nn.Module, fresh: nn.Module, gone: Gone, gradients: Gradients) -> dict[str, int]:
    """Give rows of forgotten entities that are still like what they were the weights of a fresh model.

    Returns:
        Rows put back, by parameter or buffer.
    """
    done: dict[str, int] = {}
    was, new = ({one.name: one.tensor for one in stored(m)} for m in (before, fresh))
    for rows in entity_rows(model, gone, gradients):
        old, source = was.get(rows.one.name), new.get(rows.one.name)
        tensor = rows.one.tensor
        if rows.one.kind == "attribute" or old is None or source is None or not old.shape == source.shape == tensor.shape:
            continue
        if rows.one.kind == "buffer" and torch.equal(rows.of(source).to(rows.of(old)), rows.of(old)):
            continue  # a fresh model that starts with these rows has them from the data
        if rows.one.kind == "buffer":
            alike = torch.isin(rows.ids, _unmoved(rows, old))
        else:
            now = rows.of(tensor).double()
            then = rows.of(old).double().to(now)
            sizes = now.norm(dim=1) * then.norm(dim=1)
            alike = ((now * then).sum(1) >= _ALIKE * sizes) & (sizes > 0)
        chosen = rows.rows[alike.cpu()].to(tensor.device)
        if len(chosen):
            with torch.no_grad():
                tensor.index_copy_(rows.dim, chosen, source.detach().index_select(rows.dim, chosen.to(source.device)).to(tensor))
            done[rows.one.name] = done.get(rows.one.name, 0) + len(chosen)
    return done


def entity_rows(model: nn.Module, gone: Gone, gradients: Gradients) -> list[_Rows]:
    """Rows of forgotten entities in the tables of a model.

    A table is a tensor with as many rows (or columns) as there are entities, one more for padding, or the sum of all kinds. An
    ``nn.Embedding`` of that size is one; any other trained tensor is one when outputs on retained data have gradients in rows of
    living entities and none in rows of forgotten ones; a buffer or attribute is one by its shape.
    """
    candidates = [rows for one in stored(model) for rows in _candidates(one, gone)]
    unsure = {rows.one.name: rows.one.tensor for rows in candidates if not rows.sure}
    slopes = gradients(unsure) if unsure else {}
    return [rows for rows in candidates if rows.sure or _is_table(rows, slopes.get(rows.one.name))]


def _candidates(one: Stored, gone: Gone) -> list[_Rows]:
    tensor, found = one.tensor, []
    if tensor.dim() == 0 or tensor.layout != torch.strided or tensor.is_complex() or tensor.numel() < 2:
        return []
    if isinstance(one.owner, nn.modules.batchnorm._NormBase) and one.kind == "buffer":
        return []
    embedding = isinstance(one.owner, (nn.Embedding, nn.EmbeddingBag))
    total = sum(gone.sizes.values())
    start = 0
    for kind, size in gone.sizes.items():
        ids = gone.ids.get(kind)
        offset, start = start, start + size
        if ids is None or not len(ids) or size < 2:
            continue
        for dim in (0,) if tensor.dim() == 1 or embedding else (0, tensor.dim() - 1):
            length = tensor.size(dim)
            if length == size:
                rows = ids
            elif length == size + 1:  # one row of padding, first or last
                padding = getattr(one.owner, "padding_idx", None)
                rows = ids + 1 if padding == 0 else ids
            elif len(gone.sizes) > 1 and length in (total, total + 1):
                rows = ids + offset
            else:
                continue
            sure = (embedding and one.kind == "parameter") or (one.kind != "parameter" and length == size and dim == 0)
            found.append(_Rows(one, kind, dim, ids, rows, sure))
            break
    return found


def _is_table(rows: _Rows, slope: Tensor | None) -> bool:
    if rows.one.kind != "parameter":
        return False  # neither rows first nor exactly as many: most likely something else
    if slope is None:
        return False
    by_row = slope.movedim(rows.dim, 0).reshape(slope.size(rows.dim), -1).abs().amax(1)
    dead = torch.zeros(len(by_row), dtype=torch.bool, device=by_row.device)
    dead[rows.rows.to(by_row.device)] = True
    return bool((by_row[dead] == 0).all()) and bool((by_row[~dead] > 0).any())


def _unmoved(rows: _Rows, old: Tensor | None) -> Tensor:
    """Ids whose rows are what they were, [k]; rows without any content do not count."""
    tensor = rows.one.tensor
    if old is None or old.shape != tensor.shape:
        return rows.ids[:0]
    if not (tensor.is_floating_point() and old.is_floating_point()):
        now, then = rows.of(tensor), rows.of(old).to(tensor.device)
        same = (now == then).all(1) & (then != 0).any(1) & (then != -1).any(1)
    else:
        now, then = rows.of(tensor).double(), rows.of(old).double().to(tensor.device)
        size = then.norm(dim=1)
        same = ((now - then).norm(dim=1) <= (UNMOVED if now.size(1) > 1 else 1e-6) * size) & (size > 0)
    return rows.ids[same.cpu()]


# ---- other places ------------------------------------------------------------------------------------------------
def _held(one: Stored, old: Tensor | None, gone: Gone) -> str:
    """What a stored tensor holds of what is gone besides rows of a table; "" when nothing was found."""
    tensor = one.tensor.detach().cpu()
    if tensor.numel() < 2:
        return ""
    if tensor.layout != torch.strided:
        return _adjacency_holds(tensor.to_sparse_coo().coalesce().indices(), tensor.shape, gone) if tensor.dim() == 2 else ""
    if tensor.dtype in (torch.int64, torch.int32):
        return _integers_hold(tensor.long(), gone)
    if one.kind != "parameter" and tensor.dim() == 2 and tensor.size(0) == tensor.size(1):
        text = _adjacency_holds(tensor.nonzero().t(), tensor.shape, gone)
        if text:
            return text
    if tensor.is_floating_point() and not (one.kind == "parameter" and _is_layer(one.owner)):
        for name, content in gone.content.items():
            count = _rows_in(tensor, content)
            if count:
                return f"holds {count} rows equal to deleted content ({name})"
    return _edge_rows_hold(one, tensor, old, gone)


def _edge_rows_hold(one: Stored, tensor: Tensor, old: Tensor | None, gone: Gone) -> str:
    own = one.kind != "parameter" or not _is_layer(one.owner)
    if tensor.size(0) != gone.entries or old is None or old.shape != tensor.shape or not own:
        return ""
    rows = gone.deleted_entries()
    now, then = tensor[rows], old.detach().cpu()[rows]
    if len(rows) and torch.equal(now, then) and bool((then != 0).any()):
        return f"has one row per edge of the data before the deletion, with those of {len(rows)} deleted entries"
    return ""


def _integers_hold(tensor: Tensor, gone: Gone) -> str:
    if tensor.dim() == 2 and 2 in tensor.shape:
        wanted = {tuple(p) for p in gone.pairs().tolist()}
        listed = (tensor.t() if tensor.size(0) == 2 else tensor).tolist() if wanted else ()
        count = sum(tuple(p) in wanted or tuple(p[::-1]) in wanted for p in listed)
        if count:
            return f"lists {count} deleted edges"
    for kind, ids in gone.ids.items():
        size = gone.sizes.get(kind, 0)
        flat = tensor.reshape(-1)
        if not len(ids) or bool((flat < 0).any()) or int(flat.max()) >= size or tensor.size(0) == size:
            continue
        is_list = tensor.dim() == 1 and len(torch.unique(flat)) == len(flat) and not torch.equal(flat, torch.arange(len(flat)))
        is_edges = tensor.dim() == 2 and 2 in tensor.shape
        inside = torch.isin(ids, flat)
        if (is_list or is_edges) and bool(inside.any()):
            return f"lists the deleted {kind} {show_ids(ids[inside])}"
    return ""


def _adjacency_holds(index: Tensor, shape: Iterable[int], gone: Gone) -> str:
    """``index`` [2, E] are places of a matrix that hold something."""
    height, width = shape
    for kind, ids in gone.ids.items():
        size = gone.sizes.get(kind, 0)
        if size < 2 or not len(ids):
            continue
        off = index[0] != index[1]
        touched = torch.zeros(0, dtype=torch.long)
        if height == size:
            touched = torch.cat([touched, index[0][off]])
        if width == size:
            touched = torch.cat([touched, index[1][off]])
        inside = torch.isin(ids, touched)
        if bool(inside.any()):
            return f"joins the deleted {kind} {show_ids(ids[inside])} with others"
    if len(gone.sizes) == 1 and height == width == next(iter(gone.sizes.values())):
        count = int(is_among(gone.pairs(), index.t()).sum())
        if count:
            return f"holds {count} deleted edges"
    return ""


def _rows_in(tensor: Tensor, content: Content) -> int:
    """How many rows of the content stand, to the last bit of float32, among the rows of ``tensor``."""
    width = content.width
    if width < 2:
        return 0
    if tensor.dim() >= 2 and tensor[0].numel() == width:
        table = tensor.reshape(tensor.size(0), -1)
    elif tensor.size(-1) == width:
        table = tensor.reshape(-1, width)
    else:
        return 0
    wanted = {row.numpy().tobytes() for row in content.rows().reshape(-1, width).float()}
    return len(wanted & {row.numpy().tobytes() for row in table.float()}) if wanted else 0


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer of torch, PyG or ours rather than the user's own."""
    return type(module).__module__.startswith(_LAYERS) and not isinstance(module, nn.Embedding)


def only_there(content: Tensor, retained: Tensor) -> Tensor:
    """Rows of ``content`` [n, ...] that hold something and stand nowhere in ``retained``: what identifies a forgotten entity."""
    flat = content.reshape(len(content), -1).float()
    kept = {row.numpy().tobytes() for row in retained.reshape(len(retained), -1).float()}
    mask = [bool((row != 0).any()) and not bool(row.isnan().any()) and row.numpy().tobytes() not in kept for row in flat]
    return content[torch.tensor(mask, dtype=torch.bool)] if len(flat) else content
