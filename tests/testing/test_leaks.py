from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphforget.base import Tags, Unlearner
from graphforget.interactions import InteractionGraph
from graphforget.tasks import Recommendation
from graphforget.testing import ContractError, TinyCase, check_unlearner, tiny_case
from graphforget.testing.leaks import forgets_content, spoiled
from graphforget.testing.report import NotApplicable

MGCN = "recommendation/mgcn"


def split_of(name: str, request: str):
    case = tiny_case(name)
    return case.task.split(case.data, case.requests[request])


# ---- inputs ------------------------------------------------------------------------------------------------------
def test_spoiled_inputs_are_nan_where_they_were_forgotten_and_nowhere_else():
    split = split_of("node_classification", "nodes")
    bad = spoiled(split, whole_original=False)
    ids = split.request.ids("node")
    rows = torch.isnan(bad.data.x).all(1).nonzero().view(-1)
    assert torch.equal(rows, ids) and torch.equal(torch.isnan(bad.unlinked_data.x).any(1).nonzero().view(-1), ids)
    assert bool((bad.data.y[ids] != split.data.y[ids]).all())
    assert bad.retain_data.digest() == split.retain_data.digest() and bad.retain_data.lineage.data is bad.data
    assert torch.equal(bad.view("retain", on="original").index, split.retain)
    assert bool(torch.isnan(spoiled(split, whole_original=True).data.x).all())
    assert not torch.isnan(split.data.x).any() and split.retain_data.lineage.data is split.data


def test_what_a_method_may_read_stays():
    split = split_of("node_classification", "class")
    bad = spoiled(split, whole_original=True, reads_forget=True)
    assert bad.unlinked_data is split.unlinked_data and bool(torch.isnan(bad.data.x).all())
    assert torch.equal(bad.data.y, split.data.y)
    assert spoiled(split, whole_original=False, reads_forget=True).data is split.data


def test_structure_cannot_be_nan():
    split = split_of("node_classification", "edges")
    with pytest.raises(NotApplicable, match="structure only"):
        spoiled(split, whole_original=False)
    assert bool(torch.isnan(spoiled(split, whole_original=True).data.x).all())
    with pytest.raises(NotApplicable, match="interactions only"):
        spoiled(split_of(MGCN, "users"), whole_original=False)


# ---- interactions ------------------------------------------------------------------------------------------------
def test_spoiled_items_have_wrong_features_and_attributes():
    split = split_of(MGCN, "items")
    bad, gone = spoiled(split, whole_original=False), split.request.ids("item")
    kept = split.retain_data.alive_items
    for name, table in split.data.features.items():
        for data in (bad.data, bad.unlinked_data, bad.retain_data.lineage.data):
            assert bool((data.features[name][gone] != table[gone]).all()) and bool(data.features[name][gone].isfinite().all())
            assert torch.equal(data.features[name][kept].nan_to_num(), table[kept].nan_to_num())
        assert bool(bad.retain_data.features[name][gone].isnan().all())
    value = dict(split.data.attributes["brand"].pairs.tolist())
    wrong = dict(bad.data.attributes["brand"].pairs.tolist())
    assert {item for item in value if value[item] != wrong[item]} == set(gone.tolist())
    assert torch.equal(bad.data.splits["train"], split.data.splits["train"])


def test_of_a_modality_only_its_own_rows_are_spoiled():
    split = split_of(MGCN, "images")
    bad, gone = spoiled(split, whole_original=False), split.request.modalities["image"]
    moved = {name: (bad.data.features[name] != table) & ~table.isnan() for name, table in split.data.features.items()}
    assert moved["image"].all(1).nonzero().view(-1).tolist() == gone.tolist() and int(moved["image"].sum()) == 4 * len(gone)
    assert not bool(moved["text"].any())
    assert torch.equal(bad.data.attributes["brand"].pairs, split.data.attributes["brand"].pairs)


def test_interactions_that_are_not_read_are_others():
    split = split_of(MGCN, "users")
    bad = spoiled(split, whole_original=True)
    for part, pairs in split.data.splits.items():
        assert bad.data.splits[part].shape == pairs.shape
        assert torch.equal(torch.bincount(bad.data.splits[part][:, 0]), torch.bincount(pairs[:, 0]))
    assert not torch.equal(bad.data.splits["train"], split.data.splits["train"])
    assert torch.equal(bad.retain_data.lineage.data.splits["train"], split.data.splits["train"])
    assert bad.retain_data.digest() == split.retain_data.digest()


@pytest.mark.parametrize(
    ("name", "request_name", "expected"),
    [
        (MGCN, "items", True),
        (MGCN, "two kinds", True),
        (MGCN, "images", True),
        (MGCN, "users", False),
        (MGCN, "interactions", False),
        ("node_classification", "nodes", True),
        ("link_prediction", "features", True),
        ("link_prediction", "edges", False),
    ],
)
def test_which_requests_forget_content(name, request_name, expected):
    assert forgets_content(split_of(name, request_name)) is expected


# ---- the check catches what it says ------------------------------------------------------------------------------
class Careful(Unlearner):
    """One step on retained interactions."""

    tags = Tags(key="careful", summary="One step on retained data.", citation="tests", reads_forget=False)

    def source(self, run):
        return None

    def _unlearn(self, run):
        batch = next(iter(run.task.batches(run.split.view("retain", on="retained"), generator=run.generator)))
        run.task.loss(run.task.forward(run.model, batch)[0], batch).backward()
        found = self.source(run)
        with torch.no_grad():
            for parameter in run.model.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
            if found is not None:
                run.model.item_embedding.weight += 1e-3 * found


class ReadsFeatures(Careful):
    tags = replace(Careful.tags, contexts=frozenset({"original"}))

    def source(self, run):
        return run.split.data.features["image"].sum()


class ReadsAttributes(Careful):
    tags = replace(Careful.tags, contexts=frozenset({"original"}))

    def source(self, run):
        return run.split.data.attributes["brand"].pairs.prod(1).sum()


class ReadsFirstData(Careful):
    def source(self, run):
        return run.split.retain_data.lineage.data.features["text"].nan_to_num().sum()


class ReadsUndeclared(Careful):
    tags = replace(Careful.tags, reads_forget=True, contexts=frozenset({"retained", "unlinked"}))

    def source(self, run):
        return run.task.context(run.split.data).popularity[0]


class OldGraph(Recommendation):
    """Serves retained data on the item-item graphs of the first data."""

    def context(self, data, device="cpu"):
        if data.lineage is None:
            return super().context(data, device)
        graph = InteractionGraph(data, device)
        first = super().context(data.lineage.data, device)
        graph.item_graph = first.item_graph
        return graph


def unread(report):
    return {c.outcome for c in report.checks if c.name == "forgotten content unread"}


def test_a_careful_method_passes():
    assert unread(check_unlearner(Careful, tasks=[MGCN])) == {"passed"}


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (ReadsFeatures, "depend on forgotten content"),
        (ReadsAttributes, "depend on forgotten content"),
        (ReadsFirstData, "depend on forgotten content"),
        (ReadsUndeclared, "depend on the original data"),
    ],
)
def test_a_leak_is_caught(cls, sentence):
    with pytest.raises(ContractError, match=sentence) as caught:
        check_unlearner(cls, tasks=[MGCN])
    assert unread(caught.value.report) == {"failed"}


def test_a_leak_in_what_is_served_is_caught():
    case = tiny_case(MGCN)
    task = OldGraph(build=case.task.build, top_k=5, recipe=case.task.recipe)
    mine = TinyCase(task, case.data, {"items": case.requests["items"]}, case.later, case.trained, case.history)

    class ServesOnly(Careful):
        tags = replace(Careful.tags, changes_weights=False)

        def _unlearn(self, run):
            return None

    with pytest.raises(ContractError, match="what is served depends on content that was forgotten"):
        check_unlearner(ServesOnly, tasks=[mine])
