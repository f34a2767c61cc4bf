from __future__ import annotations

import copy

import pytest
import torch

from graphforget.base import Recipe, captured, evaluating, load_model, using_row_ids
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.graphs import GraphData, k_hop
from graphforget.models import GCN
from graphforget.requests import DeletionRequest
from graphforget.tasks import LinkPrediction
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import GNNDelete, Unlink
from graphforget.unlearners.graph.gnndelete import DeletionOperator, deleted_edges


def run(name="link_prediction", request="edges", **params):
    case = tiny_case(name)
    split = case.task.split(case.data, case.requests[request])
    return case, split, GNNDelete(**params).unlearn(case.model(), case.task, split)


def tables(task, model, data):
    """Outputs of every layer on a graph, [live nodes, d]."""
    names = ["convs.0", "convs.1"]
    with evaluating(model), captured(model, names) as store:
        task.encode(model, data, store=store)
        return [store[name].clone() for name in names]


@pytest.mark.parametrize(
    "name, request_name",
    [
        ("link_prediction", "edges"),
        ("link_prediction", "nodes"),
        ("node_classification", "nodes"),
        ("node_classification", "edges"),
    ],
)
def test_base_weights_and_rows_outside_the_region_are_bit_identical(name, request_name):
    case, split, result = run(name, request_name, epochs=8, lr=0.05)
    assert all(torch.equal(p, result.model.state_dict()[k]) for k, p in case.trained.state_dict().items())
    assert {edit.layer for edit in result.edits} == {"convs.0", "convs.1"}
    data = split.retain_data
    alive = data.alive
    ends = torch.unique(deleted_edges(split.data, data))
    before, after = tables(case.task, case.trained, data), tables(case.task, result.model, data)
    first = k_hop(split.data, ends, 1)
    assert torch.equal(before[0][~first[alive]], after[0][~first[alive]])
    assert not torch.equal(before[0][first[alive]], after[0][first[alive]])
    # Layer 2 hears of layer 1's operator one hop later: beyond two hops nothing at all may move.
    second = k_hop(split.data, ends, 2)
    assert torch.equal(before[1][~second[alive]], after[1][~second[alive]])
    for number, region in enumerate((first, second)):
        assert torch.equal(getattr(result.model, f"deletion_{number}").mask, region)


def test_zero_epochs_with_identity_is_unlink_exactly():
    case, split, result = run(epochs=0)
    unlinked = Unlink().unlearn(case.model(), case.task, split)
    view = case.task.view(split.retain_data, "test")
    assert torch.equal(case.task.predict(result.model, view), case.task.predict(unlinked.model, view))


def test_release_initialisation_collapses_the_region():
    case, split, result = run(epochs=0, init="release")
    last = tables(case.task, result.model, split.retain_data)[1]
    inside = result.model.deletion_1.mask[split.retain_data.alive]
    values = last[inside]
    assert torch.allclose(values, values[:, :1].expand_as(values)) and float(values.abs().max()) < 0.1
    assert not torch.allclose(last[~inside], last[~inside][:, :1].expand_as(last[~inside]))


def test_layerwise_gradients_do_not_leak():
    """Operator 1 under both losses moves exactly as under its own loss alone; with "all" it does not."""
    first = run(epochs=5, lr=0.05, loss_mode="first")[2].model.deletion_0.weight
    layerwise = run(epochs=5, lr=0.05, loss_mode="layerwise")[2].model
    joint = run(epochs=5, lr=0.05, loss_mode="all")[2].model
    last_layerwise = run(epochs=5, lr=0.05, loss_mode="last_layerwise")[2].model
    last_all = run(epochs=5, lr=0.05, loss_mode="last_all")[2].model
    eye = torch.eye(len(first))
    assert torch.equal(first, layerwise.deletion_0.weight)
    assert not torch.equal(first, joint.deletion_0.weight)
    assert torch.equal(last_layerwise.deletion_0.weight, eye) and not torch.equal(last_all.deletion_0.weight, eye)


def test_both_losses_fall_and_alpha_weighs_them():
    _, _, result = run(epochs=60, lr=0.02, alpha=1.0)
    assert result.curve[-1]["loss_1"] < result.curve[0]["loss_1"]
    assert result.curve[-1]["loss_2"] < result.curve[0]["loss_2"]
    # With alpha = 0 the identity is already a minimum of the first layer's loss: nothing to do there.
    _, _, still = run(epochs=3, alpha=0.0)
    assert still.curve[0]["loss_1"] == 0.0 and torch.equal(still.model.deletion_0.weight, torch.eye(12))


def test_closed_form_of_the_first_layer_losses():
    """On a path with one deleted edge, L^1 before the first step equals its definition computed by hand."""
    edges = torch.tensor([[0, 1, 1, 2, 2, 3, 3, 4, 4, 5], [1, 0, 2, 1, 3, 2, 4, 3, 5, 4]])
    data = GraphData.create(edges, 6, x=torch.eye(6))
    task = LinkPrediction(build=lambda d: GCN(6, 4, 3), recipe=Recipe(epochs=3))
    model = task.new_model(data, seed=1)
    split = task.split(data, DeletionRequest.edges(pairs=[[2, 3]]))
    result = GNNDelete(epochs=1, init="release", alpha=0.3, loss_mode="first").unlearn(model, task, split, seed=4)
    h = tables(task, model, split.retain_data)[0]
    edited = torch.full((4, 4), 1e-3)
    near = torch.tensor([1, 4])  # one hop from the ends 2 and 3, ends excluded
    influence = (h[near] @ edited - h[near]).square().mean()
    candidates = []
    for p in range(6):
        for q in range(6):
            if abs(p - q) > 1:
                candidates.append(0.3 * (h[[2, 3]] @ edited - h[[p, q]]).square().mean() + 0.7 * influence)
    assert min(abs(float(c.detach()) - result.curve[0]["loss_1"]) for c in candidates) < 1e-6


def test_survives_copy_save_load_and_a_second_request(tmp_path):
    case, _, result = run(epochs=3, lr=0.05)
    second = result.then(case.later[0])
    assert [edit.name for edit in second.edits] == ["deletion_0", "deletion_1", "deletion_2", "deletion_3"]
    for one in (result, second):
        view = case.task.view(one.data, "test")
        expected = case.task.predict(one.model, view)
        assert torch.equal(case.task.predict(copy.deepcopy(one.model), view), expected)
        one.save(tmp_path / one.request.digest()[:8])
        loaded, edits = load_model(tmp_path / one.request.digest()[:8])
        assert edits == one.edits and torch.equal(case.task.predict(loaded, view), expected)
    # The first request's operators are part of what is frozen in the second.
    for name in ("deletion_0", "deletion_1"):
        assert torch.equal(getattr(result.model, name).weight, getattr(second.model, name).weight)
    with torch.no_grad():
        second.model.deletion_0.weight.zero_()
    view = case.task.view(second.data, "test")
    assert not torch.equal(case.task.predict(second.model, view), case.task.predict(result.model, view))


def test_any_module_of_the_user():
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.second = torch.nn.Linear(8, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 4)

        def forward(self, x, edge_index):
            hidden = self.norm(self.first(x).index_add(0, edge_index[1], self.first(x)[edge_index[0]])).relu()
            return self.second(hidden)

    case = tiny_case("link_prediction")
    width = case.data.x.size(1)

    def build(data):
        model = Plain()
        model.first = torch.nn.Linear(width, 6)
        return model

    task = LinkPrediction(build=build, recipe=Recipe(epochs=2))
    model = task.new_model(case.data, seed=0)
    result = GNNDelete(epochs=2).unlearn(model, task, task.split(case.data, case.requests["edges"]))
    assert [edit.layer for edit in result.edits] == ["first", "second"]
    renewed = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}  # from retained data, by the run wrapper
    assert set(result.changed_buffers) == {"deletion_0.mask", "deletion_1.mask"} | renewed


def test_an_edgeless_request_inserts_nothing():
    _, _, result = run("node_classification", "isolated node", epochs=2)
    assert result.edits == () and "no message-passing edge" in result.info["note"]


def test_operator_reads_ids_not_positions():
    operator = DeletionOperator(5, 2)
    operator.mask[3] = True
    with torch.no_grad():
        operator.weight.copy_(10 * torch.eye(2))
    rows = torch.ones(2, 2)
    with using_row_ids(torch.tensor([1, 3])):
        assert operator.apply_to(rows).tolist() == [[1, 1], [10, 10]]
    assert operator.apply_to(torch.ones(5, 2))[:, 0].tolist() == [1, 1, 1, 10, 1]
    with pytest.raises(InputError, match="one row per node"):
        operator.apply_to(rows)


def test_refusals():
    case = tiny_case("node_classification")
    with pytest.raises(UnsupportedError, match="node_feature"):
        GNNDelete().unlearn(case.model(), case.task, case.task.split(case.data, case.requests["features"]))
    for params in ({"alpha": 2}, {"loss_mode": "layerwize"}, {"init": "zero"}, {"epochs": -1}, {"lr": 0}):
        with pytest.raises(InputError, match=next(iter(params))):
            GNNDelete(**params)
