"""check_unlearner must catch what it says it catches: one broken method per check."""

from __future__ import annotations

import os

import pytest
import torch

from graphforget.base import Outcome, Prepared, Recipe, Serving, Tags, TensorData, Unlearner
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest
from graphforget.tasks import TASKS, ImageClassification
from graphforget.testing import UNLEARNER_CHECKS, ContractError, TinyCase, check_task, check_unlearner, tiny_case
from graphforget.testing.report import CheckReport
from graphforget.testing.unlearners import OneMethod
from graphforget.unlearners import METHODS

IMAGES = ["image_classification"]


class Good(Unlearner):
    """Moves every weight a little, by a gradient on retained examples."""

    tags = Tags(key="good", summary="Takes one step on retained data.", citation="tests", reads_forget=False)

    def __init__(self, *, lr: float = 0.1):
        self.lr = lr

    def step(self, run, view):
        batch = next(iter(run.task.batches(view)))
        loss = run.task.loss(run.task.forward(run.model, batch)[0], batch)
        loss.backward()
        with torch.no_grad():
            for p in run.model.parameters():
                p -= self.lr * p.grad
        run.record(1, 1, loss=loss.item())

    def _unlearn(self, run):
        self.step(run, run.split.view("retain", on="retained"))


def change(**fields):
    from dataclasses import replace

    return replace(Good.tags, **fields)


class NoEffect(Good):
    def _unlearn(self, run):
        return None


class ClaimsNoChange(Good):
    tags = change(changes_weights=False)


class NotANumber(Good):
    def _unlearn(self, run):
        next(run.model.parameters()).data.fill_(float("nan"))


class Unseeded(Good):
    def _unlearn(self, run):
        with torch.no_grad():
            next(run.model.parameters()).add_(int.from_bytes(os.urandom(2), "big") / 2**16)


class ReadsForgotten(Good):
    def _unlearn(self, run):
        self.step(run, run.split.view("forget", on="original"))


class ClaimsExact(Good):
    tags = change(guarantee="exact", exact_reference="retrain")


class ClaimsOwn(Good):
    tags = change(guarantee="exact", exact_reference="own")


class ExactOfNothing(Good):
    tags = change(guarantee="exact")


class RemembersOnSelf(Good):
    def _unlearn(self, run):
        super()._unlearn(run)
        self.last = run.seed


class PositionalParameter(Good):
    def __init__(self, lr: float = 0.1):
        self.lr = lr


class StoresMore(Good):
    def __init__(self, *, lr: float = 0.1):
        self.lr, self.cache = lr, {}


class ChangesParameter(Good):
    def __init__(self, *, lr: float = 0.1):
        self.lr = abs(lr) + 1


class EditsCaller(Good):
    def prepare(self, model, task, data, *, seed, history=None):
        with torch.no_grad():
            next(model.parameters()).mul_(1.01)
        return Prepared(model, {})


class EditsData(Good):
    def _unlearn(self, run):
        super()._unlearn(run)
        run.split.retain_data.x.nan_to_num_(5.0)


class SharesMemory(Good):
    def prepare(self, model, task, data, *, seed, history=None):
        return Prepared(model, {"model": model})

    def _unlearn(self, run):
        super()._unlearn(run)
        return Outcome(model=run.state["model"])


class AcceptsEverything(Good):
    def supports(self, task, request, model=None, history=None):
        return []


class ShortReasons(Good):
    def supports(self, task, request, model=None, history=None):
        return ["no"] if super().supports(task, request, model, history) else []


class NotJson(Good):
    def _unlearn(self, run):
        super()._unlearn(run)
        run.record(2, 2, loss=float("nan"))


class MovesFrozen(Good):
    tags = change(declares_frozen=True)

    def _unlearn(self, run):
        super()._unlearn(run)
        return Outcome(info={"frozen": ["lins.0.weight"]})


class MovesMasked(Good):
    tags = change(declares_frozen=True)

    def _unlearn(self, run):
        super()._unlearn(run)
        return Outcome(info={"free_share": 0.01})


class HoldsUnsaid(Good):
    def _unlearn(self, run):
        super()._unlearn(run)
        return Outcome(info={"free_share": 1.0})


class LosesItself(Good):
    """Wraps the forward method in a closure that neither a copy nor a file knows."""

    def _unlearn(self, run):
        model = run.model
        plain = type(model).forward
        super()._unlearn(run)
        model.forward = lambda x: plain(model, x) + 1.0


class FreezesForOthers(Good):
    """Zero first layer and no gradient through a detached forward: a later method cannot move what lies below."""

    def _unlearn(self, run):
        super()._unlearn(run)
        for name, module in run.model.named_modules():
            if name.startswith("lins."):
                module.register_forward_hook(_detach)


def _detach(_module, _args, output):
    return output.detach().requires_grad_(True)


class BadState(Good):
    tags = change(guarantee="exact", exact_reference="own", state_after="exact")

    def prepare(self, model, task, data, *, seed, history=None):
        fresh = task.new_model(data, seed=seed)
        with torch.no_grad():
            next(fresh.parameters()).mul_(len(data.splits["train"]))
        return Prepared(fresh, {"count": 0})

    def _unlearn(self, run):
        # Right for one request; the second forgets that the first took examples away.
        model = run.task.new_model(run.split.data, seed=run.seed)
        left = len(run.split.retain) + run.state["count"]
        with torch.no_grad():
            next(model.parameters()).mul_(left)
        return Outcome(model=model, state={"count": len(run.split.removed)})


class Denies(Good):
    tags = change(changes_weights=False)

    def _unlearn(self, run):
        return Outcome(serving=Serving("original"))


BROKEN = [
    (NoEffect, "has an effect", "no weight changed"),
    (ClaimsNoChange, "has an effect", "although the tags say that they do not"),
    (Denies, "has an effect", "neither the weights nor the serving changed"),
    (NotANumber, "finite", "weights are not finite"),
    (Unseeded, "same seed, same weights", "different weights"),
    (ReadsForgotten, "forgotten content unread", "depend on forgotten content"),
    (ClaimsExact, "exact", "differs from retraining"),
    (ClaimsOwn, "exact", "the method's own preparation"),
    (ExactOfNothing, "tags", "must name its exact_reference"),
    (RemembersOnSelf, "caller untouched", "the method object was changed"),
    (PositionalParameter, "construction", "must be keyword-only"),
    (StoresMore, "construction", "store its parameters and nothing else"),
    (ChangesParameter, "construction", "changed 'lr'|not an equal method"),
    (EditsCaller, "caller untouched", "the caller's model was changed: its weights"),
    (EditsData, "caller untouched", "the retained data was changed in place"),
    (SharesMemory, "caller untouched", "holds the caller's own module"),
    (AcceptsEverything, "refuses unsupported", "gives no sentence"),
    (ShortReasons, "refuses unsupported", "gives no sentence"),
    (NotJson, "record", "JSON"),
    (MovesFrozen, "declared frozen", "declared frozen but moved"),
    (MovesMasked, "declared frozen", "coordinates moved"),
    (HoldsUnsaid, "declared frozen", "tags.declares_frozen is not set"),
    (LosesItself, "copies and saves", "differ"),
    (FreezesForOthers, "another method follows", "moved no base weight|raised"),
    (BadState, "sequence", "differ from both at once"),
]


def test_a_sound_method_passes_and_says_what_did_not_apply():
    report = check_unlearner(Good, tasks=IMAGES)
    assert report.failed == () and report.subject == "good"
    assert {c.name for c in report.checks} == set(UNLEARNER_CHECKS)
    assert {c.name for c in report.checks if c.outcome == "not applicable"} == {"exact", "declared frozen"}
    assert all(c.reason for c in report.checks if c.outcome == "not applicable")
    assert report.results[IMAGES[0], "samples"].method == "good"


@pytest.mark.parametrize(("cls", "check", "sentence"), BROKEN, ids=lambda v: v.__name__ if isinstance(v, type) else "")
def test_a_broken_method_is_caught(cls, check, sentence):
    with pytest.raises(ContractError, match=sentence) as caught:
        check_unlearner(cls, tasks=IMAGES)
    assert check in {c.name for c in caught.value.report.failed}


def test_every_check_that_needs_a_run_has_a_broken_method():
    covered = {check for _, check, _ in BROKEN}
    # The two left out judge the task's refusals and the other requests; test_cases covers them.
    assert set(UNLEARNER_CHECKS) - covered == {"already forgotten refused", "every request"}


def test_an_instance_keeps_its_parameters():
    report = check_unlearner(Good(lr=0.2), tasks=IMAGES)
    assert report.results[IMAGES[0], "samples"].params == {"lr": 0.2}


def test_a_case_of_ones_own_can_be_given():
    case = tiny_case("image_classification")
    mine = TinyCase(case.task, case.data, {"class": case.requests["class"]}, case.later, case.trained, case.history)
    report = check_unlearner(Good, tasks=[mine])
    skipped = {c.name: c.reason for c in report.checks if c.outcome == "not applicable"}
    assert "already forgotten" in skipped["sequence"]
    assert set(report.results) == {("image_classification", "class")}


class TableRows(ImageClassification):
    """A task that is in no registry, for a model of the author's own."""

    name = "table_rows"


class Steps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(5, 7), torch.nn.Linear(7, 2)

    def forward(self, x):
        return self.last(self.first(x).tanh())


@pytest.fixture(scope="module")
def outside():
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    splits = {"train": torch.arange(28), "val": torch.arange(28, 34), "test": torch.arange(34, 40)}
    task = TableRows(build=lambda d: Steps(), recipe=Recipe(epochs=5, lr=0.05, batch_size=8, patience=None))
    data = TensorData.create(x, (x[:, 0] > 0).long(), splits)
    assert not check_task(task, data, DeletionRequest.samples([2, 5])).failed
    requests = {"rows": DeletionRequest.samples([2, 5]), "more rows": DeletionRequest.samples(range(10))}
    return TinyCase.train(task, data, requests, (DeletionRequest.samples([7, 11]),))


def test_a_method_a_task_and_data_from_outside_go_through_the_whole_contract(outside):
    assert Good.tags.key not in METHODS and outside.task.name not in TASKS
    report = check_unlearner(Good, tasks=[outside])
    left_out = {c.name: c.reason for c in report.checks if c.outcome == "not applicable"}
    assert set(left_out) == {"exact", "declared frozen"} and {c.name for c in report.checks} == set(UNLEARNER_CHECKS)
    assert set(report.results) == {("table_rows", "rows"), ("table_rows", "more rows")}
    with pytest.raises(ContractError, match="depend on forgotten content"):
        check_unlearner(ReadsForgotten, tasks=[outside])


def test_an_unsupported_task_is_still_checked_for_its_refusal():
    class OnlyLinks(Good):
        tags = change(tasks=frozenset({"link_prediction"}))

    report = check_unlearner(OnlyLinks, tasks=IMAGES)
    assert [c.name for c in report.executed] == ["construction", "tags", "refuses unsupported"] and report.results == {}


@pytest.mark.parametrize("method", [int, 3])
def test_what_is_no_method_is_refused(method):
    with pytest.raises(InputError, match="needs a method's key, an Unlearner class or an instance"):
        check_unlearner(method)


def test_the_main_request_is_the_first_that_is_supported():
    case = tiny_case("node_classification")
    one = OneMethod(CheckReport("x"), METHODS["unlink"](), case)
    assert one.main == "nodes" and one.result is one.result and ("node_classification", "nodes") in one.report.results


def test_every_supported_request_is_run():
    report = check_unlearner("finetune", tasks=["link_prediction"])
    run = {c.request for c in report.executed if c.request}
    assert run == set(tiny_case("link_prediction").requests) == {name for _, name in report.results}


def test_follow_ups_are_chosen_for_the_method_that_runs_them():
    case = tiny_case("link_prediction")
    one = OneMethod(CheckReport("x"), METHODS["gnndelete"](**METHODS["gnndelete"].test_params()[0]), case)
    assert one.follow_up(METHODS["finetune"]()) == case.later[0]
