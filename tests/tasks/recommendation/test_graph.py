"""Recommendation with models that read the interaction graph, and with models that are solved."""

from __future__ import annotations

import copy

import pytest
import torch

from graphforget import models
from graphforget import seed as seeds
from graphforget.base import Ensemble, Recipe, counting
from graphforget.datasets import load
from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import Recommendation
from graphforget.testing import check_task

TRAINED = ("LightGCN", "VBPR", "MGCN", "BM3", "FREEDOM", "LATTICE", "MMGCN")


@pytest.fixture(scope="module")
def data():
    return load("tastes", num_users=60, num_items=50, num_tastes=4, per_user=9)


def build(name):
    cls = getattr(models, name)
    if name == "LightGCN":
        return lambda d: cls(d.num_users, d.num_items, dim=8)
    if name == "EASE":
        return lambda d: cls(d.num_users, d.num_items, regulariser=5.0, content_weight=1.0)
    small = {"k": 4} if name in ("MGCN", "FREEDOM", "LATTICE") else {}
    return lambda d: cls(d.num_users, d.num_items, d.modalities, dim=8, **small)


def make(name, **params):
    recipe = Recipe(epochs=30, lr=2e-2, batch_size=128, patience=8)
    return Recommendation(build=build(name), **{"top_k": 5, "l2": 1e-3, "recipe": recipe, **params})


@pytest.mark.parametrize("name", ["LightGCN", "MGCN"])
def test_the_contract_of_a_task_holds(name, data):
    task = make(name, recipe=Recipe(epochs=4, lr=2e-2, batch_size=128, patience=2))
    for request in (DeletionRequest.items([2, 9]), DeletionRequest.users([4]) | DeletionRequest.items([6])):
        assert check_task(task, data, request).failed == ()


@pytest.mark.parametrize("name", TRAINED)
def test_they_learn_the_planted_tastes(name, data):
    task = make(name)
    model = task.new_model(data, seed=0)
    before = task.utility(model, task.view(data, "test"))["recall@5"]
    log = task.fit(model, data, seed=0)
    assert task.utility(model, task.view(data, "test"))["recall@5"] > before + 0.08
    assert log.best_score == pytest.approx(task.utility(model, task.view(data, "val"))["recall@5"])


def test_a_solved_model_has_a_record_and_learns(data):
    task, untrained = make("EASE"), make("EASE").new_model(data, seed=0)
    model = task.new_model(data, seed=0)
    seen = []
    log = task.fit(model, data, seed=3, keep=(1,), callback=lambda epoch, score: seen.append((epoch, score)))
    assert (log.epochs, log.seed, set(log.checkpoints)) == (1, 3, {1}) and seen == [(1, log.best_score)]
    view = task.view(data, "test")
    assert task.utility(model, view)["recall@5"] > task.utility(untrained, view)["recall@5"] + 0.08
    half = task.new_model(data, seed=0)
    task.fit(half, data, seed=0, index=data.splits["train"][::2])
    assert not torch.allclose(half.precision, model.precision)
    frozen = task.fit(untrained, data, seed=0, epochs=0)
    assert frozen.epochs == 0 and torch.equal(untrained.precision, task.new_model(data, seed=0).precision)
    with pytest.raises(InputError, match="nothing to train on"):
        task.fit(model, data, seed=0, index=data.splits["train"][:0])


@pytest.mark.parametrize("name", [*TRAINED, "EASE"])
def test_margins_and_rankings_are_made_of_the_same_scores(name, data):
    task = make(name)
    model = task.new_model(data, seed=0).eval()
    if name == "EASE":
        task.fit(model, data, seed=0)
    batch = next(iter(task.batches(task.view(data, "val"))))
    out = task.forward(model, batch)[0].outputs
    scores = task.score_all(model, data, torch.arange(60))
    user, item, other = batch.index[:, 0], batch.index[:, 1], batch.extra["negatives"]
    assert torch.allclose(out, (scores[user, item] - scores[user, other]).to(out), atol=1e-5)


def test_forgotten_users_and_items_are_in_nothing_that_is_derived(data):
    task = make("MGCN")
    gone = torch.tensor([2, 9, 30])
    task.context(data).item_graph("image", 4)  # found before, so edited afterwards
    split = task.split(data, DeletionRequest.items(gone) | DeletionRequest.users([4]))
    graph, fresh = task.context(split.retain_data), InteractionGraph(split.retain_data)
    for name in ("image", "text"):
        a, b = graph.item_graph(name, 4), fresh.item_graph(name, 4)
        assert torch.equal(a.weight, b.weight) and torch.equal(a.col, b.col)
        dense = a.to_dense()
        assert not dense[gone].any() and not dense[:, gone].any() and not graph.feature(name)[gone].any()
    assert not graph.adjacency.to_dense()[torch.cat([torch.tensor([4]), 60 + gone])].any()
    assert graph.popularity[gone].tolist() == [0, 0, 0]
    model = task.new_model(data, seed=0)
    out = task.forward(model, next(iter(task.batches(View(data, split.removed, "none")))).on(split.retain_data))[0].outputs
    assert out.isnan().all()
    scores = task.score_all(model, split.retain_data, torch.arange(60))
    assert scores[:, gone].isnan().all() and scores[4].isnan().all() and int(scores.isnan().sum()) == 59 * 3 + 50


def test_unlinked_data_lose_the_edges_and_keep_users_and_content(data):
    task = make("LightGCN")
    request = DeletionRequest.items([2, 9])
    split = task.split(data, request)
    assert bool(split.unlinked_data.alive_items.all()) and torch.equal(
        split.unlinked_data.features["image"], data.features["image"]
    )
    assert len(split.unlinked_data.splits["train"]) == len(data.splits["train"]) - len(split.removed)
    plain = Recommendation(build=lambda d: models.BPRMF(d.num_users, d.num_items, 4))
    assert plain.split(data, request).unlinked_data is data and not plain.has_input_graph


def test_whether_there_is_an_input_graph_is_told_without_making_a_model(data):
    from graphforget.models.make import ModelMaker
    from graphforget.unlearners import METHODS

    made = []

    def opaque(d):
        made.append(models.LightGCN(d.num_users, d.num_items, 4))
        return made[-1]

    graph, factors = models.LightGCN(60, 50, 4), models.BPRMF(60, 50, 4)
    assert Recommendation(template=graph).has_input_graph and not Recommendation(template=factors).has_input_graph
    assert (
        Recommendation(build=ModelMaker("lightgcn")).has_input_graph
        and not Recommendation(build=ModelMaker("bprmf")).has_input_graph
    )
    task, request = Recommendation(build=opaque), DeletionRequest.items([2, 9])
    with pytest.raises(InputError, match="has made no model yet, so whether its models read interactions as input is not known"):
        task.has_input_graph
    assert task.reads_structure() is None and task.reads_structure(graph) and not task.reads_structure(factors)
    assert task.reads_structure(Ensemble([factors, graph])) and not task.reads_structure(Ensemble([factors, factors]))
    # Of what a method needs, the model at hand decides.
    unlink = METHODS["unlink"]()
    assert unlink.supports(task, request, graph) == [] and unlink.supports(task, request) == []
    assert [reason.code for reason in unlink.supports(task, request, factors)] == ["needs_input_graph"]
    split = task.split(data, request)
    assert not made  # neither the questions nor the split made one
    assert len(split.unlinked_data.splits["train"]) < len(data.splits["train"]) and len(made) == 1
    assert task.has_input_graph and Recommendation().reads_structure() is None
    # A task that cannot make models takes the structure out: a model that reads none predicts the same.
    bare = Recommendation().split(data, request)
    view = bare.view("removed", on="unlinked")
    negatives = Recommendation().fixed_negatives(data, view.index)
    outputs = [task.predict(factors, View(d, view.index, negatives)) for d in (data, bare.unlinked_data)]
    assert bare.unlinked_data is not data and torch.equal(*outputs)


def test_unlink_serves_without_the_forgotten_edges(data):
    from graphforget.unlearners import METHODS

    task = make("LightGCN")
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0)
    split = task.split(data, DeletionRequest.items([2, 9]))
    result = METHODS["unlink"]().unlearn(copy.deepcopy(model), task, split)
    before = task.score_all(model, data, torch.arange(60))
    after = task.score_all(result.model, split.retain_data, torch.arange(60))
    touched = torch.unique(split.removed[:, 0])
    assert not torch.allclose(before[touched][:, 12], after[touched][:, 12])


def test_one_encoding_serves_several_batches(data):
    task = make("MGCN")
    model = task.new_model(data, seed=0).eval()
    batches = list(task.batches(task.view(data, "train"), batch_size=100, generator=seeds.generator(0)))[:3]
    with counting() as work:
        together = task.forward(model, *batches)
    assert (work.encodings, work.forward_examples) == (1, 300)
    for one, batch in zip(together, batches):
        apart = task.forward(model, batch)[0]
        assert torch.allclose(one.outputs, apart.outputs, atol=1e-5)
        assert torch.allclose(task.loss(one, batch), task.loss(apart, batch), atol=1e-5)
        vectors, others = one.of_examples(one.embeddings), apart.of_examples(apart.embeddings)
        assert vectors.shape == (100, 2, 8) and torch.allclose(vectors, others, atol=1e-5)


def test_layers_are_tables_addressed_by_rows(data):
    task = make("LightGCN")
    model = task.new_model(data, seed=0).eval()
    batch = next(iter(task.batches(task.view(data, "val"))))
    forward = task.forward(model, batch, layers=["output"])[0]
    vectors = forward.of_examples(forward.layers["output"])
    assert task.head(model) == "output"
    assert torch.allclose(vectors[:, 0], model(task.context(data)).users[batch.index[:, 0]], atol=1e-6)


def test_a_model_with_losses_of_its_own(data):
    task = make("BM3")
    model = task.new_model(data, seed=0).eval()
    batch = next(iter(task.batches(task.view(data, "val"))))
    forward = task.forward(model, batch)[0]
    reversed_ = task.relabel(batch, seeds.generator(0))
    losses = [task.loss(task.forward(model, b)[0], b, reduction="none") for b in (batch, reversed_)]
    assert torch.allclose(losses[0] + losses[1], torch.full((len(batch),), 4.0))
    assert not torch.allclose(losses[0], torch.nn.functional.softplus(-forward.outputs))


def test_an_ensemble_of_graph_models(data):
    task = make("LightGCN")
    model = task.new_model(data, seed=0)
    view = task.view(data, "test")
    assert task.utility(Ensemble([model, model]), view) == task.utility(model, view)


def test_a_user_without_training_items_is_handled(data):
    task = make("MGCN", recipe=Recipe(epochs=1, lr=1e-2, batch_size=128))
    mine = data.splits["train"][data.splits["train"][:, 0] == 7]
    after = task.split(data, DeletionRequest.interactions(mine)).retain_data
    model = task.new_model(after, seed=0)
    task.fit(model, after, seed=0)
    assert task.score_all(model, after, torch.tensor([7])).isfinite().all()
    view = task.view(after, "test")
    assert 7 in view.index[:, 0].tolist()
    others = View(after, view.index[view.index[:, 0] != 7], "none")
    assert task.ranking(model, view) == task.ranking(model, others)
