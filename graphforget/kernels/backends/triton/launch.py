"""What every launch of a Triton kernel needs: the type to add up in, block sizes, the device."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from graphforget.exceptions import InputError

TILE = 2048  # numbers that a program holds of what it gathers: 16 per thread of 4 warps
TYPES = {
    torch.float32: (tl.float32, torch.float32),
    torch.bfloat16: (tl.float32, torch.float32),
    torch.float16: (tl.float32, torch.float32),
    torch.float64: (tl.float64, torch.float64),
}


def accumulator(x: Tensor) -> tuple[Any, torch.dtype]:
    """The type in which numbers of the type of ``x`` are added up, as a type of Triton and as one of torch.

    Raises:
        InputError: A type that no kernel takes.
    """
    if x.dtype not in TYPES:
        known = ", ".join(str(dtype) for dtype in TYPES)
        raise InputError(f"the 'triton' kernel backend takes {known}, got {x.dtype}: convert with .float().")
    return TYPES[x.dtype]


def tile(width: int, short: bool) -> tuple[int, int, int]:
    """(R segments, K entries, D columns) of a program."""
    d = min(triton.next_power_of_2(width), 128)
    if short:
        return max(min(TILE // (4 * d), 32), 1), 4, d
    return 1, max(min(TILE // d, 128), 1), d


def head_tile(heads: int, width: int, short: bool) -> tuple[int, int, int, int]:
    """(R segments, K entries, H heads, D columns per head) of a program; a head is never cut."""
    d = triton.next_power_of_2(width)
    h = max(min(triton.next_power_of_2(heads), 128 // d), 1)
    r, k, _ = tile(h * d, short)
    return r, k, h, d


def contiguous(values: Tensor | None) -> Tensor | None:
    """``values`` as the kernels read them, or None."""
    return None if values is None else values.contiguous()


def on(x: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Launch on the device of ``x``, which need not be the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
