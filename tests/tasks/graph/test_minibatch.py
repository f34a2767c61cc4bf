"""Training in sampled parts of a graph, and predicting in exact ones."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, both_directions
from graphforget.kernels import spmm
from graphforget.models import GCN, GraphSAGE
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import ImageClassification, LinkPrediction, NodeClassification
from graphforget.tasks.graph.minibatch import PartBatch, whole_ids
from graphforget.unlearners import METHODS

FANOUT = Recipe(epochs=20, lr=1e-2, batch_size=64, fanout=(5, 5), patience=None)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blocks(num_nodes: int = 2000, classes: int = 4, degree: int = 10, *, noise: float = 2.0, seed: int = 0) -> GraphData:
    """A stochastic block model: most edges inside a class, features that say little of it by themselves."""
    g = generator(seed)
    y = torch.arange(num_nodes) % classes
    source = torch.randint(num_nodes, (num_nodes * degree // 2,), generator=g)
    inside = torch.rand(len(source), generator=g) < 0.75
    target = torch.randint(num_nodes // classes, (len(source),), generator=g) * classes
    target += torch.where(inside, y[source], torch.randint(classes, (len(source),), generator=g))
    pairs = torch.stack([source, target], 1)[source != target]
    x = nn.functional.one_hot(y, 8) + noise * torch.randn(num_nodes, 8, generator=g)
    order = torch.randperm(num_nodes, generator=g)
    splits = {"train": order[: num_nodes // 2], "val": order[num_nodes // 2 : num_nodes * 6 // 10]}
    splits["test"] = order[num_nodes * 6 // 10 :]
    return GraphData.create(both_directions(pairs, num_nodes), num_nodes, x=x, y=y, splits=splits, name="blocks")


def nodes_task(build=lambda d: GCN(d.x.size(1), 16, d.num_classes), recipe: Recipe = FANOUT, **kwargs) -> NodeClassification:
    return NodeClassification(build=build, recipe=recipe, **kwargs)


def links_task(recipe: Recipe = FANOUT, **kwargs) -> LinkPrediction:
    return LinkPrediction(build=lambda d: GCN(d.x.size(1), 16, 8), recipe=recipe, **kwargs)


def epoch(task, view, seed: int = 0, shuffle: bool = True):
    return list(task.batches(view, batch_size=task.recipe.batch_size, shuffle=shuffle, generator=generator(seed)))


# ---- batches ------------------------------------------------------------------------------------------------
def test_batches_are_parts_that_cover_every_example_once():
    data, task = blocks(), nodes_task()
    batches = epoch(task, task.view(data, "train"))
    assert len(batches) == 16 and all(isinstance(b, PartBatch) for b in batches)
    ids = torch.cat([whole_ids(b.data, b.index) for b in batches])
    assert torch.equal(ids.sort().values, data.splits["train"])
    for batch in batches:
        assert torch.equal(batch.y, data.y[whole_ids(batch.data, batch.index)])
        assert torch.equal(batch.data.x, data.x[batch.data.part.ids])


def test_a_step_reads_no_more_than_its_fanout():
    data, task = blocks(num_nodes=4000), nodes_task(recipe=dataclasses.replace(FANOUT, batch_size=8, fanout=(3, 2)))
    for batch in epoch(task, task.view(data, "train"))[:50]:
        assert batch.data.num_nodes <= 8 * (1 + 3 + 3 * 2)
        assert batch.data.edge_index.size(1) <= 8 * (3 + 3 * 2)


def test_the_seed_decides_what_is_read():
    data, task = blocks(num_nodes=400), nodes_task()
    view = task.view(data, "train")
    one, same, other = (epoch(task, view, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one.data.edge_index, same.data.edge_index) and torch.equal(one.index, same.index)
    assert not torch.equal(one.data.part.ids, other.data.part.ids)
    first, second = epoch(task, View(data, view.index[:64], "none"), shuffle=False)[0], None
    g = generator(5)
    for _ in range(2):  # the same examples again: the neighbours are drawn anew
        first, second = second, next(task.batches(View(data, view.index[:64], "none"), batch_size=64, generator=g))
    assert torch.equal(first.y, second.y) and not torch.equal(first.data.edge_index, second.data.edge_index)


def test_without_batch_size_or_fanout_the_whole_graph_is_read():
    data = blocks(num_nodes=200)
    view = nodes_task().view(data, "train")
    assert next(nodes_task().batches(view)).data is data
    plain = nodes_task(recipe=Recipe(batch_size=64))
    assert next(plain.batches(view, batch_size=64)).data is data


def test_link_batches_hold_positives_and_their_negatives():
    data, task = blocks(num_nodes=400), links_task()
    data = dataclasses.replace(data, splits={})
    batches = epoch(task, task.view(data, "train"))
    pairs = torch.cat([whole_ids(b.data, b.index)[b.y == 1] for b in batches])
    assert torch.equal(torch.unique(pairs, dim=0), data.pairs()) and len(pairs) == len(data.pairs())
    known = {tuple(p) for p in data.pairs().tolist()}
    for batch in batches[:3]:
        negatives = whole_ids(batch.data, batch.index)[batch.y == 0]
        assert len(negatives) == int((batch.y == 1).sum())
        assert not known & {tuple(p) for p in negatives.tolist()}
        said = task.forward(task.new_model(data, seed=0), batch)[0]
        assert said.outputs.shape == batch.y.shape and bool(torch.isfinite(task.loss(said, batch)))


def test_with_every_entry_read_outputs_and_gradients_are_those_of_the_whole_graph():
    data = blocks(num_nodes=300)
    for build in (lambda d: GCN(8, 16, 4), lambda d: GraphSAGE(8, 16, 4)):
        task = nodes_task(build, dataclasses.replace(FANOUT, fanout=(1000, 1000)))
        whole = nodes_task(build, Recipe(batch_size=64))
        model = task.new_model(data, seed=0)
        view = task.view(data, "train")
        part, full = (next(t.batches(view, batch_size=64)) for t in (task, whole))
        results = []
        for t, batch in ((task, part), (whole, full)):
            said = t.forward(model, batch)[0]
            results.append((said.outputs, torch.autograd.grad(t.loss(said, batch), list(model.parameters()))))
        assert torch.allclose(results[0][0], results[1][0], atol=1e-5)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(results[0][1], results[1][1], strict=True))


@pytest.mark.parametrize("convolution", ["mean", "gcn"])
def test_the_first_layer_is_unbiased(convolution):
    """The mean over draws of what a linear layer aggregates is the full aggregate, to five standard errors."""
    data, draws = blocks(num_nodes=120, degree=12), 800
    task = nodes_task(recipe=dataclasses.replace(FANOUT, fanout=(4, 4)))
    view = View(data, torch.arange(0, 120, 10), "none")

    def aggregate(batch):
        graph = task.context(batch.data).graph
        out = spmm(graph, batch.data.x, "mean") if convolution == "mean" else spmm(graph.gcn_norm(), batch.data.x)
        return out[batch.index]

    expected = aggregate(next(task.batches(view)))
    g = generator(7)
    seen = torch.stack([aggregate(next(task.batches(view, batch_size=12, generator=g))) for _ in range(draws)])
    error = seen.std(0) / draws**0.5
    assert bool((error > 0).any())  # something was drawn
    assert bool(((seen.mean(0) - expected).abs() <= 5 * error + 1e-5).all())


def test_the_same_batch_can_be_read_in_another_context():
    data, task = blocks(num_nodes=400), nodes_task()
    forgotten = data.splits["train"][:20]
    split = task.split(data, DeletionRequest.nodes(forgotten))
    view = View(data, torch.cat([forgotten[:5], split.retain[:5]]), "none")
    batch = next(task.batches(view, batch_size=64, generator=generator()))
    other = batch.on(split.retain_data)
    assert torch.equal(whole_ids(other.data, other.index), view.index) and torch.equal(other.y, batch.y)
    assert not torch.isin(other.data.part.ids[other.data.edge_index].unique(), forgotten).any()
    outputs = task.forward(task.new_model(data, seed=0), other)[0].outputs
    assert bool(outputs[:5].isnan().all()) and bool(outputs[5:].isfinite().all())
    again = other.on(data)
    assert torch.equal(again.data.edge_index, batch.data.edge_index) and torch.equal(again.index, batch.index)


# ---- training -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", [GCN, GraphSAGE])
def test_mini_batches_reach_the_accuracy_of_full_batches(model):
    data = blocks()
    common = {"lr": 1e-2, "weight_decay": 5e-4, "patience": None}
    recipes = {
        "mini": Recipe(epochs=15, batch_size=128, fanout=(10, 10), **common),  # as many steps as the full batches take
        "full": Recipe(epochs=120, **common),
    }
    accuracy = dict.fromkeys(recipes, 0.0)
    for name, recipe in recipes.items():
        task = nodes_task(lambda d: model(8, 16, d.num_classes), recipe)
        for seed in (0, 1):
            trained = task.new_model(data, seed=seed)
            task.fit(trained, data, seed=seed)
            accuracy[name] += task.utility(trained, task.view(data, "test"))["accuracy"] / 2
    assert accuracy["full"] > 0.8  # the features alone allow 0.37: neighbours must have been read
    assert accuracy["mini"] >= accuracy["full"] - 0.02


def test_training_never_reads_the_whole_graph(monkeypatch):
    data, task = blocks(), nodes_task(recipe=dataclasses.replace(FANOUT, batch_size=16, fanout=(3, 3)))
    sizes = []
    encode = task.encode
    monkeypatch.setattr(task, "encode", lambda model, d, **kw: sizes.append(d.num_nodes) or encode(model, d, **kw))
    task.fit(task.new_model(data, seed=0), data, seed=0, epochs=1)
    assert len(sizes) == 63 and max(sizes) <= 16 * (1 + 3 + 9) < data.num_nodes


def test_link_prediction_learns_from_mini_batches():
    data = blocks(num_nodes=600, noise=0.5)
    order = torch.randperm(len(data.pairs()), generator=generator(3))
    held, rest = data.pairs()[order[:300]], data.pairs()[order[300:]]
    negatives = links_task().draw_negatives(data, 300, generator(1))
    data = GraphData.create(both_directions(rest, 600), 600, x=data.x, splits={"val": held, "val_neg": negatives}, name="blocks")
    task = links_task(recipe=dataclasses.replace(FANOUT, epochs=8, batch_size=256))
    model = task.new_model(data, seed=0)
    before = task.utility(model, task.view(data, "val"))["roc_auc"]
    task.fit(model, data, seed=0)
    assert task.utility(model, task.view(data, "val"))["roc_auc"] > max(before, 0.7)


# ---- predicting ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("link", [True, False])
def test_exact_parts_predict_as_the_whole_graph(own, link, plain, link_data, node_data):
    data = link_data if link else node_data
    kind = LinkPrediction if link else NodeClassification
    sizes = (5, 6, data.num_classes or 4)
    build = (lambda d: GCN(*sizes)) if own else (lambda d: plain(*sizes))
    view = kind(build=build).view(data, "val")
    model = kind(build=build).new_model(data, seed=0)
    whole = kind(build=build).predict(model, view)
    task = kind(build=build, recipe=Recipe(eval_batch_size=2))
    seen = []
    encode = task.encode
    task.encode = lambda model, d, **kw: seen.append(d) or encode(model, d, **kw)
    assert torch.allclose(task.predict(model, view), whole, atol=1e-5)
    assert len(seen) == 3 and all(d.part is not None for d in seen)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.integers(1, 7))
def test_exact_parts_of_any_size_keep_the_order(seed, size):
    data = blocks(num_nodes=40, degree=4, seed=seed)
    task, cut = nodes_task(recipe=Recipe()), nodes_task(recipe=Recipe(eval_batch_size=size))
    model, view = task.new_model(data, seed=0), task.view(data, "test")
    assert torch.allclose(task.predict(model, view), cut.predict(model, view), atol=1e-5)


@pytest.mark.parametrize("link", [True, False])
def test_no_example_gives_no_output(link):
    recipe = dataclasses.replace(FANOUT, eval_batch_size=4)
    data, task = blocks(num_nodes=40), links_task(recipe) if link else nodes_task(recipe=recipe)
    model = task.new_model(data, seed=0)
    nothing = View(data, torch.empty((0, 2) if link else 0, dtype=torch.long), "none")
    assert task.predict(model, nothing).shape == ((0,) if link else (0, 4))
    (batch,) = epoch(task, nothing)
    assert float(task.loss(task.forward(model, batch)[0], batch).detach()) == 0.0 and batch.data.num_nodes < 40


# ---- recipes ------------------------------------------------------------------------------------------------
def test_a_list_from_a_configuration_is_a_tuple():
    assert Recipe(batch_size=8, fanout=[3, 2]).fanout == (3, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"fanout": (5, 5)}, "give batch_size too"),
        ({"batch_size": 8, "fanout": ()}, "each at least 1"),
        ({"batch_size": 8, "fanout": (5, 0)}, "each at least 1"),
        ({"eval_batch_size": 0}, "at least 1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Recipe(**fields)


def test_a_fanout_for_another_number_of_hops_is_refused():
    with pytest.raises(InputError, match="2 limits for 3 hops"):
        nodes_task(num_hops=3)


@pytest.mark.parametrize("recipe", [Recipe(batch_size=8, fanout=(2,)), Recipe(eval_batch_size=8)])
def test_tasks_without_a_graph_refuse_them(recipe):
    with pytest.raises(InputError, match="tasks that read a graph"):
        ImageClassification(recipe=recipe)


# ---- methods ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["finetune", "salun", "d2dgn"])
@pytest.mark.parametrize("link", [True, False])
def test_methods_read_parts_only(method, link, monkeypatch):
    data = blocks(num_nodes=300, degree=6)
    task = (links_task if link else nodes_task)(recipe=dataclasses.replace(FANOUT, epochs=1, fanout=(3, 3)))
    data = dataclasses.replace(data, splits={}) if link else data
    request = DeletionRequest.edges(data.pairs()[:5].t()) if link else DeletionRequest.nodes(data.splits["train"][:5])
    model = task.new_model(data, seed=0)
    history = task.fit(model, data, seed=0, keep=(1, "optimizer"))
    seen = []
    encode = task.encode
    monkeypatch.setattr(task, "encode", lambda model, d, **kw: seen.append(d.part is not None) or encode(model, d, **kw))
    unlearner = METHODS[method](**METHODS[method].test_params()[0])
    result = unlearner.unlearn(model, task, task.split(data, request), history=history, seed=0)
    assert seen and all(seen) and result.changed_parameters
