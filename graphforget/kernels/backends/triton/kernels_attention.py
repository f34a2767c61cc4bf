"""Triton kernels of one-pass graph attention: an online softmax per row, and a backward of one pass over the transpose.

The score of entry e = (i, j) and head h is ``leaky_relu(t[i, h] + s[j, h])``; alpha is its softmax over the entries of row i. No
[E, heads, width] array exists: alpha is recomputed from the row's log-sum-exp. The online softmax is that of Milakov and
Gimelshein (arXiv:1805.02867). See :mod:`.triton_kernels` for segments, ``R``, ``K``, ``D`` and ``ACC``; a program takes ``H``
heads, so that one reading of ``col`` serves them all.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def attend(
    x,
    score_row,
    score_col,
    col,
    factor,
    start,
    end,
    row,
    slot,
    out,
    exact,
    positive,
    top,
    mass,
    mass_positive,
    num_segments,
    heads,
    width,
    SLOPE: tl.constexpr,
    PART: tl.constexpr,
    ACC: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
    H: tl.constexpr,
    D: tl.constexpr,
):
    """``out[slot] = sum of alpha_e factor_e x[col[e]]``; ``positive``: the sum over entries of positive score alone.

    ``exact`` is ``out`` before it is rounded. ``top`` is the log-sum-exp of the row's scores and ``mass_positive`` the share of
    the positive ones in it. Of a ``PART`` of a row all stays unnormalised: ``top`` is the largest score, ``mass`` and
    ``mass_positive`` are sums of exponentials of scores less ``top``.
    """
    blocks = tl.cdiv(heads, H)
    segment = tl.program_id(0) // blocks * R + tl.arange(0, R)
    head = tl.program_id(0) % blocks * H + tl.arange(0, H)
    d = tl.arange(0, D)
    live = segment < num_segments
    mine = live[:, None] & (head < heads)[None, :]
    first = tl.load(start + segment, mask=live, other=0)
    last = tl.load(end + segment, mask=live, other=0)
    here = tl.load(row + segment, mask=live, other=0).to(tl.int64)[:, None] * heads + head[None, :]
    own = tl.load(score_row + here, mask=mine, other=0.0).to(ACC)
    longest = tl.max(last - first, axis=0)
    high = tl.full([R, H], float("-inf"), dtype=ACC)
    sum_exp = tl.zeros([R, H], dtype=ACC)
    sum_positive = tl.zeros([R, H], dtype=ACC)
    total = tl.zeros([R, H, D], dtype=ACC)
    total_positive = tl.zeros([R, H, D], dtype=ACC)
    for k in range(0, longest, K):
        entry = (first[:, None] + (k + tl.arange(0, K))[None, :]).to(tl.int64)
        there = entry < last[:, None]
        inside = there[:, :, None] & (head < heads)[None, None, :]
        source = tl.load(col + entry, mask=there, other=0).to(tl.int64)[:, :, None] * heads + head[None, None, :]
        raw = own[:, None, :] + tl.load(score_col + source, mask=inside, other=0.0).to(ACC)
        score = tl.where(inside, tl.where(raw > 0, raw, raw * SLOPE), float("-inf"))
        higher = tl.maximum(high, tl.max(score, axis=1))
        # Without an entry so far every exponential must be 0, not that of -inf + inf.
        shift = tl.where(higher == float("-inf"), 0.0, higher)
        power = tl.exp(score - shift[:, None, :])
        shrink = tl.exp(high - shift)
        sum_exp = sum_exp * shrink + tl.sum(power, axis=1)
        sum_positive = sum_positive * shrink + tl.sum(tl.where(raw > 0, power, 0.0), axis=1)
        if factor is not None:
            place = entry[:, :, None] * heads + head[None, None, :]
            power = power * tl.load(factor + place, mask=inside, other=0).to(ACC)
        tile = tl.load(
            x + source[:, :, :, None] * width + d[None, None, None, :],
            mask=inside[:, :, :, None] & (d < width)[None, None, None, :],
            other=0.0,
        ).to(ACC)
        tile = tile * power[:, :, :, None]
        total = total * shrink[:, :, None] + tl.sum(tile, axis=1)
        total_positive = total_positive * shrink[:, :, None] + tl.sum(tl.where((raw > 0)[:, :, :, None], tile, 0.0), axis=1)
        high = higher
    place = tl.load(slot + segment, mask=live, other=0).to(tl.int64)[:, None] * heads + head[None, :]
    if PART:
        tl.store(mass + place, sum_exp, mask=mine)
    else:
        some = mine & (last > first)[:, None]
        divisor = tl.where(some, sum_exp, 1.0)
        high = tl.where(some, high, 0.0) + tl.log(divisor)
        sum_positive = sum_positive / divisor
        total = total / divisor[:, :, None]
        total_positive = total_positive / divisor[:, :, None]
    tl.store(top + place, high, mask=mine)
    tl.store(mass_positive + place, sum_positive, mask=mine)
    wide = mine[:, :, None] & (d < width)[None, None, :]
    where = place[:, :, None] * width + d[None, None, :]
    tl.store(out + where, total.to(out.dtype.element_ty), mask=wide)
    tl.store(positive + where, total_positive, mask=wide)
    if exact is not None:
        tl.store(exact + where, total, mask=wide)


@triton.jit
def merge_parts(
    part,
    part_positive,
    part_top,
    part_mass,
    part_mass_positive,
    start,
    end,
    slot,
    out,
    exact,
    positive,
    top,
    mass_positive,
    heads,
    width,
    ACC: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
):
    """Join the parts ``start .. end`` of a row that :func:`attend` left, in order; one row and head per program."""
    segment = tl.program_id(0) // heads
    head = tl.program_id(0) % heads
    d = tl.arange(0, D)
    wide = d < width
    first = tl.load(start + segment)
    last = tl.load(end + segment)
    one = tl.arange(0, 1)
    high = tl.full([1], float("-inf"), dtype=ACC)
    sum_exp = tl.zeros([1], dtype=ACC)
    sum_positive = tl.zeros([1], dtype=ACC)
    total = tl.zeros([D], dtype=ACC)
    total_positive = tl.zeros([D], dtype=ACC)
    for k in range(0, last - first, K):
        p = first + k + tl.arange(0, K)
        there = p < last
        place = p.to(tl.int64) * heads + head
        tops = tl.load(part_top + place, mask=there, other=float("-inf"))
        higher = tl.maximum(high, tl.max(tops, axis=0))
        share = tl.exp(tops - higher)
        shrink = tl.exp(high - higher)
        sum_exp = sum_exp * shrink + tl.sum(tl.load(part_mass + place, mask=there, other=0.0) * share, axis=0)
        sum_positive = sum_positive * shrink + tl.sum(tl.load(part_mass_positive + place, mask=there, other=0.0) * share, axis=0)
        inside = there[:, None] & wide[None, :]
        tile = tl.load(part + place[:, None] * width + d[None, :], mask=inside, other=0.0)
        total = total * shrink + tl.sum(tile * share[:, None], axis=0)
        tile = tl.load(part_positive + place[:, None] * width + d[None, :], mask=inside, other=0.0)
        total_positive = total_positive * shrink + tl.sum(tile * share[:, None], axis=0)
        high = higher
    target = tl.load(slot + segment).to(tl.int64) * heads + head
    total = total / sum_exp
    tl.store(out + target * width + d, total.to(out.dtype.element_ty), mask=wide)
    tl.store(positive + target * width + d, total_positive / sum_exp, mask=wide)
    if exact is not None:
        tl.store(exact + target * width + d, total, mask=wide)
    tl.store(top + target + one, high + tl.log(sum_exp))
    tl.store(mass_positive + target + one, sum_positive / sum_exp)


@triton.jit
def attend_rows_backward(
    grad,
    exact,
    positive,
    share,
    common,
    grad_score,
    num,
    width,
    SLOPE: tl.constexpr,
    ACC: tl.constexpr,
    P: tl.constexpr,
    D: tl.constexpr,
):
    """Per row and head: ``common = <grad, exact>``, what the softmax's Jacobian takes off, and the gradient of ``score_row``.

    What is left then sums to zero over a row, so only the bend of the LeakyReLU gives ``score_row`` a gradient, and what
    :func:`attend` kept of the entries of positive score says how much: no pass over entries.
    """
    index = tl.program_id(0).to(tl.int64) * P + tl.arange(0, P)
    live = index < num
    whole = tl.zeros([P], dtype=ACC)
    bent = tl.zeros([P], dtype=ACC)
    for d0 in range(0, width, D):
        d = d0 + tl.arange(0, D)
        mask = live[:, None] & (d < width)[None, :]
        where = index[:, None] * width + d[None, :]
        pull = tl.load(grad + where, mask=mask, other=0.0).to(ACC)
        whole += tl.sum(pull * tl.load(exact + where, mask=mask, other=0.0).to(ACC), axis=1)
        bent += tl.sum(pull * tl.load(positive + where, mask=mask, other=0.0), axis=1)
    rest = bent - whole * tl.load(share + index, mask=live, other=0.0)
    tl.store(common + index, whole, mask=live)
    tl.store(grad_score + index, (rest - rest * SLOPE).to(grad_score.dtype.element_ty), mask=live)


@triton.jit
def attend_cols_backward(
    x,
    grad,
    score_row,
    score_col,
    top,
    common,
    target,
    perm,
    factor,
    start,
    end,
    row,
    slot,
    grad_x,
    grad_score,
    num_segments,
    heads,
    width,
    SLOPE: tl.constexpr,
    ACC: tl.constexpr,
    R: tl.constexpr,
    K: tl.constexpr,
    H: tl.constexpr,
    D: tl.constexpr,
):
    """Gradients of ``x`` and ``score_col``: over the transpose, whose entry e is one of row ``target[e]`` of the graph.

    ``perm[e]`` is the entry's position in the graph, where its factor stands; ``common`` is what
    :func:`attend_rows_backward` left.
    """
    blocks = tl.cdiv(heads, H)
    segment = tl.program_id(0) // blocks * R + tl.arange(0, R)
    head = tl.program_id(0) % blocks * H + tl.arange(0, H)
    d = tl.arange(0, D)
    live = segment < num_segments
    mine = live[:, None] & (head < heads)[None, :]
    first = tl.load(start + segment, mask=live, other=0)
    last = tl.load(end + segment, mask=live, other=0)
    here = tl.load(row + segment, mask=live, other=0).to(tl.int64)[:, None] * heads + head[None, :]
    own = tl.load(score_col + here, mask=mine, other=0.0).to(ACC)
    value = tl.load(
        x + here[:, :, None] * width + d[None, None, :], mask=mine[:, :, None] & (d < width)[None, None, :], other=0.0
    ).to(ACC)
    longest = tl.max(last - first, axis=0)
    total = tl.zeros([R, H, D], dtype=ACC)
    total_score = tl.zeros([R, H], dtype=ACC)
    for k in range(0, longest, K):
        entry = first[:, None] + (k + tl.arange(0, K))[None, :]
        there = entry < last[:, None]
        inside = there[:, :, None] & (head < heads)[None, None, :]
        reader = tl.load(target + entry, mask=there, other=0).to(tl.int64)[:, :, None] * heads + head[None, None, :]
        raw = own[:, None, :] + tl.load(score_row + reader, mask=inside, other=0.0).to(ACC)
        score = tl.where(inside, tl.where(raw > 0, raw, raw * SLOPE), float("-inf"))
        alpha = tl.exp(score - tl.load(top + reader, mask=inside, other=0.0))
        pull = tl.load(
            grad + reader[:, :, :, None] * width + d[None, None, None, :],
            mask=inside[:, :, :, None] & (d < width)[None, None, None, :],
            other=0.0,
        ).to(ACC)
        pulled = tl.sum(pull * value[:, None, :, :], axis=3)
        passed = alpha
        if factor is not None:
            place = tl.load(perm + entry, mask=there, other=0).to(tl.int64)[:, :, None] * heads + head[None, None, :]
            kept = tl.load(factor + place, mask=inside, other=0).to(ACC)
            pulled = pulled * kept
            passed = alpha * kept
        change = alpha * (pulled - tl.load(common + reader, mask=inside, other=0.0))
        total_score += tl.sum(tl.where(raw > 0, change, change * SLOPE), axis=1)
        total += tl.sum(pull * passed[:, :, :, None], axis=1)
    place = tl.load(slot + segment, mask=live, other=0).to(tl.int64)[:, None] * heads + head[None, :]
    tl.store(grad_score + place, total_score.to(grad_score.dtype.element_ty), mask=mine)
    tl.store(
        grad_x + place[:, :, None] * width + d[None, None, :],
        total.to(grad_x.dtype.element_ty),
        mask=mine[:, :, None] & (d < width)[None, None, :],
    )
