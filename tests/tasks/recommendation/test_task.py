"""Recommendation: splits, draws, the loss, ranking, and a model that learns."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Ensemble, Recipe, counting
from graphforget.exceptions import InputError, ViewError
from graphforget.interactions import Interactions, random_interactions, remove_pairs
from graphforget.metrics.divergence import probabilities
from graphforget.models import BPRMF
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import Recommendation


class Dot(nn.Module):
    """A user's own module: scores only, neither score_all nor entity_rows."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(num_users, 4), nn.Embedding(num_items, 4)

    def forward(self, user_id, item_id):
        return (self.user(user_id) * self.item(item_id)).sum(-1)


def blocks(num_users: int = 24, num_items: int = 16) -> Interactions:
    """Even users like the first half of the items, odd users the second half."""
    half = num_items // 2
    rows = [(u, half * (u % 2) + i) for u in range(num_users) for i in range(half)]
    order = torch.randperm(len(rows), generator=seeds.generator(3))
    pairs = torch.tensor(rows)[order]
    cut = len(rows) * 6 // 10
    return Interactions.create(
        {"train": pairs[:cut], "val": pairs[cut : cut + 20], "test": pairs[cut + 20 :]}, num_users=num_users, num_items=num_items
    )


@pytest.fixture
def data() -> Interactions:
    return blocks()


@pytest.fixture
def task() -> Recommendation:
    return Recommendation(
        build=lambda d: BPRMF(d.num_users, d.num_items, 8),
        top_k=4,
        l2=1e-3,
        recipe=Recipe(epochs=30, lr=3e-2, batch_size=64, patience=10),
    )


def pairs_of(index: torch.Tensor) -> set[tuple[int, int]]:
    return {(u, i) for u, i in index.tolist()}


# ---- requests ---------------------------------------------------------------------------------------------
def test_users_items_and_pairs_in_one_request(task, data):
    single = data.splits["train"][data.splits["train"][:, 0] == 5][:1]
    request = DeletionRequest.users([2]) | DeletionRequest.items([9]) | DeletionRequest.interactions(single)
    split = task.split(data, request)
    train = pairs_of(data.splits["train"])
    gone = {p for p in train if p[0] == 2 or p[1] == 9} | pairs_of(single)
    assert pairs_of(split.removed) == gone and pairs_of(split.retain) == train - gone
    assert split.forget_source == "removed" and len(split.altered) == 0
    users, items = {u for u, _ in gone}, {i for _, i in gone}
    assert pairs_of(split.affected) == {p for p in train - gone if p[0] in users or p[1] in items}
    assert {k: v.tolist() for k, v in split.deny.items()} == {"user": [2], "item": [9]}
    after = split.retain_data
    assert pairs_of(after.splits["train"]) == train - gone
    for part in ("val", "test"):
        left = pairs_of(after.splits[part])
        assert left == {p for p in pairs_of(data.splits[part]) if p[0] != 2 and p[1] != 9}
    assert not after.alive_users[2] and not after.alive_items[9] and bool(after.alive_users[5])


def test_split_is_shared_out_by_near(task, data):
    split = task.split(data, random_interactions(data, 2, seed=0))
    near = task.near(split)
    assert pairs_of(near["hop1"]) == pairs_of(split.affected)
    assert pairs_of(near["hop1"]) | pairs_of(near["far"]) == pairs_of(split.retain)
    assert not pairs_of(near["hop1"]) & pairs_of(near["far"])


def test_forgotten_users_have_no_content_in_the_retained_data(task, data):
    split = task.split(data, DeletionRequest.users([0]))
    assert split.forget_context == "unlinked" and split.unlinked_data is data
    with pytest.raises(ViewError, match="no content in the retained data"):
        split.view("forget", on="retained")


def test_forgotten_interactions_stay_readable(task, data):
    split = task.split(data, random_interactions(data, 3, seed=0))
    view = split.view("forget", on="retained")
    outputs = task.predict(task.new_model(data, seed=0), view)
    assert outputs.shape == (3,) and bool(outputs.isfinite().all())
    negatives = task.fixed_negatives(view.data, view.index)
    assert bool((negatives != view.index[:, 1]).all())  # the pair's own item is free there, yet no margin over itself


def test_a_request_of_a_test_pair_removes_no_training_example(task, data):
    split = task.split(data, DeletionRequest.interactions(data.splits["test"][:1]))
    assert split.forget_source == "none" and len(split.retain) == len(data.splits["train"])
    assert len(split.retain_data.splits["test"]) == len(data.splits["test"]) - 1


def test_lineage_grows_and_nothing_is_forgotten_twice(task, data):
    pair = data.splits["train"][:1]
    first, second = DeletionRequest.users([3]), DeletionRequest.interactions(pair)
    one = task.split(data, first)
    two = task.split(one.retain_data, second)
    root, total = two.root
    assert root is data and total == first | second
    assert two.retain_data.lineage.digests == (first.digest(), second.digest())
    assert task.split(root, total).retain_data.digest() == two.retain_data.digest()
    with pytest.raises(InputError, match="users 3 are already forgotten"):
        task.split(two.retain_data, first)
    with pytest.raises(InputError, match="are already forgotten"):
        task.split(two.retain_data, second)


@pytest.mark.parametrize(
    "request_, sentence",
    [
        (DeletionRequest.users([99]), "unknown users 99"),
        (DeletionRequest.items([99]), "unknown items 99"),
        (DeletionRequest.interactions([[99, 0]]), r"unknown interactions \(99, 0\)"),
        (DeletionRequest.interactions([[0, 15]]), r"unknown interactions \(0, 15\): they are in no part"),
        (DeletionRequest.nodes([0]), "cannot forget 'node' targets; it knows interaction, item, modality, user"),
        (DeletionRequest.users(list(range(24))), "nothing would be left"),
    ],
)
def test_bad_requests_are_refused_in_a_sentence(task, data, request_, sentence):
    with pytest.raises(InputError, match=sentence):
        task.split(data, request_)


# ---- draws ------------------------------------------------------------------------------------------------
def test_draws_are_made_in_batches_and_kept_by_on(task, data):
    split = task.split(data, random_interactions(data, 5, seed=0))
    view = split.view("retain", on="retained")
    batch = next(iter(task.batches(view, batch_size=32, shuffle=True, generator=seeds.generator(7))))
    again = next(iter(task.batches(view, batch_size=32, shuffle=True, generator=seeds.generator(7))))
    other = next(iter(task.batches(view, batch_size=32, shuffle=True, generator=seeds.generator(8))))
    assert torch.equal(batch.extra["negatives"], again.extra["negatives"]) and torch.equal(batch.index, again.index)
    assert not torch.equal(batch.index, other.index)
    elsewhere = batch.on(data)
    assert elsewhere.data is data and elsewhere.extra["negatives"] is batch.extra["negatives"]
    model = task.new_model(data, seed=0)
    losses = [task.loss(task.forward(model, b)[0], b) for b in (batch, batch, elsewhere)]
    assert losses[0] == losses[1] == losses[2]


@settings(deadline=None, max_examples=30)
@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=18), st.integers(0, 5), st.integers(0, 99))
def test_negatives_are_live_and_not_taken(pairs, dead_item, seed):
    data = Interactions.create({"train": sorted(pairs)}, num_users=4, num_items=6)
    task = Recommendation()
    left = {p for p in pairs if p[1] != dead_item}
    if left and len(left) < len(pairs):
        data = task.split(data, DeletionRequest.items([dead_item])).retain_data
        pairs = left
    else:
        dead_item = -1
    train = data.splits["train"]
    full = [u for u in range(4) if len({i for v, i in pairs if v == u}) == 6 - (dead_item >= 0)]
    if full:
        with pytest.raises(InputError, match=f"user {full[0]} has taken every item"):
            task.draw_negatives(data, train, seeds.generator(seed))
        return
    for negatives in (task.draw_negatives(data, train, seeds.generator(seed)), task.fixed_negatives(data, train)):
        chosen = list(zip(train[:, 0].tolist(), negatives.tolist()))
        assert not set(chosen) & pairs
        assert dead_item not in negatives.tolist()


def test_a_forgotten_pair_is_never_contrasted_with_itself():
    """Its item is free in the retained data: user 0 may be given items 0 and 2 there, and item 0 is the pair's own."""
    task, data = Recommendation(), Interactions.create({"train": [[0, 0], [0, 1], [1, 2]]})
    view = task.split(data, DeletionRequest.interactions([[0, 0]])).view("forget", on="retained")
    for seed in range(20):
        assert task.draw_negatives(view.data, view.index, seeds.generator(seed)).tolist() == [2]
    own = View(view.data, torch.tensor([[0, 0], [0, 2]]), "none")
    assert task.fixed_negatives(own.data, own.index).tolist() == [2, 0]


def test_training_may_contrast_with_seen_items_only():
    data = Interactions.create({"train": [[0, 0], [0, 1], [1, 2], [2, 0], [2, 1], [2, 2]], "test": [[1, 4]]}, num_items=6)
    for name, items in (("live", {2, 3, 4, 5}), ("seen", {2})):
        task = Recommendation(negatives=name)
        drawn = {int(task.draw_negatives(data, torch.tensor([[0, 0]]), seeds.generator(seed))) for seed in range(60)}
        assert drawn == items
    assert {int(task.draw_negatives(data, torch.tensor([[2, 0]]), seeds.generator(seed))) for seed in range(60)} == {3, 4, 5}
    assert task.describe()["negatives"] == "seen"
    with pytest.raises(InputError, match="must be 'live' or 'seen'"):
        Recommendation(negatives="all")


def test_fixed_negatives_do_not_depend_on_the_batch(task, data):
    view = task.view(data, "test")
    whole = task.fixed_negatives(data, view.index)
    assert torch.equal(view.negatives, whole)
    parts = [b.extra["negatives"] for b in task.batches(View(data, view.index, "none"), batch_size=7)]
    assert torch.equal(torch.cat(parts), whole)
    assert len(set(whole.tolist())) > 4  # spread over the items
    with pytest.raises(InputError, match="one item per interaction"):
        next(iter(task.batches(View(data, view.index[:3], view.negatives))))


def test_fixed_negatives_are_spread_evenly():
    data = Interactions.create({"train": [[u, 0] for u in range(2000)]}, num_items=11)
    counts = torch.bincount(Recommendation().fixed_negatives(data, data.splits["train"]), minlength=11)[1:]
    assert counts.min() > 140 and counts.max() < 260  # 200 expected, standard deviation 13


def test_context_is_dropped_with_the_data_and_follows_edits_in_place(task):
    data = blocks()
    ctx = task.context(data)
    assert task.context(data) is ctx
    data.alive_items[3] = False
    assert 3 not in task.context(data).live_items.tolist()
    assert len(task._memo) == 1
    del data, ctx
    assert len(task._memo) == 0


# ---- outputs ----------------------------------------------------------------------------------------------
def test_outputs_are_margins_and_the_loss_is_bpr(task, data):
    model = task.new_model(data, seed=0)
    batch = next(iter(task.batches(task.view(data, "val"))))
    out = task.forward(model, batch)[0].outputs
    user, item, other = batch.index[:, 0], batch.index[:, 1], batch.extra["negatives"]
    expected = model(user, item) - model(user, other)
    assert torch.allclose(out, expected)
    assert torch.allclose(task.loss(task.forward(model, batch)[0], batch), -nn.functional.logsigmoid(expected).mean())
    reversed_ = task.relabel(batch, seeds.generator(0))
    assert torch.equal(reversed_.y, -batch.y)
    assert torch.allclose(task.loss(task.forward(model, reversed_)[0], reversed_), -nn.functional.logsigmoid(-expected).mean())


def test_the_regulariser_is_in_penalty_and_not_in_loss(data):
    strong, none = (Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 8), l2=l2) for l2 in (10.0, 0.0))
    model = strong.new_model(data, seed=0)
    batch = next(iter(strong.batches(strong.view(data, "val"))))
    forward = strong.forward(model, batch)[0]
    assert torch.equal(strong.loss(forward, batch), none.loss(forward, batch))
    assert float(none.penalty(model, forward, batch)) == 0
    rows = [
        model.user_embedding(batch.index[:, 0]),
        model.item_embedding(batch.index[:, 1]),
        model.item_embedding(batch.extra["negatives"]),
    ]
    expected = 10 / 2 * sum(r.square().sum(1) for r in rows).mean()
    assert torch.allclose(strong.penalty(model, forward, batch), expected)
    assert float(strong.penalty(Dot(24, 16), forward, batch)) == 0


def test_dead_users_and_items_read_as_nan(task, data):
    split = task.split(data, DeletionRequest.users([1]) | DeletionRequest.items([4]))
    model, after = task.new_model(data, seed=0), split.retain_data
    index = torch.tensor([[1, 0], [0, 4], [0, 0], [2, 1]])
    batch = next(iter(task.batches(View(data, index, torch.tensor([2, 2, 2, 4]))))).on(after)
    assert task.forward(model, batch)[0].outputs.isnan().tolist() == [True, True, False, True]
    scores = task.score_all(model, after, torch.tensor([0, 1]))
    assert scores[1].isnan().all() and scores[0].isnan().tolist() == [i == 4 for i in range(16)]


def test_layers_hold_one_row_per_end(task, data):
    model = task.new_model(data, seed=0)
    batch = next(iter(task.batches(task.view(data, "val"))))
    forward = task.forward(model, batch, layers=["user_embedding", "item_embedding"])[0]
    items = forward.of_examples(forward.layers["item_embedding"])
    assert torch.equal(items[:, 0], model.item_embedding(batch.index[:, 1]))
    assert torch.equal(items[:, 1], model.item_embedding(batch.extra["negatives"]))
    assert task.head(model) == "item_embedding"


def test_ids_cannot_be_edited(task, data):
    batch = next(iter(task.batches(task.view(data, "val"))))
    assert task.inputs(batch) is None and not task.has_inputs


def test_a_module_that_returns_another_shape_is_refused(task, data):
    class Wrong(nn.Module):
        def forward(self, user_id, item_id):
            return torch.zeros(3)

    with pytest.raises(InputError, match=r"one score per pair, \[40\]; got \[3\]"):
        task.predict(Wrong(), task.view(data, "val"))


# ---- ranking and training ---------------------------------------------------------------------------------
def test_utility_against_ranking_by_hand(task, data):
    model = task.new_model(data, seed=0)
    view = task.view(data, "test")
    taken, held = pairs_of(data.splits["train"]), pairs_of(view.index)
    recalls, ndcgs = [], []
    for user in sorted({u for u, _ in held}):
        scores = model.score_all(torch.tensor([user]))[0].detach()
        ranked = sorted((i for i in range(16) if (user, i) not in taken), key=lambda i: -float(scores[i]))[:4]
        wanted = {i for u, i in held if u == user}
        recalls.append(len(wanted & set(ranked)) / len(wanted))
        ideal = sum(1 / math.log2(r + 2) for r in range(min(4, len(wanted))))
        ndcgs.append(sum(1 / math.log2(r + 2) for r, i in enumerate(ranked) if i in wanted) / ideal)
    expected = {"recall@4": sum(recalls) / len(recalls), "ndcg@4": sum(ndcgs) / len(ndcgs)}
    assert task.utility(model, view) == pytest.approx(expected)


def test_ranking_needs_scores_only(task, data):
    own = Dot(24, 16)
    offered = BPRMF(24, 16, 4)
    offered.load_state_dict({"user_embedding.weight": own.user.weight, "item_embedding.weight": own.item.weight})
    assert task.utility(own, task.view(data, "test")) == pytest.approx(task.utility(offered, task.view(data, "test")))


def test_an_ensemble_of_a_model_with_itself_is_that_model(task, data):
    model = task.new_model(data, seed=0)
    twice, view = Ensemble([model, model]), task.view(data, "test")
    assert torch.allclose(task.predict(twice, view), task.predict(model, view), atol=1e-5)
    assert task.utility(twice, view) == task.utility(model, view)
    other = task.new_model(data, seed=1)
    mixed = probabilities("ranking", task.predict(Ensemble([model, other]), view))
    mean = sum(probabilities("ranking", task.predict(m, view)) for m in (model, other)) / 2
    assert torch.allclose(mixed, mean, atol=1e-6)


def test_training_learns_the_two_groups(task, data):
    model = task.new_model(data, seed=0)
    before = task.utility(model, task.view(data, "test"))["recall@4"]
    log = task.fit(model, data, seed=0)
    after = task.utility(model, task.view(data, "test"))["recall@4"]
    assert after > 0.85 > before and log.best_score == pytest.approx(task.utility(model, task.view(data, "val"))["recall@4"])


def test_training_is_the_same_for_the_same_seed(task, data):
    def trained(seed):
        model = task.new_model(data, seed=seed)
        task.fit(model, data, seed=seed, epochs=2)
        return model.item_embedding.weight

    assert torch.equal(trained(0), trained(0)) and not torch.equal(trained(0), trained(1))


def test_a_user_without_training_items_is_handled(task, data):
    mine = data.splits["train"][data.splits["train"][:, 0] == 6]
    split = task.split(data, DeletionRequest.interactions(mine))
    after = split.retain_data
    assert bool(after.alive_users[6]) and int(task.context(after).positives.counts()[6]) == 0
    assert 6 in after.splits["test"][:, 0].tolist()
    model = task.new_model(after, seed=0)
    task.fit(model, after, seed=0, epochs=1)
    view = task.view(after, "test")
    others = View(after, view.index[view.index[:, 0] != 6], "none")
    assert task.utility(model, view) == task.utility(model, others)
    only = View(after, view.index[view.index[:, 0] == 6], "none")
    assert math.isnan(task.utility(model, only)["recall@4"])


def test_no_training_is_refused_where_nothing_is_left(task):
    data = remove_pairs(Interactions.create({"train": [[0, 0]]}), [[0, 0]])
    with pytest.raises(InputError, match="nothing to train on"):
        task.fit(BPRMF(1, 1, 2), data, seed=0)


def test_work_counts_examples_and_no_encoding(task, data):
    with counting() as work:
        task.predict(task.new_model(data, seed=0), task.view(data, "val"))
    assert (work.forward_examples, work.encodings) == (20, 0)


def test_settings_are_checked_and_described(data):
    assert Recommendation(top_k=7, l2=0.5).describe()["top_k"] == 7
    assert Recommendation(top_k=7).monitor == "recall@7"
    for keywords, sentence in (({"top_k": 0}, "top_k must be 1"), ({"l2": -1.0}, "l2 must be 0")):
        with pytest.raises(InputError, match=sentence):
            Recommendation(**keywords)
    assert Recommendation().adopt(data) is data
    assert Recommendation().adopt(torch.tensor([[0, 1]])).num_items == 2
    with pytest.raises(InputError, match="needs Interactions or a tensor"):
        Recommendation().adopt("ml-100k")


@pytest.mark.slow
@pytest.mark.data
def test_the_recipe_beats_popularity_on_movielens():
    from graphforget.datasets import load

    movies = load("ml_100k")
    task = Recommendation(build=lambda d: BPRMF(d.num_users, d.num_items, 64))
    popularity = torch.bincount(movies.splits["train"][:, 1], minlength=movies.num_items).float()

    class Popular(nn.Module):
        def forward(self, user_id, item_id):
            return popularity[item_id]

    model, view = task.new_model(movies, seed=0), task.view(movies, "test")
    task.fit(model, movies, seed=0)
    recall, baseline = (task.utility(m, view)["recall@20"] for m in (model, Popular()))
    assert recall > 0.3 > 1.4 * baseline
