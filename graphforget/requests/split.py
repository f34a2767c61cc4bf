"""ForgetSplit: what a request means for one data container and one task.

Made only by ``task.split(data, request)``; read-only. Training examples are *removed* (gone), *altered* (they stay, their content
changed) or *affected* (they stay, only their context changed); *retain* is all that stay. They are read in one of three contexts:
*original*, *unlinked* (structure removed, content kept) or *retained* (all forgotten content gone).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from graphforget.exceptions import ViewError
from graphforget.requests.lineage import Lineage
from graphforget.requests.request import DeletionRequest

Context = Literal["original", "unlinked", "retained"]
Part = Literal["forget", "removed", "altered", "affected", "retain"]
CONTEXTS: tuple[Context, ...] = ("original", "unlinked", "retained")


@dataclass(frozen=True, eq=False)
class View:
    """Examples and the data they are read in.

    Attributes:
        data: The data container that supplies inputs and context.
        index: Example ids, int64 [n] or [n, 2].
        negatives: For tasks that contrast with sampled non-examples: ``"draw"`` fresh ones, ``"none"``, or fixed ones [m, 2].
    """

    data: Any
    index: Tensor
    negatives: Literal["draw", "none"] | Tensor = "draw"

    def __len__(self) -> int:
        return int(self.index.size(0))

    def select(self, positions: Tensor) -> View:
        """The same view restricted to some of its rows."""
        return View(self.data, self.index[positions], self.negatives)


class ForgetSplit:
    """A request resolved against data: which examples are gone, changed, near, or untouched, and the data on each side.

    Attributes:
        request: Canonical request (undirected edges as u <= v; classes as given).
        data: The data before this request.
        removed: Example ids that are gone.
        altered: Example ids that stay while their own content changed.
        affected: Example ids that stay while only their context changed.
        retain: All training example ids that stay. This one, ``altered`` and ``affected`` are found when first read: a method
            that does not read them does not pay for them.
        deny: Ids that must not be served any more, by kind, e.g. ``{"item": ids}``.
        lineage: First data and cumulative request (this one included): what gold and evaluation use.
        notes: What a reader should know of the data and of what this request means for them, in sentences.
    """

    # unlink: how to make the unlinked data, or which other context it equals. forget: makes the retained data.
    def __init__(
        self,
        *,
        request: DeletionRequest,
        data: Any,
        unlink: Callable[[], Any] | Literal["original", "retained"],
        forget: Callable[[Lineage], Any],
        removed: Tensor,
        altered: Tensor | Callable[[], Tensor],
        affected: Tensor | Callable[[], Tensor],
        retain: Tensor | Callable[[], Tensor],
        readable: Tensor | None = None,
        region: Callable[[], Mapping[str, Tensor]] | None = None,
        deny: Mapping[str, Tensor] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.request, self.data = request, data
        self.removed = removed
        self._lazy = {"altered": altered, "affected": affected, "retain": retain}
        self._unlink, self._forget = unlink, forget
        self._readable = torch.zeros(len(removed), dtype=torch.bool) if readable is None else readable
        self._region = region or dict
        self.deny: Mapping[str, Tensor] = dict(deny or {})
        before: Lineage | None = data.lineage
        total = request if before is None else before.request | request
        digests = (before.digests if before else ()) + (request.digest(),)
        self.lineage = Lineage(before.data if before else data, total, digests)
        self.notes: tuple[str, ...] = (*getattr(self.lineage.data, "notes", ()), *notes)

    @cached_property
    def altered(self) -> Tensor:
        return self._found("altered")

    @cached_property
    def affected(self) -> Tensor:
        return self._found("affected")

    @cached_property
    def retain(self) -> Tensor:
        return self._found("retain")

    def _found(self, part: str) -> Tensor:
        value = self._lazy[part]
        return value if isinstance(value, Tensor) else value()

    @property
    def root(self) -> tuple[Any, DeletionRequest]:
        """(first data, everything deleted since, this request included)."""
        return self.lineage.data, self.lineage.request

    @cached_property
    def unlinked_data(self) -> Any:
        """Structure removed, content kept. Same ids."""
        if self._unlink == "original":
            return self.data
        return self.retain_data if self._unlink == "retained" else self._unlink()  # type: ignore[operator]

    @cached_property
    def retain_data(self) -> Any:
        """All forgotten content gone. Same ids; carries the lineage."""
        return self._forget(self.lineage)

    @cached_property
    def region(self) -> Mapping[str, Tensor]:
        """Boolean masks of what the deletion can reach, e.g. ``{"nodes": [N]}``."""
        return self._region()

    @property
    def forget_source(self) -> Literal["removed", "altered", "affected", "none"]:
        """Which examples ``view("forget")`` means: removed, else altered, else affected."""
        for name in ("removed", "altered", "affected"):
            if len(getattr(self, name)):
                return name  # type: ignore[return-value]
        return "none"

    def data_on(self, on: Context) -> Any:
        """The data container of a context."""
        if on not in CONTEXTS:
            raise ViewError(f"unknown context '{on}': choose one of {', '.join(CONTEXTS)}.")
        return {"original": lambda: self.data, "unlinked": lambda: self.unlinked_data, "retained": lambda: self.retain_data}[on]()

    def index(self, part: Part) -> Tensor:
        """Example ids of a part; ``"forget"`` follows :attr:`forget_source`."""
        if part == "forget":
            source = self.forget_source
            return self.removed if source == "none" else getattr(self, source)
        if part not in ("removed", "altered", "affected", "retain"):
            raise ViewError(f"unknown part '{part}': choose one of forget, removed, altered, affected, retain.")
        return getattr(self, part)

    def readable(self, part: Part, on: Context) -> bool:
        """Whether every example of ``part`` still has content in context ``on``."""
        is_removed = part == "removed" or (part == "forget" and self.forget_source in ("removed", "none"))
        return not (on == "retained" and is_removed) or bool(self._readable.all())

    @property
    def forget_context(self) -> Context:
        """The most forgetful context in which the forget part can still be read: retained, else unlinked."""
        return "retained" if self.readable("forget", "retained") else "unlinked"

    def view(self, part: Part, *, on: Context) -> View:
        """The examples of ``part`` read on context ``on``.

        Raises:
            ViewError: ``part`` has no content there, e.g. deleted nodes on the retained graph.
        """
        index = self.index(part)
        if not self.readable(part, on):
            gone = int((~self._readable).sum())
            raise ViewError(
                f"{gone} of the {len(index)} forgotten examples have no content in the retained data; "
                f'read them with on="unlinked" (links gone, content kept) or on="original".'
            )
        return View(self.data_on(on), index, "draw" if part == "retain" else "none")

    def __repr__(self) -> str:
        known = [(part, value) for part in ("altered", "affected", "retain") if isinstance(value := self._seen(part), Tensor)]
        counts = "".join(f", {part}={len(value)}" for part, value in known)
        return f"ForgetSplit({self.request.summary()}: removed={len(self.removed)}{counts})"

    def _seen(self, part: str) -> Any:
        return self.__dict__.get(part, self._lazy[part])
