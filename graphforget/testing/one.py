"""The checks of one method on one task."""

from __future__ import annotations

import copy
import json
import tempfile
from functools import cached_property
from typing import Any

import torch
from torch import nn

from graphforget.base import Ensemble, Serving, Unlearner, UnlearnResult, counting, evaluating
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.requests import DeletionRequest, ForgetSplit, Target
from graphforget.testing.leaks import forgets_content, spoiled
from graphforget.testing.report import CheckReport, NotApplicable, require
from graphforget.testing.snapshots import (
    data_state,
    model_state,
    predictions,
    random_state,
    reload,
    same_weights,
    served,
    weights,
)
from graphforget.testing.tiny import TinyCase
from graphforget.unlearners import METHODS

_RECORD = (
    "format",
    "method",
    "params",
    "seed",
    "task",
    "request_digest",
    "cumulative_request_digest",
    "earlier_requests",
    "forget_source",
    "counts",
    "serving",
    "edits",
    "cost",
    "curve",
    "changed_parameters",
    "changed_buffers",
    "state",
    "info",
)


class OneMethod:
    """Runs the checks; the first run of the main request is shared by all that only look at it."""

    def __init__(self, report: CheckReport, method: Unlearner, case: TinyCase) -> None:
        self.report, self.method, self.case, self.task = report, method, case, case.task
        self.supported = [
            name for name, request in case.requests.items() if not method.supports(case.task, request, case.model(), case.history)
        ]

    # ---- help ---------------------------------------------------------------------------------------------
    def split(self, name: str) -> ForgetSplit:
        return self.task.split(self.case.data, self.case.requests[name])

    def unlearn(self, name: str, model: nn.Module | None = None, **options: Any) -> UnlearnResult:
        return self.method.unlearn(
            self.case.model() if model is None else model,
            self.task,
            self.split(name),
            history=self.case.history,
            seed=0,
            **options,
        )

    @property
    def main(self) -> str:
        """The request that most checks use: the first of the case's that the method supports."""
        return self.supported[0]

    @cached_property
    def result(self) -> UnlearnResult:
        result = self.unlearn(self.main)
        self.report.results[self.case.name, self.main] = result
        return result

    def follow_up(self, method: Unlearner) -> DeletionRequest:
        """A later request that a method serves on the first result and that names nothing forgotten already."""
        reasons: list[str] = []
        for request in self.case.later:
            reasons = method.supports(self.task, request, self.result.model, self.case.history)
            if reasons:
                continue
            try:
                self.task.split(self.result.split.retain_data, request)
            except InputError as error:
                reasons = [str(error)]
                continue
            return request
        raise NotApplicable(f"no later request of this case can be served by {method.tags.key}: {'; '.join(reasons)}")

    # ---- order --------------------------------------------------------------------------------------------
    def run(self) -> None:
        task = self.case.name
        self.report.run("refuses unsupported", task, "", self.refuses_unsupported)
        if not self.supported:
            return
        for name, check in {
            "caller untouched": self.caller_untouched,
            "has an effect": self.has_an_effect,
            "same seed, same weights": self.same_seed,
            "finite": self.finite,
            "forgotten content unread": self.content_unread,
            "exact": self.exact,
            "copies and saves": self.copies_and_saves,
            "record": self.record,
            "declared frozen": self.declared_frozen,
            "sequence": self.sequence,
            "another method follows": self.another_method,
            "already forgotten refused": self.already_forgotten,
        }.items():
            self.report.run(name, task, self.main, check)
        for name in self.supported[1:]:
            self.report.run("every request", task, name, lambda name=name: self.every_request(name))  # type: ignore[misc]

    # ---- the checks ---------------------------------------------------------------------------------------
    def refuses_unsupported(self) -> None:
        """Reasons, and an error before any compute, for everything that ``supports`` declines."""
        strange = DeletionRequest((Target("concept", torch.tensor([0]), name="anything"),))
        requests = {name: r for name, r in self.case.requests.items() if name not in self.supported} | {"strange": strange}
        for name, request in requests.items():
            split = copy.copy(self.split(next(iter(self.case.requests))))
            split.request = request
            reasons = self.method.supports(self.task, request, self.case.model(), self.case.history)
            require(
                reasons and all(isinstance(r, str) and len(r) > 10 for r in reasons),
                f"supports() gives no sentence why '{name}' ({request.summary()}) is refused",
            )
            with counting() as work:
                try:
                    self.method.unlearn(self.case.model(), self.task, split, history=self.case.history)
                except UnsupportedError as error:
                    require(error.reasons == reasons, f"unlearn() refuses '{name}' for other reasons than supports() gives")
                else:
                    raise AssertionError(f"unlearn() accepts '{name}', which supports() declines")
            require(work.forward_examples == 0 and work.encodings == 0, f"'{name}' was refused only after computing")
        if self.method.tags.needs_history and self.supported:
            request = self.case.requests[self.main]
            require(self.method.supports(self.task, request, self.case.model(), None), "a missing history is not refused")

    def caller_untouched(self) -> None:
        """Model, data, split and random state as before; the result's modes and flags are the caller's."""
        model = self.case.model()
        model.train()
        children = [m for n, m in model.named_modules() if n]
        parameters = list(model.parameters())
        if children:
            children[0].eval()
        if len(parameters) > 1:
            parameters[0].requires_grad_(False)
        split = self.split(self.main)
        contexts = {"data": split.data, "unlinked data": split.unlinked_data, "retained data": split.retain_data}
        before = model_state(model), {k: data_state(d) for k, d in contexts.items()}, vars(self.method).copy()
        ids = {part: getattr(split, part).clone() for part in ("removed", "altered", "affected", "retain")}
        torch.manual_seed(20)
        rng = random_state()
        result = self.method.unlearn(model, self.task, split, history=self.case.history, seed=0)
        require(random_state() == rng, "the caller's global random state was changed")
        for name, state in model_state(model).items():
            require(state == before[0][name], f"the caller's model was changed: its {name} differ")
        for name, data in contexts.items():
            now, then = data_state(data), before[1][name]
            changed = [k for k in then if now[k] != then[k]]
            require(not changed, f"the {name} was changed in place: {changed}")
        for part, rows in ids.items():
            require(torch.equal(getattr(split, part), rows), f"split.{part} was changed in place")
        require(vars(self.method) == before[2], "the method object was changed by its own run; keep state in the result")
        require(result.model is not model, "the result holds the caller's own module")
        storages = {p.data_ptr() for p in model.parameters() if p.numel()}
        shared = [n for n, p in result.model.named_parameters() if p.numel() and p.data_ptr() in storages]
        require(not shared, f"the result shares memory with the caller's model: {shared}")
        flags = {n: p.requires_grad for n, p in model.named_parameters()}
        modes = {n: m.training for n, m in model.named_modules()}
        for n, p in result.model.named_parameters():
            require(flags.get(n, True) == p.requires_grad, f"requires_grad of '{n}' is {p.requires_grad} in the result")
        for n, m in result.model.named_modules():
            require(modes.get(n, m.training) == m.training, f"module '{n}' is in another train/eval mode than the caller left it")

    def has_an_effect(self) -> None:
        """Weights change where the tags say so; else the serving differs from doing nothing (identity excepted)."""
        result, tags = self.result, self.method.tags
        moved = bool(
            result.changed_parameters or result.changed_buffers or result.edits or type(result.model) is not type(result.original)
        )
        if tags.key == "identity":
            require(not moved and result.serving.context == "original", "identity must leave weights and input as they are")
            return
        if result.forget_source == "none" and not tags.changes_weights:
            raise NotApplicable("the request has nothing to forget here")
        if tags.changes_weights:
            require(moved, "no weight changed, although the tags say that weights change")
        else:
            require(not moved, f"weights changed, although the tags say that they do not: {result.changed_parameters}")
            require(not result.serving.same_as(Serving("original")), "neither the weights nor the serving changed")

    def same_seed(self) -> None:
        again = self.unlearn(self.main)
        require(same_weights(self.result.model, again.model), "two runs with the same seed gave different weights")
        require(self.result.serving.same_as(again.serving), "two runs with the same seed are served differently")

    def finite(self) -> None:
        self._finite(self.result)

    def _finite(self, result: UnlearnResult) -> None:
        bad = [n for n, t in weights(result.model).items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
        require(not bad, f"weights are not finite: {bad[:4]}")
        require(bool(torch.isfinite(served(result)).all()), "outputs on the test part are not finite")

    def content_unread(self) -> None:
        """The same result when what the tags say is not read is unusable; the main request, and one per kind with content."""
        names = {self.case.requests[self.main].kinds: self.main}
        for name in self.supported:
            kinds = self.case.requests[name].kinds
            if len(kinds) == 1 and kinds not in names and forgets_content(self.split(name)):
                names[kinds] = name
        reasons = []
        for name in names.values():
            try:
                self._content_unread(self.split(name))
            except NotApplicable as reason:
                reasons.append(str(reason))
        if len(reasons) == len(names):
            raise NotApplicable(reasons[0])

    def _content_unread(self, split: ForgetSplit) -> None:
        """The method runs on spoiled data, and its clean result is served on data that descend from them."""
        tags, model = self.method.tags, self.case.model()
        bad = spoiled(split, whole_original="original" not in tags.contexts, reads_forget=tags.reads_forget)
        # What the spoiled data derive of their content is made before it is edited for the retained data.
        predictions(self.task, model, self.task.view(bad.lineage.data, "test"))
        prepared = self.method.prepare(copy.deepcopy(model), self.task, split.data, seed=0, history=self.case.history)
        options: dict[str, Any] = {"state": prepared.state, "history": self.case.history, "seed": 0}
        clean = self.method.unlearn(prepared.model, self.task, split, **options)
        other = self.method.unlearn(prepared.model, self.task, bad, **options)
        what = "the original data" if tags.reads_forget else "forgotten content"
        require(same_weights(clean.model, other.model), f"the weights depend on {what} that the tags say is not read")
        self._finite(clean)
        if clean.serving.context == "retained":
            answers = predictions(self.task, clean.model, self.task.view(bad.retain_data, "test"))
            require(torch.equal(answers, served(clean)), "what is served depends on content that was forgotten")

    def exact(self) -> None:
        """Equal to retraining, or to the method's own preparation on the retained data."""
        tags, split = self.method.tags, self.split(self.main)
        if tags.guarantee != "exact":
            raise NotApplicable("the method does not claim to be exact")
        if tags.exact_reference == "own":
            own = self.method.prepare(self.case.model(), self.task, split.retain_data, seed=0, history=self.case.history)
            require(
                same_weights(self.result.model, own.model, tolerance=1e-5),
                "the result differs from the method's own preparation on the retained data",
            )
            return
        reference = METHODS["retrain"]
        gold = reference(**reference.test_params()[0]).unlearn(
            self.case.model(), self.task, split, seed=0, history=self.case.history
        )
        expected = predictions(self.task, gold.model, self.task.view(split.retain_data, "test"))
        require(torch.allclose(served(self.result), expected, rtol=1e-4, atol=1e-5), "the result differs from retraining")

    def copies_and_saves(self) -> None:
        expected = served(self.result)
        twin = copy.deepcopy(self.result.model)
        view = self.task.view(self.result.data, "test")
        require(torch.equal(predictions(self.task, twin, view), expected), "a deep copy of the model predicts differently")
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.zero_()
        require(torch.equal(served(self.result), expected), "editing a deep copy changed the result itself")
        with tempfile.TemporaryDirectory() as folder:
            loaded = reload(self.result, folder)
        require(
            torch.allclose(predictions(self.task, loaded, view), expected, rtol=1e-5, atol=1e-6),
            "the model predicts differently after it was saved and loaded",
        )

    def record(self) -> None:
        record = json.loads(json.dumps(self.result.to_dict(), allow_nan=False))
        missing = [key for key in _RECORD if key not in record]
        require(not missing, f"the result's record lacks {missing}")
        require(record["method"] == self.method.tags.key, "the record names another method than the tags")
        require(record["params"].keys() == self.method.get_params().keys(), "the record does not hold every parameter")
        require(record["forget_source"] in ("removed", "altered", "affected", "none"), "the record hides what was forgotten")
        require(record["cost"]["seconds"] > 0, "the run took no time")
        solved = any(callable(getattr(module, "fit_closed_form", None)) for module in self.result.model.modules())
        if record["curve"] and not solved:  # it trained, and training costs passes; a closed form is solved without any
            require(
                record["cost"]["forward_examples"] + record["cost"]["encodings"] > 0,
                "the method recorded steps, but not a single forward pass was counted",
            )
        for key in self.result.state:
            require(isinstance(key, str), f"state keys must be strings, got {key!r}")

    def declared_frozen(self) -> None:
        """What the result says was held (``info["frozen"]``, ``info["free_share"]``) is bit-identical, Adam or not."""
        frozen, share = list(self.result.info.get("frozen", ())), self.result.info.get("free_share")
        if not frozen and share is None:
            raise NotApplicable("the result declares no frozen or masked weights")
        before, after = dict(self.result.original.named_parameters()), dict(self.result.model.named_parameters())
        for name in frozen:
            require(name in before and name in after, f"info['frozen'] names '{name}', which the model does not have")
            require(torch.equal(before[name], after[name]), f"'{name}' is declared frozen but moved")
        if share is not None:
            total = sum(p.numel() for p in before.values())
            moved = sum(int((before[n] != after[n]).sum()) for n in before)
            require(moved <= share * total + 0.5, f"{moved} of {total} coordinates moved, but a share of {share:.3g} was free")

    def sequence(self) -> None:
        """A second request with the first's state: lineage, finite weights, and what exact methods promise."""
        later, first = self.follow_up(self.method), self.result
        kept = {k: v.clone() for k, v in weights(first.model).items()}
        second = first.then(later, history=self.case.history)
        require(
            all(torch.equal(kept[k], v) for k, v in weights(first.model).items()), "the second request changed the first result"
        )
        total = first.request | second.request
        require(second.split.lineage.request.digest() == total.digest(), "the second result does not know the cumulative request")
        require(
            second.split.lineage.digests == (first.request.digest(), second.request.digest()),
            "the digests of both requests must be in the lineage",
        )
        require(second.split.root[0] is self.case.data, "the root of the second split is not the first data")
        if type(first.model) is type(second.original):
            require(same_weights(second.original, first.model), "the second request did not start from the first result")
        self._finite(second)
        tags = self.method.tags
        if tags.guarantee == "exact" and tags.state_after == "exact":
            batch = self.method.unlearn(
                self.case.model(), self.task, self.task.split(self.case.data, total), history=self.case.history, seed=0
            )
            require(
                torch.allclose(served(second), served(batch), rtol=1e-4, atol=1e-5),
                "two requests in sequence differ from both at once, although state_after is 'exact'",
            )

    def another_method(self) -> None:
        """A different method on the result can still move the base weights."""
        tuner = METHODS["finetune"](**METHODS["finetune"].test_params()[0])
        if isinstance(self.result.model, Ensemble):
            raise NotApplicable("the served model is an ensemble, which other methods refuse with a reason")
        later = self.follow_up(tuner)
        after = self.result.then(later, method=tuner)
        names = {n for n, _ in self.result.original.named_parameters()} & {n for n, _ in self.result.model.named_parameters()}
        old, new = weights(self.result.model), weights(after.model)
        require(any(not torch.equal(old[n], new[n]) for n in names), "finetune on the result moved no base weight")
        require(len(after.edits) == len(self.result.edits), "the second method lost or added operators")

    def already_forgotten(self) -> None:
        try:
            self.result.then(self.case.requests[self.main], history=self.case.history)
        except InputError as error:
            require("already forgotten" in str(error), f"a repeated request is refused for another reason: {error}")
        else:
            raise AssertionError("the same request was accepted a second time")

    def every_request(self, name: str) -> None:
        """Other kinds, an isolated node, the last example of a class: a finite result with a complete record."""
        result = self.unlearn(name)
        self.report.results[self.case.name, name] = result
        self._finite(result)
        json.dumps(result.to_dict(), allow_nan=False)
        with evaluating(result.model):
            require(result.forget_source == self.split(name).forget_source, "the result states a wrong forget source")
