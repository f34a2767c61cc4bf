"""Canonical pairs and keys."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.graphs import both_directions, canonical_pairs, pair_keys
from graphforget.graphs.pairs import neighbour_lists

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20)


def _tensor(pairs):
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2)


@settings(deadline=None, max_examples=30)
@given(rows, st.booleans())
def test_canonical_pairs_are_the_set_of_edges(pairs, undirected):
    expected = sorted({(min(p), max(p)) if undirected else p for p in pairs})
    for size in (None, 7):
        assert [tuple(p) for p in canonical_pairs(_tensor(pairs), undirected, size).tolist()] == expected


@settings(deadline=None, max_examples=30)
@given(rows)
def test_keys_are_one_to_one(pairs):
    keys = pair_keys(_tensor(pairs), 7).tolist()
    assert [(key // 7, key % 7) for key in keys] == pairs


@settings(deadline=None, max_examples=30)
@given(rows)
def test_both_directions_and_neighbour_lists(pairs):
    expected = sorted({edge for u, v in pairs for edge in ((u, v), (v, u))})
    edge_index = both_directions(_tensor(pairs), 7)
    assert [tuple(edge) for edge in edge_index.t().tolist()] == expected
    rowptr, col = neighbour_lists(_tensor(pairs).t(), 7)
    assert [col[rowptr[i] : rowptr[i + 1]].tolist() for i in range(7)] == [[v for u, v in expected if u == i] for i in range(7)]
