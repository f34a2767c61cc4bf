"""InteractionGraph: normalised structures by the book, content without what is forgotten, surgery after a deletion."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, knn, remove_items, remove_modality, remove_users
from graphforget.interactions import graph as module
from graphforget.interactions.edit import having

PAIRS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 7)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=20)
@given(PAIRS)
def test_propagation_against_dense(pairs):
    data = Interactions.create({"train": sorted(pairs)}, num_users=6, num_items=8)
    graph = InteractionGraph(data)
    a = torch.zeros(14, 14)
    for u, i in pairs:
        a[u, 6 + i] = a[6 + i, u] = 1
    scale = a.sum(1).clamp(min=1).pow(-0.5)
    expected = scale.view(-1, 1) * a * scale
    assert torch.allclose(graph.adjacency.to_dense(), expected, atol=1e-6)
    assert torch.allclose(graph.user_items.to_dense(), expected[:6, 6:], atol=1e-6)
    assert graph.adjacency.symmetric
    assert graph.popularity.tolist() == [sum(i == item for _, i in pairs) for item in range(8)]
    assert graph.degrees[0].tolist() == [sum(u == user for u, _ in pairs) for user in range(6)]


def make() -> Interactions:
    g = torch.Generator().manual_seed(0)
    pairs = [[u, (u * 3 + k) % 40] for u in range(20) for k in range(5)]
    features = {"image": torch.randn(40, 6, generator=g), "audio": torch.randn(40, 4, generator=g)}
    features["audio"][3] = float("nan")
    return Interactions.create({"train": pairs}, num_users=20, num_items=40, features=features)


def test_features_of_forgotten_and_of_silent_items_are_zero():
    graph = InteractionGraph(remove_items(make(), [1]))
    assert graph.modalities == ("audio", "image")
    assert (graph.feature("audio") == 0).all(1).nonzero().view(-1).tolist() == [1, 3]
    assert graph.content("image").nonzero().view(-1).tolist() == [i for i in range(40) if i != 1]
    assert not graph.item_graph("audio", 4).to_dense()[[1, 3]].any()
    with pytest.raises(InputError, match="reads the item features 'text', but the data has audio, image"):
        graph.feature("text")


def test_a_deletion_edits_the_neighbours_that_were_found(monkeypatch):
    data = make()
    before = InteractionGraph(data)
    before.item_graph("image", 4)
    after = remove_items(remove_users(data, [2]), [5, 6, 30])
    fresh = InteractionGraph(after)
    edited = InteractionGraph(after, before=before)
    used = []
    monkeypatch.setattr(module, "without_items", lambda *args: used.append(1) or knn.without_items(*args))
    for name in ("image", "audio"):  # only the first had been found before
        for weighted in (True, False):
            a, b = (g.item_graph(name, 4, weighted=weighted) for g in (fresh, edited))
            assert torch.equal(a.rowptr, b.rowptr) and torch.equal(a.col, b.col) and torch.equal(a.weight, b.weight)
    assert len(used) == 1


@settings(deadline=None, max_examples=20)
@given(st.integers(4, 40), st.integers(1, 6), st.integers(0, 2), st.floats(0.05, 0.95), st.integers(0, 4), st.integers(0, 99))
def test_graphs_without_a_modality_are_fresh_builds_bit_for_bit(num_items, k, levels, share, reserve, seed):
    """Items lose the image, one batch after the other and together with items that go; other modalities keep their lists."""
    g, kept = torch.Generator().manual_seed(seed), knn._RESERVE
    draw = (lambda w: torch.randint(-levels, levels + 1, (num_items, w), generator=g).float()) if levels else None
    features = {name: draw(w) if draw else torch.randn(num_items, w, generator=g) for name, w in (("image", 3), ("text", 2))}
    data = Interactions.create({"train": [[0, 0]]}, num_items=num_items, features=features)
    knn._RESERVE = reserve  # a short reserve makes most lists be searched anew
    try:
        before = InteractionGraph(data)
        for name in features:
            before.nearest(name, k)
        for step in range(3):
            lost = having(data, "image") & (torch.rand(num_items, generator=g) < share)
            data = remove_modality(data, "image", lost.nonzero().view(-1)) if bool(lost.any()) else data
            data = remove_items(data, [num_items - 1 - step]) if step else data
            edited, fresh = InteractionGraph(data, before=before), InteractionGraph(data)
            for name in features:
                (pairs, value), (pairs_b, value_b) = edited.nearest(name, k).edges(), fresh.nearest(name, k).edges()
                assert torch.equal(pairs, pairs_b) and torch.equal(value, value_b)
                content = having(data, name)
                assert bool(content[pairs].all())  # whoever has no content is in nobody's list and has none
                for weighted in (True, False):
                    a, b = (one.item_graph(name, k, weighted=weighted) for one in (edited, fresh))
                    assert torch.equal(a.rowptr, b.rowptr) and torch.equal(a.col, b.col) and torch.equal(a.weight, b.weight)
            before = edited if step else before  # from the first graph, and from one that was edited
    finally:
        knn._RESERVE = kept


def test_lists_that_lost_a_neighbour_are_filled_up():
    data = make()
    near = InteractionGraph(data).nearest("image", 4).items[:, :4]
    gone = int(near[0, 1])
    after = InteractionGraph(remove_modality(data, "image", [gone])).nearest("image", 4).items[:, :4]
    assert gone not in after.tolist()[0] and bool((after[0] >= 0).all()) and after[gone].tolist() == [-1] * 4
    assert torch.equal(
        InteractionGraph(data).nearest("audio", 4).items,
        InteractionGraph(remove_modality(data, "image", [gone])).nearest("audio", 4).items,
    )


def test_neighbours_of_other_features_are_not_taken_over(monkeypatch):
    data = make()
    before = InteractionGraph(data)
    before.item_graph("image", 4)
    other = Interactions.create({"train": data.splits["train"]}, num_items=40, features={"image": data.features["image"].flip(0)})
    monkeypatch.setattr(module, "without_items", lambda *args: pytest.fail("took over neighbours by other features"))
    assert torch.equal(
        InteractionGraph(other, before=before).nearest("image", 4).items, knn.nearest_items(other.features["image"], 4).items
    )


def test_what_a_model_derives_is_kept_until_a_source_changes():
    graph, made = InteractionGraph(make()), []
    model, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)

    def make_one():
        made.append(1)
        return len(made)

    assert [graph.kept(model, (v,), make_one) for v in (1, 1, 2, 2)] == [1, 1, 2, 2]
    assert graph.kept(other, (2,), make_one) == 3 and graph.kept_value(model) == 2
    assert len(graph._kept) == 2
    del model
    assert len(graph._kept) == 1  # it goes with the model
