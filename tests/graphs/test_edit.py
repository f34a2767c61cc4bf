"""Deletions: nothing incident survives, nothing else changes, and an edit equals a fresh build."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, KNNRule, compact, remove_edges, remove_features, remove_nodes
from graphforget.requests import DeletionRequest, Lineage

from .conftest import graphs, make, same


def fresh(data: GraphData, gone: set[int]) -> GraphData:
    """What ``remove_nodes`` should give, built anew by plain Python."""
    edges = [(u, v) for u, v in data.edge_index.t().tolist() if u not in gone and v not in gone]
    mask = torch.tensor([i in gone for i in range(data.num_nodes)])
    dense = data.x.to_dense()
    if data.x.layout == torch.sparse_csr:
        dense[mask] = 0
        x = dense.to_sparse_csr()
    else:
        x = dense.clone()
        x[mask] = float("nan")
    left = {part: [i for i in ids.tolist() if i not in gone] for part, ids in data.splits.items()}
    splits = {part: torch.tensor(ids, dtype=torch.long) for part, ids in left.items()}
    return GraphData.create(
        torch.tensor(edges, dtype=torch.long).view(-1, 2).t(),
        data.num_nodes,
        x=x,
        y=torch.tensor([-1 if i in gone else label for i, label in enumerate(data.y.tolist())]),
        undirected=data.undirected,
        splits=splits,
        alive=~mask,
        num_classes=data.num_classes,
    )


@settings(deadline=None, max_examples=30)
@given(graphs(), st.data())
def test_no_incident_edge_survives_and_the_edit_equals_a_fresh_build(data, draw):
    gone = draw.draw(st.sets(st.integers(0, data.num_nodes - 1), min_size=1, max_size=data.num_nodes))
    before = data.digest()
    edited = remove_nodes(data, sorted(gone))
    assert not gone & set(edited.edge_index.flatten().tolist())
    assert edited.digest() == fresh(data, gone).digest()
    assert data.digest() == before


@settings(deadline=None, max_examples=30)
@given(graphs(), st.data())
def test_removed_edges_are_gone_in_every_copy_and_the_rest_stays(data, draw):
    present = sorted({tuple(edge) for edge in data.edge_index.t().tolist()})
    if not present:
        return
    chosen = draw.draw(st.lists(st.sampled_from(present), min_size=1, max_size=5))
    gone = set(chosen) | ({(v, u) for u, v in chosen} if data.undirected else set())
    edited = remove_edges(data, chosen)
    expected = [edge for edge in data.edge_index.t().tolist() if tuple(edge) not in gone]
    assert edited.edge_index.t().tolist() == expected
    assert same(edited.x, data.x) and edited.alive.all()


@settings(deadline=None, max_examples=20)
@given(graphs(), st.data())
def test_two_deletions_in_sequence_equal_one(data, draw):
    order = draw.draw(st.permutations(range(data.num_nodes)))
    first, second = order[:1], order[1:2]
    assert remove_nodes(remove_nodes(data, first), second).digest() == remove_nodes(data, [*first, *second]).digest()


def test_every_kind_of_graph_loses_its_hub(any_graph):
    edited = remove_nodes(any_graph, [0])
    assert not (edited.edge_index == 0).any()
    assert edited.edge_index.size(1) == int((any_graph.edge_index != 0).all(0).sum())
    assert not edited.alive[0] and edited.y[0] == -1 and edited.x[0].isnan().all()
    assert 0 not in edited.splits["train"]


def test_the_unlinked_state_keeps_content():
    data = make([(0, 1), (1, 2), (1, 1)], 4, undirected=True)
    unlinked = remove_nodes(data, [1], keep_content=True)
    assert unlinked.edge_index.size(1) == 0
    assert same(unlinked.x, data.x) and torch.equal(unlinked.y, data.y) and unlinked.alive.all()
    assert unlinked.splits == data.splits


def test_pair_splits_lose_what_touches_a_node_and_removed_positives():
    data = GraphData.create(
        torch.tensor([[0, 1], [1, 0]]),
        5,
        splits={"val": torch.tensor([[1, 2], [3, 4]]), "val_neg": torch.tensor([[0, 2], [1, 4]]), "test": torch.tensor([[0, 3]])},
    )
    edited = remove_nodes(data, [2])
    parts = {part: rows.tolist() for part, rows in edited.splits.items()}
    assert parts == {"val": [[3, 4]], "val_neg": [[1, 4]], "test": [[0, 3]]}
    edited = remove_edges(data, [[4, 3], [1, 0]])
    assert edited.edge_index.size(1) == 0 and edited.splits["val"].tolist() == [[1, 2]] and len(edited.splits["val_neg"]) == 2


def test_features_become_zero_where_asked():
    for sparse in (False, True):
        data = make([(0, 1)], 4, undirected=True, sparse=sparse)
        before = data.digest()
        some = remove_features(data, [2, 0], [1])
        expected = data.x.to_dense().clone()
        expected[[0, 2], 1] = 0
        assert torch.equal(some.x.to_dense(), expected) and some.x.layout == data.x.layout
        assert remove_features(data, [3]).x.to_dense()[3].eq(0).all()
        assert torch.equal(some.edge_index, data.edge_index) and torch.equal(some.alive, data.alive)
        assert data.digest() == before


def _derived() -> GraphData:
    x = torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0], [17.0]])
    return GraphData.create(None, 6, x=x, y=torch.arange(6) % 2, splits={"train": torch.arange(4)}, edge_rule=KNNRule(1))


def test_derived_edges_are_rebuilt_as_if_the_node_had_never_been():
    data = _derived()
    edited = remove_nodes(data, [2])
    assert edited.pairs().tolist() == [[0, 1], [1, 3], [4, 5]]
    anew = GraphData.create(None, 5, x=data.x[[0, 1, 3, 4, 5]], edge_rule=KNNRule(1))
    assert torch.equal(compact(edited)[0].edge_index, anew.edge_index) and compact(edited)[0].edge_rule == KNNRule(1)
    unlinked = remove_nodes(data, [2], keep_content=True)
    assert torch.equal(unlinked.edge_index, edited.edge_index) and unlinked.edge_rule is None
    assert torch.equal(unlinked.x, data.x)


def test_derived_edges_follow_removed_features():
    data = _derived()
    edited = remove_features(data, [2])
    assert edited.pairs().tolist() == [[0, 1], [1, 3], [4, 5]] and edited.alive.all()


def test_compact_gives_live_nodes_and_the_map():
    data = make([(0, 1), (1, 2), (2, 3), (3, 4)], 5, undirected=True, sparse=True)
    data = replace(data, node_names=tuple("abcde"), lineage=Lineage(data, DeletionRequest.nodes([0])))
    small, position = compact(remove_nodes(data, [1]))
    assert position.tolist() == [0, -1, 1, 2, 3] and small.num_nodes == 4
    assert small.pairs().tolist() == [[1, 2], [2, 3]] and small.node_names == tuple("acde")
    assert remove_nodes(data, [1]).node_names == ("a", None, "c", "d", "e")
    assert small.splits["train"].tolist() == [0, 1, 3] and small.splits["test"].tolist() == [2]
    assert torch.equal(small.x.to_dense(), data.x.to_dense()[[0, 2, 3, 4]]) and small.alive.all() and small.lineage is None


DATA = make([(0, 1), (1, 2)], 4, undirected=True)
WRONG = {
    "unknown edge": (lambda: remove_edges(DATA, [[0, 2], [1, 0]]), r"unknown edges \(0, 2\): they are not in the graph"),
    "edge of unknown node": (lambda: remove_edges(DATA, [[0, 9]]), "unknown nodes 9"),
    "derived edge": (lambda: remove_edges(_derived(), [[0, 1]]), "derive from its features"),
    "unknown node": (lambda: remove_nodes(DATA, [4]), "unknown nodes 4: the graph has nodes 0 to 3"),
    "again": (lambda: remove_nodes(remove_nodes(DATA, [1]), [1, 2]), "nodes 1 are already forgotten"),
    "features of a dead node": (lambda: remove_features(remove_nodes(DATA, [1]), [1]), "nodes 1 are already forgotten"),
    "unknown column": (lambda: remove_features(DATA, [1], [0, 3]), r"unknown feature columns \[3\]: x has columns 0 to 2"),
    "no features": (lambda: remove_features(replace(DATA, x=None), [1]), "no node features x"),
    "no ids": (lambda: remove_nodes(DATA, []), "at least one id"),
}


@pytest.mark.parametrize(("call", "sentence"), WRONG.values(), ids=WRONG)
def test_mistakes(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


@given(st.integers(0, 10_000), st.booleans())
@settings(deadline=None, max_examples=30)
def test_edges_are_removed_by_look_up_as_by_comparison(seed, undirected):
    g = torch.Generator().manual_seed(seed)
    ends = torch.randint(9, (2, 25), generator=g)
    ends = torch.cat([ends, ends.flip(0)], 1) if undirected else ends
    data = GraphData.create(ends, 9, undirected=undirected)
    pairs = data.pairs()
    gone = pairs[torch.randperm(len(pairs), generator=g)[:3]]
    names = {tuple(p) for p in gone.tolist()} | ({tuple(p) for p in gone.flip(1).tolist()} if undirected else set())
    expected = [e for e in data.edge_index.t().tolist() if tuple(e) not in names]
    asked = gone.flip(1) if undirected else gone
    assert remove_edges(data, asked).edge_index.t().tolist() == expected
