"""Random non-edges: which pairs may come, and which pairs a seed has always given."""

from __future__ import annotations

import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.datasets.graph.splits import split_edges
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, both_directions, remove_nodes, take_part
from graphforget.graphs.non_edges import draw_non_edges
from graphforget.requests.keys import KeySet, smaller_first
from graphforget.tasks import LinkPrediction


def generator(seed):
    return torch.Generator().manual_seed(seed)


def graph(num_nodes, count, seed, undirected=True):
    pairs = torch.randint(num_nodes, (count, 2), generator=generator(seed))
    edges = both_directions(pairs, num_nodes) if undirected else pairs.t()
    return GraphData.create(edges, num_nodes, undirected=undirected)


def test_pairs_are_live_and_unconnected_in_either_direction():
    data = GraphData.create(torch.tensor([[1, 1, 2, 4], [0, 2, 3, 5]]), 6, undirected=False)
    pairs = draw_non_edges(torch.tensor([0, 1, 2, 3, 5]), 200, data.connected, generator(0))
    assert pairs.shape == (200, 2)
    assert {tuple(p) for p in pairs.tolist()} == {(0, 2), (0, 3), (0, 5), (1, 3), (1, 5), (2, 5), (3, 5)}


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**20), st.integers(0, 20), st.booleans(), st.booleans())
def test_as_many_as_asked_for_and_none_twice_where_so_asked(seed, count, undirected, distinct):
    data, live = graph(12, 20, seed, undirected), torch.arange(3, 12)
    known = KeySet(data.keys(data.pairs()))
    pairs = draw_non_edges(
        live, count, lambda p: known.contains(data.keys(p)), generator(seed), undirected=undirected, distinct=distinct
    )
    found = [tuple(p) for p in pairs.tolist()]
    assert len(found) == count and (len(set(found)) == count or not distinct)
    assert not set(found) & {tuple(p) for p in data.pairs().tolist()}
    assert all(u != v and min(u, v) >= 3 and (u < v or not undirected) for u, v in found)


@pytest.mark.parametrize("live", [[0, 1, 2], [1], []])
def test_where_there_are_no_non_edges_it_says_so(live):
    triangle = GraphData.create(torch.tensor([[0, 0, 1], [1, 2, 2]]), 3, undirected=False)
    live = torch.tensor(live, dtype=torch.long)
    with pytest.raises(InputError, match=r"could not draw 1 non-edges: the graph is \(nearly\) complete\."):
        draw_non_edges(live, 1, triangle.connected, generator(0))
    assert draw_non_edges(live, 0, triangle.connected, generator(0)).shape == (0, 2)


# ---- what a seed gives -----------------------------------------------------------------------------------------
# Published figures rest on these draws: a change here changes every split and every run.
def digest(rows):
    return hashlib.sha256(rows.contiguous().numpy().tobytes()).hexdigest()[:12]


SPLITS = {
    ("small", True): ("3ff69745a67e", "a3d411457ed6", "7aa730ad6111", "3e98f49f85e5"),
    ("big", True): ("730114aa2d9f", "65b8381084a3", "1827c5f3a5d4", "198646e1d244"),
    ("small", False): ("f09b99027d59", "e428e3aa20b8", "fdd7dcc094d8", "13552b4a59d0"),
    ("big", False): ("f030e1d4ba87", "4f6ef331db70", "9de597fd91fe", "fbd842bb3313"),
}


@pytest.mark.parametrize(("size", "undirected"), SPLITS)
def test_a_seed_gives_the_split_that_it_always_gave(size, undirected):
    # Non-edges of the small graph are listed and shuffled, those of the big one are drawn and rejected.
    data = graph(60, 240, 0, undirected) if size == "small" else graph(1600, 6000, 1, undirected)
    splits = split_edges(data, seed=3).splits
    assert tuple(digest(splits[part]) for part in ("val", "test", "val_neg", "test_neg")) == SPLITS[size, undirected]


NEGATIVES = {  # the first pair, digests of 50 and 7 pairs, and the generator's next number
    ("small", True): ([15, 52], "52df0f0b5dfd", "b35b847d90ff", 603462),
    ("dead", True): ([19, 54], "3a920df10da1", "a6eee619607a", 603462),
    ("dense", True): ([4, 8], "25c65e9983c3", "8f93e11ae564", 834094),
    ("part", True): ([12, 15], "34b2ed3f8bbb", "41204a287918", 603462),
    ("small", False): ([15, 52], "ee93157f3f57", "ed29bdc24513", 603462),
    ("dead", False): ([54, 19], "a4151945d6db", "55b86190c016", 603462),
    ("dense", False): ([1, 2], "d73a5b213187", "aff16b844865", 63767),
    ("part", False): ([15, 12], "27aec6a5e9ab", "a557a3818bfc", 603462),
}


@pytest.mark.parametrize(("kind", "undirected"), NEGATIVES)
def test_a_seed_gives_the_training_negatives_that_it_always_gave(kind, undirected):
    data = {
        "small": lambda: graph(60, 240, 0, undirected),
        "dead": lambda: remove_nodes(graph(60, 240, 0, undirected), [1, 5, 9]),
        "dense": lambda: graph(12, 90, 2, undirected),
        "part": lambda: take_part(graph(1600, 6000, 1, undirected), torch.arange(40), 2),
    }[kind]()
    draws, task = generator(7), LinkPrediction()
    first, second = task.draw_negatives(data, 50, draws), task.draw_negatives(data, 7, draws)
    after = int(torch.randint(10**6, (), generator=draws))
    assert (first[0].tolist(), digest(first), digest(second), after) == NEGATIVES[kind, undirected]


PAIRS = {
    ("small", 60, 240, 0, True): ("46fa5de33f71", "a685a3b2995a", 678810),
    ("directed", 60, 240, 0, False): ("46fa5de33f71", "a685a3b2995a", 678810),
    ("dense", 12, 90, 2, True): ("270061d81b5d", "05234304dac0", 481921),
}


@pytest.mark.parametrize("of", PAIRS)
def test_a_seed_gives_methods_the_unconnected_pairs_that_it_always_gave(of):
    data, draws = graph(*of[1:]), generator(11)
    known, live = KeySet(data.keys(smaller_first(data.pairs()))), torch.arange(2, data.num_nodes)
    first = draw_non_edges(live, 40, lambda pairs: known.contains(data.keys(pairs)), draws)
    second = draw_non_edges(live, 40, data.connected, draws)
    assert (digest(first), digest(second), int(torch.randint(10**6, (), generator=draws))) == PAIRS[of]
