"""Triton kernels that read listed rows of matrices: weighted sums, extremes, dot products, BPR triples.

Every kernel owns its output rows and adds in a fixed order, without atomics: two runs agree in every bit. A *segment* is a run
of entries ``start .. end`` that belongs to one ``row`` and is written to one ``slot`` (see :mod:`.triton_buckets`). A program
takes ``R`` segments, ``K`` entries of each at a time and ``D`` columns. Values are stored in any floating type and added up in
``ACC``. Optional pointers are None, which removes their code at compile time.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def gather_sum(
    x,
    col,
    weight,
    keep,
    scale_col,
    scale_row,
    start,
    end,
    slot,
    out,
    num_segments,
    width,
    ACC: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
):
    """``out[slot] = scale_row[slot] * sum of weight[e] * scale_col[col[e]] * x[col[e]]`` over kept entries e."""
    segment = tl.program_id(0) * R + tl.arange(0, R)
    live = segment < num_segments
    d = tl.program_id(1) * D + tl.arange(0, D)
    wide = d < width
    first = tl.load(start + segment, mask=live, other=0)
    last = tl.load(end + segment, mask=live, other=0)
    longest = tl.max(last - first, axis=0)
    total = tl.zeros([R, D], dtype=ACC)
    for k in range(0, longest, K):
        entry = first[:, None] + (k + tl.arange(0, K))[None, :]
        there = entry < last[:, None]
        if keep is not None:
            there = there & (tl.load(keep + entry, mask=there, other=0) != 0)
        if col is not None:
            source = tl.load(col + entry, mask=there, other=0).to(tl.int64)
        else:
            source = entry.to(tl.int64)
        tile = tl.load(
            x + source[:, :, None] * width + d[None, None, :], mask=there[:, :, None] & wide[None, None, :], other=0.0
        ).to(ACC)
        if weight is not None:
            tile = tile * tl.load(weight + entry, mask=there, other=0.0).to(ACC)[:, :, None]
        if scale_col is not None:
            tile = tile * tl.load(scale_col + source, mask=there, other=0.0).to(ACC)[:, :, None]
        total += tl.sum(tile, axis=1)
    place = tl.load(slot + segment, mask=live, other=0).to(tl.int64)
    if scale_row is not None:
        total = total * tl.load(scale_row + place, mask=live, other=0.0).to(ACC)[:, None]
    tl.store(out + place[:, None] * width + d[None, :], total.to(out.dtype.element_ty), mask=live[:, None] & wide[None, :])


@triton.jit
def gather_extreme(
    x,
    col,
    weight,
    places,
    start,
    end,
    slot,
    out,
    ranks,
    num_segments,
    width,
    LARGEST: tl.constexpr,
    ACC: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
):
    """Per column, ``out[slot]`` = the first entry e with the largest (smallest) ``weight[e] * x[col[e]]``; 0 without entries.

    NaN is beyond every number. Of a part of a row the winner's value goes to ``ranks``, larger being better. With ``places`` the
    entries are parts: ``x`` holds their ranks and ``places`` their winners.
    """
    segment = tl.program_id(0) * R + tl.arange(0, R)
    live = segment < num_segments
    d = tl.program_id(1) * D + tl.arange(0, D)
    wide = d < width
    first = tl.load(start + segment, mask=live, other=0)
    last = tl.load(end + segment, mask=live, other=0)
    longest = tl.max(last - first, axis=0)
    best = tl.full([R, D], float("-inf"), dtype=ACC)
    none = tl.full([R, D], 1 << 62, dtype=tl.int64)
    winner = none
    spoilt = none
    for k in range(0, longest, K):
        entry = (first[:, None] + (k + tl.arange(0, K))[None, :]).to(tl.int64)
        there = entry < last[:, None]
        inside = there[:, :, None] & wide[None, None, :]
        if places is None:
            source = tl.load(col + entry, mask=there, other=0).to(tl.int64)
            rank = tl.load(x + source[:, :, None] * width + d[None, None, :], mask=inside, other=0.0).to(ACC)
            if weight is not None:
                rank = rank * tl.load(weight + entry, mask=there, other=0.0).to(ACC)[:, :, None]
            if not LARGEST:
                rank = -rank
            place = tl.broadcast_to(entry[:, :, None], [R, K, D])
        else:
            where = entry[:, :, None] * width + d[None, None, :]
            rank = tl.load(x + where, mask=inside, other=0.0)
            place = tl.load(places + where, mask=inside, other=0)
        nan = inside & (rank != rank)
        spoilt = tl.minimum(spoilt, tl.min(tl.where(nan, place, none[:, None, :]), axis=1))
        number = inside & (rank == rank)
        rank = tl.where(number, rank, float("-inf"))
        top = tl.max(rank, axis=1)
        candidate = tl.min(tl.where(number & (rank == top[:, None, :]), place, none[:, None, :]), axis=1)
        # Entries come in order, so an equal one replaces nothing but the lack of any.
        winner = tl.where(top > best, candidate, tl.where(top == best, tl.minimum(winner, candidate), winner))
        best = tl.maximum(best, top)
    best = tl.where(spoilt == none, best, float("nan"))
    winner = tl.where(spoilt == none, winner, spoilt)
    winner = tl.where(winner == none, 0, winner)
    target = tl.load(slot + segment, mask=live, other=0).to(tl.int64)[:, None] * width + d[None, :]
    mask = live[:, None] & wide[None, :]
    tl.store(out + target, winner, mask=mask)
    if ranks is not None:
        tl.store(ranks + target, best, mask=mask)


@triton.jit
def dots(a, rows, b, cols, out, num_pairs, width, rows_stride, cols_stride, ACC: tl.constexpr, P: tl.constexpr, D: tl.constexpr):
    """``out[i] = <a[rows[i]], b[cols[i]]>``, ``P`` pairs per program."""
    pair = tl.program_id(0).to(tl.int64) * P + tl.arange(0, P)
    live = pair < num_pairs
    left = tl.load(rows + pair * rows_stride, mask=live, other=0).to(tl.int64)
    right = tl.load(cols + pair * cols_stride, mask=live, other=0).to(tl.int64)
    total = tl.zeros([P], dtype=ACC)
    for d0 in range(0, width, D):
        d = d0 + tl.arange(0, D)
        mask = live[:, None] & (d < width)[None, :]
        x = tl.load(a + left[:, None] * width + d[None, :], mask=mask, other=0.0).to(ACC)
        y = tl.load(b + right[:, None] * width + d[None, :], mask=mask, other=0.0).to(ACC)
        total += tl.sum(x * y, axis=1)
    tl.store(out + pair, total.to(out.dtype.element_ty), mask=live)


@triton.jit
def bpr_triples(user, item, triples, loss, slope, num_triples, width, ACC: tl.constexpr, P: tl.constexpr, D: tl.constexpr):
    """Per triple (u, i, j): ``softplus(-m)`` with the margin ``m = <u, i - j>``, and its derivative by the margin."""
    triple = tl.program_id(0).to(tl.int64) * P + tl.arange(0, P)
    live = triple < num_triples
    u = tl.load(triples + triple * 3, mask=live, other=0).to(tl.int64)
    i = tl.load(triples + triple * 3 + 1, mask=live, other=0).to(tl.int64)
    j = tl.load(triples + triple * 3 + 2, mask=live, other=0).to(tl.int64)
    margin = tl.zeros([P], dtype=ACC)
    for d0 in range(0, width, D):
        d = d0 + tl.arange(0, D)
        mask = live[:, None] & (d < width)[None, :]
        left = tl.load(user + u[:, None] * width + d[None, :], mask=mask, other=0.0).to(ACC)
        liked = tl.load(item + i[:, None] * width + d[None, :], mask=mask, other=0.0).to(ACC)
        other = tl.load(item + j[:, None] * width + d[None, :], mask=mask, other=0.0).to(ACC)
        margin += tl.sum(left * (liked - other), axis=1)
    power = tl.exp(-tl.abs(margin))
    # log(1 + power) keeps its digits for small power when divided by what 1 + power really added.
    grown = 1.0 + power
    exact = grown == 1.0
    tail = tl.where(exact, power, tl.log(grown) * (power / tl.where(exact, 1.0, grown - 1.0)))
    tl.store(loss + triple, (tl.maximum(-margin, 0.0) + tail).to(loss.dtype.element_ty), mask=live)
    # -sigmoid(-margin), written so that no exponential overflows.
    falling = tl.where(margin >= 0, power, 1.0) / grown
    tl.store(slope + triple, (-falling).to(slope.dtype.element_ty), mask=live)
