from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.unlearners._shared.pairs import non_edges


def test_pairs_are_live_distinct_and_unconnected():
    edges = torch.tensor([[1, 0], [1, 2], [2, 3], [4, 5]])
    live = torch.tensor([0, 1, 2, 3, 5])
    pairs = non_edges(live, edges, 6, 200, torch.Generator().manual_seed(0))
    assert pairs.shape == (200, 2)
    found = {tuple(p) for p in pairs.tolist()}
    assert found == {(0, 2), (0, 3), (0, 5), (1, 3), (1, 5), (2, 5), (3, 5)}


def test_a_complete_graph_is_refused():
    with pytest.raises(InputError, match="complete"):
        non_edges(torch.arange(3), torch.tensor([[0, 1], [0, 2], [1, 2]]), 3, 1, torch.Generator().manual_seed(0))
