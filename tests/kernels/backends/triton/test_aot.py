"""Every Triton kernel compiles ahead of time, without a GPU, for the chips it is meant for, and holds no atomic operation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

pytest.importorskip("triton")

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from graphforget.kernels.backends.triton import kernels as plain
from graphforget.kernels.backends.triton import kernels_attention as attention
from graphforget.kernels.backends.triton.launch import TILE, TYPES, head_tile, tile

pytestmark = pytest.mark.skipif(
    not isinstance(plain.gather_sum, triton.runtime.JITFunction), reason="TRITON_INTERPRET=1 replaces the compiler"
)

ARCHES = (80, 90)
STORAGE = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SPANS = "start end"
SIZES = "num_segments width"


@dataclass(frozen=True)
class Variant:
    """How a launcher calls a kernel: which pointers are there, of which type, and its block sizes."""

    kernel: object
    stored: str  # pointers to numbers in the caller's type
    index: str  # pointers to integers
    sizes: str
    blocks: dict
    wide: str = ""  # pointers to numbers in the type of the sums
    extra: dict = field(default_factory=dict)


def row(width, short):
    return dict(zip("RKD", tile(width, short)))


def heads(number, width, short):
    return dict(zip("RKHD", head_tile(number, width, short)))


SCORES, PASS, STATS = "x score_row score_col", "start end row slot", "positive top mass_positive"
VARIANTS = {
    "sum": Variant(plain.gather_sum, "x weight out", "col start end slot", SIZES, row(64, True)),
    "sum long": Variant(plain.gather_sum, "x weight out", "col start end slot", SIZES, row(64, False)),
    "sum of ones": Variant(plain.gather_sum, "x out", "col start end slot", SIZES, row(16, True)),
    "sum masked": Variant(plain.gather_sum, "x weight out", "col start end slot", SIZES, row(64, True), extra={"keep": "*u8"}),
    "sum scaled": Variant(plain.gather_sum, "x out", "col start end slot", SIZES, row(256, True), wide="scale_row scale_col"),
    "sum of parts": Variant(plain.gather_sum, "out", "start end slot", SIZES, row(64, False), wide="x"),
    "extreme": Variant(
        plain.gather_extreme, "x weight", "col start end slot", SIZES, {**row(64, True), "LARGEST": False}, extra={"out": "*i64"}
    ),
    "extreme of a part": Variant(
        plain.gather_extreme, "x", "col start end slot", SIZES, {**row(64, False), "LARGEST": True}, "ranks", {"out": "*i64"}
    ),
    "extreme of parts": Variant(
        plain.gather_extreme, "", "start end slot", SIZES, {**row(64, False), "LARGEST": True}, "x", {"out": "*i64", "places": "*i64"}
    ),
    "dots": Variant(plain.dots, "a b out", "rows cols", "num_pairs width rows_stride cols_stride", {"P": TILE // 64, "D": 64}),
    "bpr": Variant(plain.bpr_triples, "user item loss", "triples", "num_triples width", {"P": TILE // 128, "D": 64}, wide="slope"),
    "attention": Variant(
        attention.attend, f"{SCORES} factor out", f"col {PASS}", f"{SIZES} heads",
        {**heads(4, 16, True), "SLOPE": 0.2, "PART": False}, f"exact {STATS}",
    ),
    "attention of a part": Variant(
        attention.attend, SCORES, f"col {PASS}", f"{SIZES} heads", {**heads(4, 16, False), "SLOPE": 0.2, "PART": True}, f"out mass {STATS}"
    ),
    "attention joined": Variant(
        attention.merge_parts, "out", "start end slot", "heads width", {"K": 16, "D": 16},
        f"part part_positive part_top part_mass part_mass_positive exact {STATS}",
    ),
    "attention, rows backward": Variant(
        attention.attend_rows_backward, "grad grad_score", "", "num width", {"SLOPE": 0.2, "P": TILE // 16, "D": 16},
        "exact positive share common",
    ),
    "attention, columns backward": Variant(
        attention.attend_cols_backward, f"{SCORES} grad factor grad_x grad_score", f"target perm {PASS}", f"{SIZES} heads",
        {**heads(4, 16, True), "SLOPE": 0.2}, "top common",
    ),
    "attention, columns backward, of a part": Variant(
        attention.attend_cols_backward, f"{SCORES} grad", f"target {PASS}", f"{SIZES} heads",
        {**heads(8, 8, False), "SLOPE": 0.2}, "top common grad_x grad_score",
    ),
}  # fmt: skip


def build(variant, dtype, arch, index="i64", aligned=True, ones=()):
    exact = "fp64" if dtype == "fp64" else "fp32"
    signature = {
        **dict.fromkeys(variant.stored.split(), f"*{dtype}"),
        **dict.fromkeys(variant.wide.split(), f"*{exact}"),
        **dict.fromkeys(variant.index.split(), f"*{index}"),
        **dict.fromkeys((name for name in variant.sizes.split() if name not in ones), "i32"),
        **variant.extra,
    }
    names = variant.kernel.arg_names
    assert set(signature) | set(variant.blocks) <= set(names)
    fixed = {**{name: None for name in names if name not in signature}, "ACC": getattr(tl, exact.replace("fp", "float"))}
    fixed |= variant.blocks | {name: 1 for name in variant.sizes.split() if name in ones}
    # What a launch says of pointers that torch allocated, and of a width that is a multiple of 16.
    known = [name for name, kind in signature.items() if kind.startswith("*") or name == "width"] if aligned else []
    source = ASTSource(
        fn=variant.kernel,
        signature={name: signature.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in fixed.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in known},
    )
    return triton.compile(source, target=GPUTarget("cuda", arch, 32)).asm


# A compilation takes a fifth of a second to half a second.
MATRIX = [(name, dtype, arch) for name in VARIANTS for dtype in STORAGE for arch in ARCHES]


@pytest.mark.parametrize("name, dtype, arch", MATRIX)
def test_a_kernel_compiles(name, dtype, arch, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    asm = build(VARIANTS[name], dtype, arch)
    assert f".target sm_{arch}" in asm["ptx"]
    assert asm["cubin"][:4] == b"\x7fELF"
    assert not re.search(r"\b(atom|red)\.", asm["ptx"])  # what would make the order of additions a race
    if "joined" not in name:  # there a head of 16 numbers is spread over more threads
        assert "ld.global.v4.b32" in asm["ptx"]  # rows are read 16 bytes at a time


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_kernel_compiles_for_sizes_of_one_and_for_float64(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    # A launch makes a constant of every size that is 1.
    assert build(VARIANTS[name], "fp32", 90, aligned=False, ones=VARIANTS[name].sizes.split())["cubin"]
    assert build(VARIANTS[name], "fp64", 90)["cubin"]


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_kernel_compiles_for_short_indices_and_odd_widths(name, monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assert build(VARIANTS[name], "bf16", 90, index="i32", aligned=False)["cubin"]


def test_every_kernel_is_in_the_table():
    kernels = [f for module in (plain, attention) for f in vars(module).values() if isinstance(f, triton.runtime.JITFunction)]
    assert len(kernels) == 8 and {id(f) for f in kernels} == {id(variant.kernel) for variant in VARIANTS.values()}
    assert set(TYPES) - {torch.float64} == set(STORAGE.values())
