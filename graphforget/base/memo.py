"""What is derived from data, kept with the data: one memory for everything that is worth making only once.

A value belongs to an *owner* (a tensor, a container, a model) and goes with it. It was made from *sources*, and is made anew when
one of them is another object or was edited in place. A tensor is recognised by identity and by its version, which every in-place
operation of torch raises; writing through ``tensor.data`` or a shared numpy array raises none, and is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class _Mark:
    """A tensor as it was seen, held weakly."""

    __slots__ = ("ref", "version")

    def __init__(self, tensor: Tensor) -> None:
        self.ref = weakref.ref(tensor)
        # Tensors made in inference mode count no versions: they equal nothing, so that nothing is read back for them.
        self.version = -1 if tensor.is_inference() else tensor._version

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Mark) or self.version < 0 or self.version != other.version:
            return False
        tensor = self.ref()
        return tensor is not None and tensor is other.ref()

    __hash__ = None  # type: ignore[assignment]


def _seen(source: object) -> object:
    return _Mark(source) if isinstance(source, Tensor) else source


@dataclass
class _Slot:
    """Everything that is kept for one owner: by key, what the value was made from, and the value."""

    ref: weakref.ref[Any]
    state: object
    values: dict[Hashable, tuple[tuple[object, ...], Any]] = field(default_factory=dict)


class Memo:
    """A memory of derived values. Its length is the number of owners; a copy of it, or of what holds it, starts empty.

    Example:
        >>> memo, x = Memo(), torch.ones(3)
        >>> total = lambda: float(x.sum())
        >>> memo.get(x, "total", (), total), memo.get(x, "total", (), lambda: "not asked")
        (3.0, 3.0)
        >>> _ = x.add_(1)
        >>> memo.get(x, "total", (), total)
        6.0
    """

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __reduce__(self) -> tuple[Any, ...]:
        return Memo, ()

    def get(self, owner: Any, key: Hashable, sources: Sequence[object], make: Callable[[], T]) -> T:
        """``make()``, kept as long as ``owner`` lives and the sources stay what they are.

        Args:
            owner: Whose value it is, anything that can be referred to weakly. A tensor is its own first source.
            key: What the value is.
            sources: What else it is made from: tensors are compared by identity and version, anything else by ``==``. The value
                for the last sources is kept.
            make: Run without gradients and outside of inference mode, so that what is kept can serve training later. Its result
                must not hold ``owner``, or neither would ever go.
        """
        seen = tuple(_seen(source) for source in sources)
        slot = self._slot(owner)
        if slot is not None and key in slot.values:
            before, value = slot.values[key]
            if before == seen:
                return value  # type: ignore[no-any-return]
        with torch.inference_mode(False), torch.no_grad():
            value = make()
        if isinstance(owner, Tensor) and owner.is_inference():
            return value  # type: ignore[no-any-return]
        slot = self._slot(owner)  # `make` may have kept something itself
        if slot is None:
            number, memo = id(owner), weakref.ref(self)

            def drop(_: object) -> None:
                here = memo()
                if here is not None:
                    here._slots.pop(number, None)

            slot = self._slots[number] = _Slot(weakref.ref(owner, drop), _seen_owner(owner))
        slot.values[key] = seen, value
        return value  # type: ignore[no-any-return]

    def peek(self, owner: Any, key: Hashable) -> Any:
        """The value kept for ``owner``, whatever its other sources are by now, or None."""
        slot = self._slot(owner)
        return None if slot is None else slot.values.get(key, (None, None))[1]

    def _slot(self, owner: Any) -> _Slot | None:
        slot = self._slots.get(id(owner))
        return slot if slot is not None and slot.ref() is owner and slot.state == _seen_owner(owner) else None


def _seen_owner(owner: Any) -> object:
    return _seen(owner) if isinstance(owner, Tensor) else None


shared = Memo()
"""For values that whoever meets the owner may use. A task that must forget them with itself has a :class:`Memo` of its own."""
