"""Edge lists in order, in both directions, by node."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.graphs import both_directions
from graphforget.graphs.edge_index import neighbour_lists, sorted_edges

rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20)


def _tensor(pairs):
    return torch.tensor(pairs, dtype=torch.long).view(-1, 2)


@settings(deadline=None, max_examples=30)
@given(rows)
def test_both_directions_and_neighbour_lists(pairs):
    expected = sorted({edge for u, v in pairs for edge in ((u, v), (v, u))})
    edge_index = both_directions(_tensor(pairs), 7)
    assert [tuple(edge) for edge in edge_index.t().tolist()] == expected
    rowptr, col = neighbour_lists(_tensor(pairs).t(), 7)
    assert [col[rowptr[i] : rowptr[i + 1]].tolist() for i in range(7)] == [[v for u, v in expected if u == i] for i in range(7)]


@settings(deadline=None, max_examples=30)
@given(rows)
def test_sorting_keeps_copies(pairs):
    assert [tuple(edge) for edge in sorted_edges(_tensor(pairs).t(), 7).t().tolist()] == sorted(pairs)
