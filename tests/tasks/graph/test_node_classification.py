"""Node classification: partitions by request kind, editable inputs, training."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest
import torch

from graphforget import seed as seeds
from graphforget.base import Ensemble, counting
from graphforget.exceptions import InputError, ViewError
from graphforget.models import GCN
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import NodeClassification


@pytest.fixture
def task() -> NodeClassification:
    return NodeClassification(build=lambda d: GCN(d.x.size(1), 8, d.num_classes))


# ---- what is forgotten ------------------------------------------------------------------------------------
def test_node_request_removes_training_nodes(task, node_data):
    train = node_data.splits["train"]
    split = task.split(node_data, DeletionRequest.nodes(train[:3]))
    assert split.forget_source == "removed" and torch.equal(split.removed, train[:3])
    assert torch.equal(split.retain, train[3:]) and not len(split.altered)
    reach = split.region["nodes"]
    assert torch.equal(split.affected, train[3:][reach[train[3:]]])


def test_edge_request_removes_no_node_but_affects_some(task, node_data):
    split = task.split(node_data, DeletionRequest.edges([[0], [1]]))
    assert split.forget_source == "affected" and not len(split.removed) and not len(split.altered)
    train = node_data.splits["train"]
    ring = {22, 23, 0, 1, 2, 3, 4, 21} & set(split.region["nodes"].nonzero().view(-1).tolist())
    assert {0, 1, 2, 23, 3} <= ring
    assert torch.equal(split.affected, train[split.region["nodes"][train]])
    assert len(split.retain) == len(train)
    # The affected stay, so they can be read everywhere.
    for on in ("original", "unlinked", "retained"):
        assert torch.equal(split.view("forget", on=on).index, split.affected)
    assert split.forget_context == "retained"


def test_feature_request_alters_nodes_that_stay(task, node_data):
    train = node_data.splits["train"]
    split = task.split(node_data, DeletionRequest.node_features(train[:2]))
    assert split.forget_source == "altered" and torch.equal(split.altered, train[:2])
    assert not len(split.removed) and torch.equal(split.retain, train)
    assert not torch.isin(split.affected, split.altered).any()
    assert bool((split.retain_data.x[train[:2]] == 0).all())
    assert torch.equal(split.unlinked_data.x, node_data.x)


def test_deleting_a_test_node_is_stated_and_never_silent(task, node_data):
    test = node_data.splits["test"][:1]
    split = task.split(node_data, DeletionRequest.nodes(test))
    assert not len(split.removed) and split.forget_source == "affected" and len(split.affected)
    assert len(split.retain_data.splits["test"]) == len(node_data.splits["test"]) - 1
    nothing = NodeClassification(num_hops=0).split(node_data, DeletionRequest.nodes(test))
    assert nothing.forget_source == "none" and len(nothing.view("forget", on="retained")) == 0


def test_class_request_spares_the_test_part(task, node_data):
    request = DeletionRequest.node_classes([2])
    split = task.split(node_data, request)
    after = split.retain_data
    assert bool((node_data.y[split.removed] == 2).all())
    assert not (node_data.y[torch.cat([after.splits["train"], after.splits["val"]])] == 2).any()
    forget = task.index(after, "test", side="forget", request=request)
    retain = task.index(after, "test", side="retain", request=request)
    assert bool((node_data.y[forget] == 2).all())
    assert torch.equal(torch.cat([forget, retain]).sort().values, node_data.splits["test"])
    with pytest.raises(InputError, match="class 2 has no labelled node left"):
        task.split(after, request)


def test_deleted_nodes_are_read_unlinked_with_their_content(task, node_data):
    ids = node_data.splits["train"][:3]
    split = task.split(node_data, DeletionRequest.nodes(ids))
    with pytest.raises(ViewError, match='read them with on="unlinked"'):
        split.view("forget", on="retained")
    assert split.forget_context == "unlinked"
    view = split.view("forget", on="unlinked")
    assert not torch.isin(view.data.edge_index, ids).any() and torch.equal(view.data.x, node_data.x)
    outputs = task.predict(task.new_model(node_data, seed=0), view)
    assert bool(outputs.isfinite().all()) and len(torch.unique(outputs, dim=0)) == 3  # content kept: not one row for all


# ---- batches and outputs ----------------------------------------------------------------------------------
def test_batches_hold_ids_and_labels(task, node_data):
    view = task.view(node_data, "train")
    parts = list(task.batches(view, batch_size=5, shuffle=True, generator=seeds.generator(0)))
    again = list(task.batches(view, batch_size=5, shuffle=True, generator=seeds.generator(0)))
    assert [len(b) for b in parts] == [5, 5, 2]
    assert all(torch.equal(a.index, b.index) for a, b in zip(parts, again))
    ids = torch.cat([b.index for b in parts])
    assert torch.equal(ids.sort().values, view.index) and torch.equal(torch.cat([b.y for b in parts]), node_data.y[ids])


def test_the_same_batch_in_two_contexts(task, node_data):
    """A deletion out of reach leaves the outputs of a batch unchanged; a near one does not."""
    model = task.new_model(node_data, seed=0)
    batch = next(iter(task.batches(View(node_data, torch.tensor([12]), "none"))))
    here = task.forward(model, batch)[0].outputs
    far, near = (task.split(node_data, DeletionRequest.edges([[u], [u + 1]])).retain_data for u in (1, 12))
    assert torch.allclose(task.forward(model, batch.on(far))[0].outputs, here, atol=1e-6)
    assert not torch.allclose(task.forward(model, batch.on(near))[0].outputs, here, atol=1e-3)


def test_inputs_can_be_edited(task, node_data):
    model = task.new_model(node_data, seed=0)
    batch = next(iter(task.batches(View(node_data, torch.tensor([3, 10]), "none"))))
    inputs = task.inputs(batch)
    assert torch.equal(inputs, node_data.x[[3, 10]])
    noise = torch.zeros_like(inputs, requires_grad=True)
    edited = batch.replace(inputs=inputs + noise)
    with counting() as work:
        same, plain = task.forward(model, edited, batch)
    assert work.encodings == 2  # an edited input is a context of its own
    assert torch.allclose(same.outputs, plain.outputs, atol=1e-6)
    task.loss(same, edited).backward()
    assert float(noise.grad.abs().sum()) > 0
    assert torch.equal(task.inputs(edited), edited.inputs)
    moved = task.forward(model, batch.replace(inputs=inputs + 1))[0]
    assert not torch.allclose(moved.outputs, plain.outputs)


def test_an_ensemble_of_a_model_with_itself_is_that_model(task, node_data):
    model, view = task.new_model(node_data, seed=0), task.view(node_data, "test")
    alone, twice = task.predict(model, view), task.predict(Ensemble([model, model]), view)
    assert torch.allclose(alone.softmax(-1), twice.softmax(-1), atol=1e-6)
    assert task.utility(model, view) == task.utility(Ensemble([model, model]), view)


def test_layers_are_tables_addressed_by_rows(task, node_data):
    model = task.new_model(node_data, seed=0)
    assert task.layer_names(model) == ["convs.0", "convs.1"] and not task.batch_rows_are_layer_rows
    batch = next(iter(task.batches(View(node_data, torch.tensor([7, 2]), "none"))))
    forward = task.forward(model, batch, layers=task.layer_names(model))[0]
    assert forward.layers["convs.0"].shape == (24, 8) and forward.rows.tolist() == [7, 2]
    assert torch.equal(forward.of_examples(forward.layers["convs.1"]), forward.outputs)
    assert torch.equal(forward.embeddings, forward.layers["convs.0"])


def test_relabel_is_wrong_and_seeded(task, node_data):
    batch = next(iter(task.batches(task.view(node_data, "train"))))
    wrong = task.relabel(batch, seeds.generator(1))
    assert not (wrong.y == batch.y).any() and torch.equal(wrong.y, task.relabel(batch, seeds.generator(1)).y)


def test_training_learns_the_classes(task, node_data):
    model = task.new_model(node_data, seed=0)
    log = task.fit(model, node_data, seed=0)
    utility = task.utility(model, task.view(node_data, "train"))
    assert utility["accuracy"] > 0.8 and utility["macro_f1"] > 0.8 and log.best_score is not None


def test_index_restricts_training(task, node_data):
    model, other = task.new_model(node_data, seed=0), task.new_model(node_data, seed=0)
    train = node_data.splits["train"]
    task.fit(model, node_data, seed=0, index=train[:4], epochs=2)
    wrong = torch.where(torch.isin(torch.arange(24), train[4:]), (node_data.y + 1) % 3, node_data.y)
    task.fit(other, replace(node_data, y=wrong), seed=0, index=train[:4], epochs=2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters()))


def test_unlabelled_test_nodes_are_no_errors(task, node_data):
    """-1 means no label: such a node can be neither right nor wrong."""
    gone = node_data.splits["test"][:2]
    data = dataclasses.replace(node_data, y=node_data.y.index_fill(0, gone, -1))
    assert torch.equal(task.index(data, "test"), node_data.splits["test"][2:])
