"""GraphData: construction, canonical form, digest, and one clear sentence per mistake."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule

from .conftest import make

EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
X = torch.arange(6.0).view(3, 2)


def test_defaults_and_types():
    y = torch.tensor([[0], [2], [-1]])
    data = GraphData.create(EDGES.int(), 3, x=X.double(), y=y, splits={"train": torch.tensor([1, 0])})
    assert data.edge_index.dtype == torch.int64 and data.x.dtype == torch.float64  # cast to that of the weights when read
    assert data.y.tolist() == [0, 2, -1] and data.num_classes == 3
    assert data.undirected and data.alive.all() and data.lineage is None
    assert data.splits["train"].tolist() == [0, 1]


def test_edges_are_sorted_and_copies_stay():
    data = GraphData.create(torch.tensor([[2, 0, 0], [0, 1, 1]]), 3)
    assert data.edge_index.tolist() == [[0, 0, 2], [1, 1, 0]]


def test_masks_are_splits_too():
    data = GraphData.create(EDGES, 3, splits={"train": torch.tensor([True, False, True])})
    assert data.splits["train"].tolist() == [0, 2]


def test_direction_is_found_out():
    assert GraphData.create(EDGES, 3).undirected
    assert not GraphData.create(EDGES[:, :3], 3).undirected
    assert GraphData.create(torch.tensor([[0, 0, 1], [1, 1, 0]]), 2).undirected  # copies need no equal number of reverses


@pytest.mark.parametrize(("undirected", "expected"), [(True, [[0, 1], [1, 2]]), (False, [[0, 1], [1, 0], [1, 2], [2, 1]])])
def test_pairs_are_unique_sorted_and_without_loops(undirected, expected):
    edges = torch.cat([EDGES, EDGES, torch.tensor([[1], [1]])], 1)
    assert GraphData.create(edges, 3, undirected=undirected).pairs().tolist() == expected


def test_pairs_of_a_graph_without_edges():
    assert GraphData.create(torch.empty(2, 0, dtype=torch.long), 2).pairs().shape == (0, 2)


def test_pair_splits_are_canonical():
    data = GraphData.create(EDGES, 4, splits={"test": torch.tensor([[3, 1], [3, 0]]), "test_neg": torch.tensor([[3, 2]])})
    assert data.splits["test"].tolist() == [[0, 3], [1, 3]] and data.splits["test_neg"].tolist() == [[2, 3]]


def test_digest_follows_content_only():
    base = {"x": X, "y": torch.tensor([0, 1, 1]), "splits": {"train": torch.tensor([0, 1])}}
    data = GraphData.create(EDGES, 3, **base)
    assert data.digest() == GraphData.create(EDGES.flip(1), 3, name="other", node_names=("a", "b", "c"), **base).digest()
    others = [
        GraphData.create(EDGES[:, :2], 3, **base),
        GraphData.create(EDGES, 3, undirected=False, **base),
        GraphData.create(EDGES, 3, **base | {"x": X + 1}),
        GraphData.create(EDGES, 3, **base | {"x": X.to_sparse_csr()}),
        GraphData.create(EDGES, 3, **base | {"y": torch.tensor([0, 1, 0])}),
        GraphData.create(EDGES, 3, **base | {"splits": {"train": torch.tensor([0])}}),
        GraphData.create(EDGES, 3, **base | {"splits": {"val": torch.tensor([0, 1])}}),
        GraphData.create(EDGES, 3, num_classes=4, **base),
        GraphData.create(torch.empty(2, 0, dtype=torch.long), 3, alive=torch.tensor([True, True, False]), **base),
        GraphData.create(None, 3, edge_rule=KNNRule(1), **base),
        GraphData.create(None, 3, edge_rule=KNNRule(2), **base),
    ]
    assert len({data.digest(), *(other.digest() for other in others)}) == len(others) + 1


def test_digest_notices_writes_into_a_shared_tensor():
    x = X.clone()
    data = GraphData.create(EDGES, 3, x=x)
    before = data.digest()
    assert data.digest() == before
    x[0, 0] = 5
    assert data.digest() != before


def test_a_graph_is_frozen_hashable_weakly_referenceable_and_copyable():
    data = GraphData.create(EDGES, 3)
    with pytest.raises(AttributeError):
        data.name = "x"
    assert data in {data} and data != GraphData.create(EDGES, 3)
    assert copy.deepcopy(data).digest() == data.digest()
    ref = weakref.ref(data)
    data.digest(), data.pairs(), data.neighbours
    del data
    gc.collect()
    assert ref() is None


def test_dead_rows_may_be_nan_but_nothing_may_touch_them():
    alive = torch.tensor([True, True, False])
    x = X.clone()
    x[2] = float("nan")
    data = GraphData.create(EDGES[:, :2], 3, x=x, alive=alive)
    assert data.x[2].isnan().all()
    with pytest.raises(InputError, match="touches nodes 2, which are not alive"):
        GraphData.create(EDGES, 3, alive=alive)
    with pytest.raises(InputError, match="'test' names nodes 2, which are not alive"):
        GraphData.create(EDGES[:, :2], 3, alive=alive, splits={"test": torch.tensor([2])})


def test_tensors_of_special_kinds():
    from torch_geometric import EdgeIndex

    with torch.inference_mode():
        x, y = X + 1, torch.tensor([0, 1, 1])
    data = GraphData.create(EdgeIndex(EDGES, sparse_size=(3, 3)), np.int64(3), x=x, y=y)
    assert type(data.edge_index) is torch.Tensor and type(data.num_nodes) is int
    assert data.digest() == GraphData.create(EDGES, 3, x=X + 1, y=y.clone()).digest()
    assert not GraphData.create(EDGES, 3, x=torch.nn.Parameter(X)).x.requires_grad


NAN = X.clone()
NAN[1, 0] = float("nan")
WRONG = {
    "edge_index is missing": ({"edge_index": None}, "edge_index is missing"),
    "edge_index a list": ({"edge_index": [[0], [1]]}, r"got list; convert with torch.as_tensor"),
    "edge_index transposed": ({"edge_index": torch.zeros(5, 2, dtype=torch.long)}, r"\[2, E\], got \[5, 2\]; transpose it"),
    "edge_index float": ({"edge_index": EDGES.float()}, r"got dtype float32; convert with \.long\(\)"),
    "unknown node": ({"edge_index": EDGES + 1}, "unknown nodes 3: the graph has nodes 0 to 2"),
    "negative node": ({"edge_index": EDGES - 1}, "unknown nodes -1"),
    "num_nodes": ({"num_nodes": 0}, "num_nodes must be an integer of at least 1, got 0"),
    "x rows": ({"x": X[:2]}, "x has 2 rows but the graph has 3 nodes"),
    "x vector": ({"x": X[:, 0]}, r"shape \[3, F\]; got shape \[3\]"),
    "x NaN": ({"x": NAN}, "NaN or infinite values in rows 1"),
    "x sparse NaN": ({"x": NAN.to_sparse_csr()}, "NaN or infinite values in rows 1"),
    "x complex": ({"x": X.to(torch.complex64)}, "real numbers, got dtype complex64"),
    "y complex": ({"y": torch.zeros(3, dtype=torch.complex64)}, "y must be an integer tensor"),
    "y long": ({"y": torch.zeros(4, dtype=torch.long)}, r"shape \[3\]; got \[4\]"),
    "y negative": ({"y": torch.tensor([0, -2, 0])}, "negative labels at nodes 1"),
    "y too large": ({"y": torch.tensor([0, 3, 0]), "num_classes": 2}, r"labels up to 3 \(nodes 1\), but num_classes is 2"),
    "not undirected": ({"edge_index": EDGES[:, :3], "undirected": True}, r"edges \(1, 2\) lack their reverse"),
    "alive": ({"alive": torch.ones(2, dtype=torch.bool)}, r"boolean tensor of shape \[3\]"),
    "splits a list": ({"splits": [torch.tensor([0])]}, "splits must be a mapping"),
    "split unknown": ({"splits": {"val": torch.tensor([0, 9])}}, "'val' names unknown nodes 9"),
    "split overlap": ({"splits": {"train": torch.tensor([0, 1]), "val": torch.tensor([1, 2])}}, "nodes 1 are in more than one"),
    "split shape": ({"splits": {"val": torch.zeros(2, 3, dtype=torch.long)}}, r"'val' must have shape .* got \[2, 3\]"),
    "split float": ({"splits": {"val": torch.zeros(2)}}, "split 'val' must be an integer tensor"),
    "split mask": ({"splits": {"val": torch.ones(2, dtype=torch.bool)}}, r"boolean mask of shape \[2\], expected \[3\]"),
    "splits mixed": ({"splits": {"train": torch.tensor([0]), "val": torch.tensor([[0, 2]])}}, "mixes node ids"),
    "train pairs": ({"splits": {"train": torch.tensor([[0, 2]])}}, "training pairs of a link task are the edges"),
    "test edge known": ({"splits": {"test": torch.tensor([[1, 0]])}}, r"pairs \(0, 1\) of split 'test' are also in the training"),
    "negative is edge": (
        {"splits": {"val": torch.tensor([[0, 2]]), "val_neg": torch.tensor([[2, 0]])}},
        r"pairs \(0, 2\) of split 'val_neg' are also in",
    ),
    "no label": ({"y": torch.tensor([0, -1, 1]), "splits": {"train": torch.tensor([0, 1])}}, "training nodes 1 have no label"),
    "names": ({"node_names": ("a",)}, "node_names has 1 entries but the graph has 3 nodes"),
    "rule and edges": ({"x": X, "edge_rule": KNNRule(1)}, "makes its edges from x"),
    "rule without x": ({"edge_index": None, "edge_rule": KNNRule(1)}, "makes its edges from x"),
}


@pytest.mark.parametrize(("arguments", "sentence"), WRONG.values(), ids=WRONG)
def test_every_mistake_has_its_sentence(arguments, sentence):
    arguments = {"edge_index": EDGES, "num_nodes": 3, **arguments}
    with pytest.raises(InputError, match=sentence):
        GraphData.create(arguments.pop("edge_index"), arguments.pop("num_nodes"), **arguments)


def test_creation_leaves_its_inputs_alone():
    edges, x = EDGES.flip(1), X.clone()
    kept = edges.clone()
    make([(0, 1)], 3, undirected=True)
    GraphData.create(edges, 3, x=x)
    assert torch.equal(edges, kept) and torch.equal(x, X)


def test_what_is_derived_from_the_edges_follows_an_edit_in_place():
    edges = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    data = GraphData.create(edges, 4)
    assert data.pairs().tolist() == [[0, 1], [1, 2]] and data.neighbours[1].tolist() == [1, 0, 2, 1]
    assert data.connected(torch.tensor([[1, 0], [0, 2], [0, 3]])).tolist() == [True, False, False]
    lookup = data.lookup
    assert data.lookup is lookup
    data.edge_index.copy_(torch.tensor([[0, 3, 1, 2], [3, 0, 2, 1]]))  # no longer sorted
    assert data.pairs().tolist() == [[0, 3], [1, 2]] and data.neighbours[1].tolist() == [3, 2, 1, 0]
    assert data.connected(torch.tensor([[1, 0], [3, 0]])).tolist() == [False, True]
    assert data.incoming.to_edge_index().t().tolist() == [[3, 0], [2, 1], [1, 2], [0, 3]]


def test_incoming_lists_keep_copies_and_neighbours_do_not():
    data = GraphData.create(torch.tensor([[0, 0, 1, 2, 2], [1, 1, 0, 2, 0]]), 3)
    assert sorted(data.incoming.to_edge_index().t().tolist()) == [[0, 1], [0, 1], [1, 0], [2, 0], [2, 2]]
    assert [data.neighbours[0].tolist(), data.neighbours[1].tolist()] == [[0, 2, 3, 5], [1, 2, 0, 0, 2]]
    assert data.lookup.loop_entries.tolist() == [4] and not data.lookup.simple


def test_a_part_has_another_digest_than_the_same_graph():
    from graphforget.graphs import take_part

    data = GraphData.create(torch.tensor([[0, 1], [1, 0]]), 2)
    assert take_part(data, torch.tensor([0, 1]), 2).digest() != data.digest()
