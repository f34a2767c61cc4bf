"""The contract cases: what broke in a prototype, each with a test that would see it break again.

``CASES`` says where each case is tested; the cases that span several rooms of the house are tested here.
"""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, FitLog, Outcome, Serving, Tags, Unlearner, captured, counting, evaluating, weights_digest
from graphforget.exceptions import InputError, UnsupportedError, ViewError
from graphforget.metrics.divergence import probabilities
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import TASKS
from graphforget.testing import tiny_case, tiny_data, tiny_requests
from graphforget.testing.snapshots import predictions, same_weights, served

HERE = "tests/contract/test_cases.py"
LATER = "tests/contract/test_cases_results.py"
CASES = {
    "forgotten examples stay readable": (f"{HERE}::test_forgotten_edges_are_read_on_the_retained_graph",),
    "one batch in two contexts": (
        f"{HERE}::test_one_batch_in_two_contexts_keeps_its_draws",
        "tests/tasks/recommendation/test_task.py::test_draws_are_made_in_batches_and_kept_by_on",
    ),
    "three contexts": (
        f"{HERE}::test_a_deleted_node_has_content_only_until_it_is_unlinked",
        "tests/tasks/samples/test_image_classification.py::test_forgotten_samples_cannot_be_read_in_the_retained_data",
    ),
    "the forget part is stated": (
        f"{HERE}::test_what_is_forgotten_is_stated",
        "tests/tasks/samples/test_image_classification.py::test_samples_are_removed_and_emptied",
    ),
    "what is served": (
        f"{HERE}::test_serving_tells_identity_and_unlink_apart",
        f"{HERE}::test_unlink_refuses_without_an_input_graph",
    ),
    "prepared state": (f"{LATER}::test_prepared_state_serves_two_requests_as_one",),
    "ensembles": (
        f"{HERE}::test_ensembles_are_averaged_in_probability_space",
        "tests/tasks/test_trainable.py::test_an_ensemble_of_a_model_with_itself_is_that_model",
    ),
    "training history": (f"{HERE}::test_missing_history_is_a_reason", f"{HERE}::test_initial_weights_can_be_verified"),
    "fresh models": (
        "tests/tasks/test_trainable.py::test_new_model_is_sized_for_the_data_and_seeded",
        "tests/tasks/test_trainable.py::test_parameters_that_no_reset_sets_are_refused",
    ),
    "one encoding for many batches": (f"{HERE}::test_five_subsets_of_one_graph_cost_one_encoding",),
    "distances": ("tests/metrics/test_divergence.py::test_divergence_vanishes_on_equal_outputs_and_is_positive_elsewhere",),
    "regularisers": ("tests/tasks/recommendation/test_task.py::test_the_regulariser_is_in_penalty_and_not_in_loss",),
    "emptied slots": (
        f"{HERE}::test_emptied_slots_change_nothing_for_batch_norm",
        "tests/tasks/samples/test_image_classification.py::test_a_forgotten_sample_reads_as_nan",
    ),
    "derived structures": (
        "tests/base/test_memo.py::test_values_are_dropped_with_the_data_and_made_anew_after_an_edit_in_place",
        f"{HERE}::test_edges_derived_from_features_are_rebuilt",
    ),
    "rows of an entity": (f"{HERE}::test_entity_rows_are_required_where_declared",),
    "named layers": (
        "tests/tasks/test_trainable.py::test_layers_are_captured_or_refused_by_name",
        f"{HERE}::test_a_head_in_decode_is_captured",
    ),
    "inserted operators": (f"{LATER}::test_operators_survive_copies_files_and_further_requests",),
    "edited inputs": (
        "tests/tasks/samples/test_image_classification.py::test_inputs_can_be_edited",
        "tests/tasks/recommendation/test_task.py::test_ids_cannot_be_edited",
    ),
    "held-out views": (
        "tests/tasks/samples/test_image_classification.py::test_classes_leave_train_and_val_and_stay_in_test",
        "tests/tasks/test_trainable.py::test_early_stopping_reads_the_validation_of_the_data_it_was_given",
    ),
    "partial training": (
        "tests/tasks/test_trainable.py::test_index_trains_on_nothing_else",
        "tests/tasks/test_trainable.py::test_epochs_run_exactly_and_keep_what_was_asked",
    ),
    "several kinds in one request": (f"{LATER}::test_one_request_with_several_kinds",),
    "sequences": (f"{LATER}::test_gold_of_a_sequence_is_of_everything_deleted",),
    "keys of cached gold": (f"{LATER}::test_gold_keys_tell_models_apart", f"{LATER}::test_without_source_nothing_is_cached"),
    "devices": (f"{LATER}::test_methods_never_name_a_device",),
    "two kinds of exact": (f"{LATER}::test_two_kinds_of_exact",),
    "a light import": ("tests/test_layers.py::test_import_graphforget_loads_nothing_heavy",),
    "regions": (f"{LATER}::test_a_region_gives_a_users_module_the_same_outputs",),
}
ROOT = Path(__file__).resolve().parents[2]


# ---- the table ------------------------------------------------------------------------------------------------
def test_every_case_that_the_architecture_names_is_tested():
    section = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("\n## Cases\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert rows == ["case", "---", *CASES]


@pytest.mark.parametrize("test", sorted({t for tests in CASES.values() for t in tests}))
def test_every_test_in_the_table_exists(test):
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


# ---- contexts and parts -----------------------------------------------------------------------------------
def test_forgotten_edges_are_read_on_the_retained_graph():
    case = tiny_case("link_prediction")
    split = case.task.split(case.data, case.requests["edges"])
    views = [split.view("forget", on=on) for on in ("original", "unlinked", "retained")]
    assert all(torch.equal(v.index, split.removed) and v.index.shape == (6, 2) for v in views)
    seen, unseen = (predictions(case.task, case.model(), v) for v in (views[0], views[2]))
    assert bool(torch.isfinite(unseen).all()) and not torch.allclose(seen, unseen)
    half = views[2].select(torch.randperm(6)[:3])  # ids are rows, so a random half is a plain index
    assert half.index.shape == (3, 2)


def test_one_batch_in_two_contexts_keeps_its_draws():
    case = tiny_case("link_prediction")
    split, model = case.task.split(case.data, case.requests["edges"]), case.model()
    batch = next(iter(case.task.batches(split.view("retain", on="retained"), generator=torch.Generator().manual_seed(0))))
    there = batch.on(split.data)
    assert torch.equal(batch.index, there.index) and torch.equal(batch.y, there.y)
    with evaluating(model):
        losses = [case.task.loss(case.task.forward(model, b)[0], b) for b in (batch, there, there)]
    assert losses[0] != losses[1] and losses[1] == losses[2]
    dead = case.task.split(case.data, case.requests["nodes"])
    other = next(iter(case.task.batches(dead.view("retain", on="original"), generator=torch.Generator().manual_seed(1))))
    with evaluating(model):  # drawn on the larger context, a deleted id shows as NaN instead of passing unseen
        wrong = case.task.forward(model, other.on(dead.retain_data))[0].outputs
    gone = torch.isin(other.index, case.requests["nodes"].ids("node")).any(1)
    assert bool(gone.any()) and torch.equal(torch.isnan(wrong), gone)


def test_a_deleted_node_has_content_only_until_it_is_unlinked():
    case = tiny_case("node_classification")
    split = case.task.split(case.data, case.requests["nodes"])
    with pytest.raises(ViewError, match="no content in the retained data"):
        split.view("forget", on="retained")
    outputs = predictions(case.task, case.model(), split.view("forget", on="unlinked"))
    assert bool(torch.isfinite(outputs).all()) and len(torch.unique(outputs, dim=0)) == len(split.removed)
    links = tiny_case("link_prediction")
    assert links.task.split(links.data, links.requests["edges"]).forget_context == "retained"
    assert links.task.split(links.data, links.requests["nodes"]).forget_context == "unlinked"


@pytest.mark.parametrize(
    ("task", "request_", "source"),
    [
        ("node_classification", "nodes", "removed"),
        ("node_classification", "features", "altered"),
        ("node_classification", "edges", "affected"),
        ("link_prediction", "edges", "removed"),
        ("link_prediction", "features", "altered"),
        ("link_prediction", "isolated node", "none"),
        ("image_classification", "class", "removed"),
        ("recommendation", "items", "removed"),
    ],
)
def test_what_is_forgotten_is_stated(task, request_, source):
    result = tiny_case(task).unlearn("finetune", request_)
    assert result.forget_source == source and result.to_dict()["forget_source"] == source
    assert (len(result.split.view("forget", on="original")) == 0) == (source == "none")


# ---- serving, ensembles, history --------------------------------------------------------------------------
def test_serving_tells_identity_and_unlink_apart():
    one, two = (tiny_case("node_classification").unlearn(method, "edges") for method in ("identity", "unlink"))
    assert same_weights(one.model, two.model) and not one.serving.same_as(two.serving)
    assert one.data is one.split.data and two.data is two.split.retain_data
    assert not torch.allclose(served(one), served(two))
    assert two.to_dict()["serving"] == {"context": "retained", "deny": {}}


def test_serving_compares_what_is_denied():
    some, others = Serving(deny={"item": torch.tensor([1])}), Serving(deny={"item": torch.tensor([2])})
    assert some.same_as(Serving(deny={"item": torch.tensor([1])})) and not some.same_as(others) and not some.same_as(Serving())
    assert tiny_case("node_classification").unlearn("finetune", "nodes").serving.deny["node"].tolist() == [0, 3, 27, 30]


@pytest.mark.parametrize("task", ["image_classification", "recommendation"])
def test_unlink_refuses_without_an_input_graph(task):
    with pytest.raises(UnsupportedError, match="no input graph"):
        tiny_case(task).unlearn("unlink", next(iter(tiny_requests(task))))


def test_ensembles_are_averaged_in_probability_space():
    case = tiny_case("link_prediction")
    a, b = case.model(), case.task.new_model(case.data, seed=9)
    view = case.task.view(case.data, "test")
    mean = (predictions(case.task, a, view).sigmoid() + predictions(case.task, b, view).sigmoid()) / 2
    got = probabilities("bernoulli", predictions(case.task, Ensemble([a, b]), view))
    assert torch.allclose(got.reshape(-1), mean.reshape(-1), atol=1e-5)
    itself = predictions(case.task, Ensemble([a, copy.deepcopy(a)]), view)
    assert torch.allclose(itself, predictions(case.task, a, view), atol=1e-4)


class NeedsHistory(Unlearner):
    tags: ClassVar[Tags] = Tags(
        key="needs_history", summary="Goes back to the initial weights.", citation="tests", needs_history=True
    )

    def _unlearn(self, run):
        start = run.task.new_model(run.split.data, seed=run.history.seed)
        assert weights_digest(start) == run.history.init_digest
        return Outcome(model=start)


def test_missing_history_is_a_reason():
    case = tiny_case("image_classification")
    split = case.task.split(case.data, case.requests["samples"])
    with counting() as work, pytest.raises(UnsupportedError, match="pass history=, the FitLog that task.fit returned"):
        NeedsHistory().unlearn(case.model(), case.task, split)
    assert work.forward_examples == 0
    assert NeedsHistory().supports(case.task, split.request, case.model(), case.history) == []


@pytest.mark.parametrize("task", TASKS)
def test_initial_weights_can_be_verified(task):
    case = tiny_case(task)
    log = case.history
    assert isinstance(log, FitLog) and weights_digest(case.task.new_model(case.data, seed=log.seed)) == log.init_digest
    assert set(log.checkpoints) == set(range(1, log.epochs + 1)) and log.optimizer_state is not None


# ---- cost, slots, derived structure, rows, layers ---------------------------------------------------------
def test_five_subsets_of_one_graph_cost_one_encoding():
    case = tiny_case("node_classification")
    batches = [next(iter(case.task.batches(View(case.data, ids, "none")))) for ids in torch.arange(50).split(10)]
    with counting() as work, evaluating(model := case.model()):
        together = case.task.forward(model, *batches, layers=case.task.layer_names(model))
    assert work.encodings == 1 and work.forward_examples == 50 and len(together) == 5
    assert set(together[0].layers) == set(case.task.layer_names(model))


class Normed(nn.Module):
    """A user's module with batch norm over all rows that it is given."""

    def __init__(self):
        super().__init__()
        self.lin, self.norm, self.out = nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x, edge_index):
        h = self.norm(self.lin(x))
        return self.out(h.index_add(0, edge_index[1], h[edge_index[0]]))


def test_emptied_slots_change_nothing_for_batch_norm():
    task, data = TASKS["node_classification"](build=lambda d: Normed()), tiny_data("node_classification")
    split = task.split(data, DeletionRequest.nodes(torch.arange(0, 60, 2)))
    model = task.new_model(data, seed=0).train()
    batch = next(iter(task.batches(View(split.retain_data, torch.arange(60), "none"))))
    outputs = task.forward(model, batch)[0].outputs
    live = split.retain_data.alive
    assert bool(torch.isnan(outputs[~live]).all())
    place = torch.cumsum(live.long(), 0) - 1
    twin = task.new_model(data, seed=0).train()
    compact = twin(split.retain_data.x[live], place[split.retain_data.edge_index])
    assert torch.allclose(outputs[live], compact, atol=1e-6)


def test_edges_derived_from_features_are_rebuilt():
    from graphforget.graphs import GraphData
    from graphforget.graphs.edge_rules import KNNRule

    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    splits = {"train": torch.arange(15), "test": torch.arange(15, 20)}
    data = GraphData.create(None, 20, x=x, y=torch.arange(20) % 2, splits=splits, edge_rule=KNNRule(3))
    task = TASKS["node_classification"](build=lambda d: None)
    kept = task.split(data, DeletionRequest.nodes([4, 7])).retain_data
    alone = x.clone()
    alone[[4, 7]] = float("nan")
    alive = torch.ones(20, dtype=torch.bool)
    alive[[4, 7]] = False
    assert torch.equal(kept.edge_index, GraphData.create(None, 20, x=alone, alive=alive, edge_rule=KNNRule(3)).edge_index)
    assert not torch.isin(kept.edge_index, torch.tensor([4, 7])).any()
    with pytest.raises(InputError, match="derived from its features"):
        task.split(data, DeletionRequest.edges(pairs=data.pairs()[:1]))


def test_entity_rows_are_required_where_declared():
    class ResetsRows(NeedsHistory):
        tags = Tags(key="resets_rows", summary="Resets rows.", citation="tests", needs_entity_rows=True)

    recommender, images = tiny_case("recommendation"), tiny_case("image_classification")
    reasons = ResetsRows().supports(images.task, images.requests["samples"], images.model())
    assert len(reasons) == 1 and "MLP does not say which rows belong to an entity" in reasons[0]
    model = recommender.model()
    assert ResetsRows().supports(recommender.task, recommender.requests["users"], model) == []
    block = model.entity_rows()["item"][0]
    row = dict(model.named_parameters())[block.parameter][block.offset + block.stride * 5]
    assert torch.equal(row, model.item_embedding.weight[5])


class Decoding(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(8, 4), nn.Linear(4, 1)

    def forward(self, x, edge_index):
        return self.encoder(x)

    def decode(self, z, edge_label_index):
        return self.head(z[edge_label_index[0]] * z[edge_label_index[1]]).view(-1)


def test_a_head_in_decode_is_captured():
    task, data = TASKS["link_prediction"](build=lambda d: Decoding()), tiny_data("link_prediction")
    model = task.new_model(data, seed=0)
    assert task.layer_names(model) == ["encoder", "head"] and task.head(model) == "head"
    batch = next(iter(task.batches(task.view(data, "test"))))
    forward = task.forward(model, batch, layers=["encoder", "head"])[0]
    assert set(forward.layers) == {"encoder", "head"} and torch.allclose(forward.layers["head"].view(-1), forward.outputs)
    with captured(model, ["head"]) as store:
        task.forward(model, batch)
    assert store["head"].shape == (len(batch), 1)
