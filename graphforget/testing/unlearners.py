"""check_unlearner: the contract of a method, executed on tiny data."""

from __future__ import annotations

import copy
import inspect
import json
import tempfile
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import nn

from graphforget.base import Ensemble, Serving, Unlearner, UnlearnResult, counting, evaluating
from graphforget.base.capabilities import has_closed_form
from graphforget.base.tags import unmet
from graphforget.exceptions import InputError, Reason, UnsupportedError
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
from graphforget.testing.tiny import TINY_CASES, TinyCase, tiny_case
from graphforget.unlearners import METHODS

# What every record of a result must hold.
_RECORD = (
    *("format", "method", "params", "seed", "task", "request_digest", "cumulative_request_digest", "earlier_requests"),
    *("forget_source", "counts", "serving", "edits", "cost", "curve", "changed_parameters", "changed_buffers", "state", "info"),
)


def check_unlearner(method: str | type[Unlearner] | Unlearner, *, tasks: Iterable[str | TinyCase] | None = None) -> CheckReport:
    """Run the contract of methods over one method.

    Args:
        method: Registry key, class or instance. A key or class is tried with its ``test_params()[0]``.
        tasks: Names of tiny cases, or own :class:`TinyCase` objects; default: every tiny case. Where a method does not
            support a case, its refusal is what is checked.

    Returns:
        The report: every check with its outcome, and ``results[case, request]`` for comparing methods.

    Raises:
        ContractError: An ``AssertionError`` with one sentence per failed check.

    Example:
        >>> from graphforget.testing import check_unlearner
        >>> check_unlearner("identity", tasks=["image_classification"]).failed
        ()
    """
    cls, instance = _resolve(method)
    report = CheckReport(getattr(getattr(cls, "tags", None), "key", cls.__name__))
    report.run("construction", "", "", lambda: _construction(cls, instance))
    report.run("tags", "", "", lambda: _tags(cls))
    if not report.failed:  # a method without tags cannot be asked anything else
        for entry in TINY_CASES if tasks is None else tasks:
            OneMethod(report, instance, entry if isinstance(entry, TinyCase) else tiny_case(entry)).run()
    return report.raise_if_failed()


def _resolve(method: str | type[Unlearner] | Unlearner) -> tuple[type[Unlearner], Unlearner]:
    if isinstance(method, Unlearner):
        return type(method), method
    cls = METHODS[method] if isinstance(method, str) else method
    if not (isinstance(cls, type) and issubclass(cls, Unlearner)):
        raise InputError(f"check_unlearner needs a method's key, an Unlearner class or an instance; got {method!r}.")
    return cls, cls(**(cls.test_params() or [{}])[0])


def _construction(cls: type[Unlearner], instance: Unlearner) -> None:
    names = cls.param_names()
    kinds = {n: p.kind for n, p in inspect.signature(cls).parameters.items()}
    positional = [n for n, k in kinds.items() if k is not inspect.Parameter.KEYWORD_ONLY]
    require(not positional, f"constructor parameters must be keyword-only, {positional} are not")
    require(isinstance(cls.test_params(), list) and cls.test_params(), "test_params() must be a non-empty list of keyword sets")
    defaults = {n: p.default for n, p in inspect.signature(cls).parameters.items() if p.default is not inspect.Parameter.empty}
    for params in [*cls.test_params(), defaults, instance.get_params()]:
        made = cls(**params)
        require(
            set(vars(made)) == set(names),
            f"__init__ must store its parameters and nothing else: stored {sorted(vars(made))}, parameters {sorted(names)}",
        )
        for name, value in params.items():
            require(getattr(made, name) == value, f"__init__ changed '{name}' from {value!r} to {getattr(made, name)!r}")
        require(cls(**made.get_params()) == made, "type(method)(**method.get_params()) is not an equal method")
    for name, value in instance.get_params().items():
        try:
            json.dumps(value)
        except TypeError:
            raise AssertionError(f"parameter '{name}' is {value!r}, which JSON cannot hold: give it a flat value") from None


def _tags(cls: type[Unlearner]) -> None:
    tags = cls.tags
    for name in ("key", "summary", "citation"):
        require(getattr(tags, name), f"tags.{name} is empty")
    require(
        (tags.guarantee == "exact") == (tags.exact_reference is not None),
        "an exact method must name its exact_reference, and only an exact one may",
    )
    require(tags.contexts <= {"original", "unlinked", "retained"}, f"unknown contexts {sorted(tags.contexts)}")
    if tags.key in METHODS:
        require(
            METHODS[tags.key] is cls or not cls.__module__.startswith("graphforget."),
            f"the registry has {METHODS[tags.key].__name__} under '{tags.key}'",
        )


class OneMethod:
    """The checks of one method on one case; the first run of the main request is shared by all that only look at it."""

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
        reasons: Sequence[str] = []
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
        for name, check in _MAIN_CHECKS.items():
            self.report.run(name, task, self.main, partial(check, self))
        for name in self.supported[1:]:
            self.report.run("every request", task, name, partial(self.every_request, name))

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
                reasons and all(isinstance(r, Reason) and len(r) > 10 for r in reasons),
                f"supports() gives no sentence why '{name}' ({request.summary()}) is refused",
            )
            missed = [
                r for r in unmet(self.method.tags, self.task, request, self.case.model(), self.case.history) if r not in reasons
            ]
            require(not missed, f"supports() does not say of '{name}' what the tags do: {'; '.join(missed)}")
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
        solved = any(has_closed_form(module) for module in self.result.model.modules())
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
        require(self.method.tags.declares_frozen, "the result declares frozen weights, and tags.declares_frozen is not set")
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


# What is checked on the first request that a method supports, in this order.
_MAIN_CHECKS = {
    "caller untouched": OneMethod.caller_untouched,
    "has an effect": OneMethod.has_an_effect,
    "same seed, same weights": OneMethod.same_seed,
    "finite": OneMethod.finite,
    "forgotten content unread": OneMethod.content_unread,
    "exact": OneMethod.exact,
    "copies and saves": OneMethod.copies_and_saves,
    "record": OneMethod.record,
    "declared frozen": OneMethod.declared_frozen,
    "sequence": OneMethod.sequence,
    "another method follows": OneMethod.another_method,
    "already forgotten refused": OneMethod.already_forgotten,
}
# Every check by name. The first two need no case; the third is all there is where the method refuses a case.
UNLEARNER_CHECKS = ("construction", "tags", "refuses unsupported", *_MAIN_CHECKS, "every request")
