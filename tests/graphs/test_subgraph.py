from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, induced_subgraph, k_hop, remove_edges, remove_nodes, take_part

from .conftest import make


def random_graph(seed, n=14, edges=24, undirected=True, loops=False, copies=False, **kwargs):
    g = torch.Generator().manual_seed(seed)
    ends = torch.randint(n, (2, edges), generator=g)
    if not loops:
        ends = ends[:, ends[0] != ends[1]]
    if not copies:
        ends = torch.unique(ends, dim=1)
    if undirected:
        ends = torch.cat([ends, ends.flip(0)], 1)
        ends = ends if copies else torch.unique(ends, dim=1)
    x = torch.randn(n, 3, generator=g)
    return GraphData.create(ends, n, x=x, y=torch.arange(n) % 3, undirected=undirected, **kwargs)


def incoming(data, node):
    return sorted(data.edge_index[0, data.edge_index[1] == node].tolist())


graphs = st.builds(random_graph, st.integers(0, 10_000), undirected=st.booleans(), loops=st.booleans(), copies=st.booleans())


@given(graphs, st.integers(0, 13), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_rows_within_one_step_less_are_complete_and_no_node_is_missing_or_too_many(data, node, hops):
    small = take_part(data, torch.tensor([node]), hops)
    part = small.part
    level, reached = {node}, {node: 0}
    for hop in range(1, hops + 1):
        level = {s for v in level for s in incoming(data, v)} - set(reached)
        reached.update(dict.fromkeys(level, hop))
    assert part.ids.tolist() == sorted(reached)
    for slot, v in enumerate(part.ids.tolist()):
        held = [int(part.ids[s]) for s in incoming(small, slot)]
        if reached[v] < hops:
            assert held == incoming(data, v)
        else:
            assert held == [s for s in incoming(data, v) if s == v]  # self-loops: degrees are counted without them
        assert int(part.degree[slot]) == len(incoming(data, v))
    assert torch.equal(small.x, data.x[part.ids]) and torch.equal(small.y, data.y[part.ids])
    assert part.core.tolist() == [v == node for v in part.ids.tolist()] and part.num_entries == data.edge_index.size(1)


@given(graphs, st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_a_fan_out_of_the_largest_degree_reads_everything(data, seed):
    core, g = torch.tensor([seed % 14, 3]), torch.Generator().manual_seed(seed)
    exact, limited = take_part(data, core, 2), take_part(data, core, 2, fanout=60, generator=g)
    assert torch.equal(exact.edge_index, limited.edge_index) and torch.equal(exact.part.ids, limited.part.ids)


def test_a_fan_out_bounds_every_row_and_draws_without_replacement():
    star = GraphData.create(torch.stack([torch.arange(1, 41), torch.zeros(40, dtype=torch.long)]), 41)
    seen = torch.zeros(41)
    for seed in range(200):
        small = take_part(star, torch.tensor([0]), 2, fanout=4, generator=torch.Generator().manual_seed(seed))
        assert len(torch.unique(small.edge_index[0])) == 4 == small.edge_index.size(1)
        assert small.part.degree.tolist() == [40, 0, 0, 0, 0]
        seen[small.part.ids] += 1
    assert seen[0] == 200 and float(seen[1:].min()) > 5 and float(seen[1:].max()) < 40  # 20 expected


def test_forced_entries_are_in_the_rows_that_are_read_and_in_no_other():
    star = GraphData.create(torch.stack([torch.arange(1, 41), torch.zeros(40, dtype=torch.long)]), 41)
    force = torch.tensor([7, 31])  # positions in the incoming lists: sources 8 and 32
    for seed in range(5):
        g = torch.Generator().manual_seed(seed)
        small = take_part(star, torch.tensor([0]), 1, fanout=3, force=force, generator=g)
        assert {8, 32} <= set(small.part.ids.tolist()) and 3 <= small.edge_index.size(1) <= 5
    other = take_part(star, torch.tensor([5]), 1, fanout=3, force=force)
    assert other.part.ids.tolist() == [5] and other.edge_index.size(1) == 0


def test_sampled_nodes_join_the_core_without_taking_from_exact_rows():
    data = random_graph(3, n=40, edges=160)
    core, sampled = torch.tensor([1, 2]), torch.tensor([20, 30])
    for seed in range(5):
        g = torch.Generator().manual_seed(seed)
        small = take_part(data, core, 2, sampled=sampled, sampled_fanout=2, generator=g)
        assert small.part.ids[small.part.core].tolist() == [1, 2, 20, 30]
        exact = take_part(data, core, 2)
        whole = {(int(exact.part.ids[u]), int(exact.part.ids[v])) for u, v in exact.edge_index.t().tolist()}
        held = {(int(small.part.ids[u]), int(small.part.ids[v])) for u, v in small.edge_index.t().tolist()}
        assert whole <= held
        rows = set(exact.part.ids[exact.edge_index[1]].tolist())
        for v in {v for _, v in held} - rows:
            assert sum(1 for _, t in held if t == v) <= 2


def test_pairs_are_between_core_nodes_and_those_listed():
    path = GraphData.create(torch.tensor([[0, 1, 1, 2, 2, 3, 3, 4], [1, 0, 2, 1, 3, 2, 4, 3]]), 5)
    small = take_part(path, torch.tensor([1, 2]), 2)
    assert small.part.ids[small.pairs()].tolist() == [[1, 2]]
    listed = take_part(path, torch.tensor([1, 2]), 2, sampled=torch.tensor([0]), pairs=torch.tensor([[1, 0]]))
    assert listed.part.ids[listed.pairs()].tolist() == [[0, 1], [1, 2]]
    gone = remove_edges(listed, listed.part.slots(torch.tensor([[0, 1]])))
    assert listed.part.ids[gone.pairs()].tolist() == [[1, 2]]


def test_deletions_in_a_part_lower_the_degrees_of_the_whole_graph():
    data = random_graph(5, n=30, edges=70, copies=True)
    pair = data.pairs()[4]
    small = take_part(data, torch.unique(pair), 2)
    less = remove_edges(small, small.part.slots(pair[None]))
    expected = remove_edges(data, pair[None]).incoming.degree()[small.part.ids]
    assert torch.equal(less.part.degree, expected) and not torch.equal(expected, small.part.degree)
    node = int(pair[0])
    around = take_part(
        data, torch.cat([pair[:1], data.neighbours[1][data.neighbours[0][node] : data.neighbours[0][node + 1]]]), 2
    )
    for keep_content in (True, False):
        rest = remove_nodes(around, around.part.slots(pair[:1]), keep_content=keep_content)
        assert torch.equal(rest.part.degree, remove_nodes(data, pair[:1]).incoming.degree()[around.part.ids])


def test_a_part_of_a_part_has_the_ids_and_degrees_of_the_whole_graph():
    data = random_graph(8, n=60, edges=90)
    outer = take_part(data, torch.tensor([7]), 4)
    inner = take_part(outer, outer.part.slots(torch.tensor([7])), 2)
    direct = take_part(data, torch.tensor([7]), 2)
    assert torch.equal(inner.part.ids, direct.part.ids) and torch.equal(inner.edge_index, direct.edge_index)
    assert torch.equal(inner.part.degree, direct.part.degree)
    assert inner.part.num_entries == data.edge_index.size(1) and inner.part.num_nodes == 60


def test_splits_keep_what_lies_in_the_core():
    ids = {"train": torch.tensor([0, 1, 5, 9]), "val": torch.tensor([2, 3])}
    data = random_graph(1, splits=ids)
    small = take_part(data, torch.tensor([1, 3, 5]), 2)
    assert small.part.ids[small.splits["train"]].tolist() == [1, 5]
    assert small.part.ids[small.splits["val"]].tolist() == [3]
    path = GraphData.create(
        torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]),
        5,
        splits={"val": torch.tensor([[0, 2], [2, 4]]), "val_neg": torch.tensor([[0, 3]])},
    )
    cut = take_part(path, torch.tensor([0, 2]), 1)
    assert cut.part.ids[cut.splits["val"]].tolist() == [[0, 2]] and not len(cut.splits["val_neg"])


def test_slots_find_ids_and_say_where_there_are_none():
    data = random_graph(2, n=50, edges=40)
    part = take_part(data, torch.tensor([3, 40]), 1).part
    assert torch.equal(part.slots(part.ids), torch.arange(len(part.ids)))
    missing = torch.tensor([v for v in range(50) if v not in part.ids.tolist()])
    assert (part.slots(missing.view(-1, 1)) == -1).all()


def test_refuses_an_empty_core_and_negative_hops():
    data = random_graph(0)
    with pytest.raises(InputError, match="at least one node"):
        take_part(data, torch.empty(0, dtype=torch.long), 2)
    with pytest.raises(InputError, match="hops must be 0 or more"):
        take_part(data, torch.tensor([0]), -1)


# ---- induced subgraphs ------------------------------------------------------------------------------------------
def test_induced_subgraph():
    data = make([(0, 1), (1, 2), (2, 3), (3, 4), (1, 3)], 5, undirected=True)
    part = induced_subgraph(data, [4, 1, 3])
    assert part.ids.tolist() == [1, 3, 4] and part.position.tolist() == [-1, 0, -1, 1, 2]
    assert part.data.pairs().tolist() == [[0, 1], [1, 2]]
    assert torch.equal(part.data.x, data.x[part.ids]) and torch.equal(part.data.y, data.y[part.ids])
    assert part.data.splits["train"].tolist() == [2] and part.data.splits["test"].tolist() == [0, 1]


def test_induced_subgraph_keeps_pairs_with_both_ends_inside():
    data = GraphData.create(torch.tensor([[0, 1], [1, 0]]), 4, splits={"val": torch.tensor([[0, 2], [0, 3], [2, 3]])})
    assert induced_subgraph(data, [0, 3]).data.splits["val"].tolist() == [[0, 1]]


def test_a_region_of_one_more_hop_than_layers_is_exact_for_gcn():
    from torch_geometric.nn import GCNConv

    g = torch.Generator().manual_seed(0)
    edges = torch.randint(60, (2, 90), generator=g)
    data = GraphData.create(torch.cat([edges, edges.flip(0)], 1), 60, x=torch.randn(60, 4, generator=g))
    torch.manual_seed(0)
    first, second = GCNConv(4, 5), GCNConv(5, 2)

    def run(d):
        return second(first(d.x, d.edge_index).relu(), d.edge_index)

    seeds = torch.tensor([3, 40])
    part = induced_subgraph(data, k_hop(data, seeds, 3))
    assert part.data.num_nodes < data.num_nodes
    torch.testing.assert_close(run(part.data)[part.position[seeds]], run(data)[seeds])


def test_an_induced_subgraph_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one node"):
        induced_subgraph(random_graph(0), torch.zeros(random_graph(0).num_nodes, dtype=torch.bool))
