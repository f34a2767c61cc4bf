"""check_task: the contract of a task, executed on a request."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from graphforget import seed as seeds
from graphforget.base import Batch, Task, counting, evaluating, weights_digest
from graphforget.exceptions import InputError, ViewError
from graphforget.requests import DeletionRequest, Target
from graphforget.requests.target import Kind
from graphforget.testing.report import CheckReport, NotApplicable, require
from graphforget.testing.snapshots import data_state, predictions, random_state


def check_task(task: Task, data: Any, request: DeletionRequest) -> CheckReport:
    """Run the contract of a task on data and one request.

    Args:
        task: With ``build`` (or ``template``) and a short recipe: it trains several times.
        data: The task's container; it stays as it is.
        request: Something to forget, with something left to retain.

    Returns:
        The report.

    Raises:
        ContractError: An ``AssertionError`` with one sentence per failed check.

    Example:
        >>> from graphforget.testing import tiny_data, tiny_requests, tiny_task
        >>> name = "image_classification"
        >>> check_task(tiny_task(name), tiny_data(name), tiny_requests(name)["samples"]).failed
        ()
    """
    report = CheckReport(task.name)
    before = data_state(data)
    checks = _OneTask(task, data, request)
    for name, check in _CHECKS.items():
        report.run(name, task.name, request.summary(), partial(check, checks))
    report.run(
        "data untouched",
        task.name,
        request.summary(),
        lambda: require(data_state(data) == before, "the caller's data was changed in place"),
    )
    return report.raise_if_failed()


def _rows(ids: Tensor) -> set[Any]:
    return {tuple(r) if isinstance(r, list) else r for r in ids.tolist()}


def _same(a: Batch, b: Batch) -> bool:
    return (
        torch.equal(a.index, b.index)
        and torch.equal(a.y, b.y)
        and set(a.extra) == set(b.extra)
        and all(torch.equal(a.extra[k], b.extra[k]) for k in a.extra)
    )


def _refused(action: Any, what: str) -> str:
    try:
        action()
    except InputError as error:
        return str(error)
    raise AssertionError(f"{what} was accepted")


class _OneTask:
    def __init__(self, task: Task, data: Any, request: DeletionRequest) -> None:
        self.task, self.data, self.request = task, data, request
        self.split = task.split(data, request)
        self.model = task.new_model(data, seed=3).eval()

    def draw(self, data: Any, *, seed: int = 0) -> list[Batch]:
        view = self.task.view(data, "train")
        return list(self.task.batches(view, batch_size=16, shuffle=True, generator=seeds.generator(seed)))

    def refusal(self, kind: str, ids: Tensor, what: str) -> str:
        """The sentence with which a request of one kind is refused."""
        request = DeletionRequest((Target(cast(Kind, kind), ids, name="anything" if kind == "modality" else None),))
        return _refused(lambda: self.task.split(self.data, request), what)

    # ---- splits -------------------------------------------------------------------------------------------
    def parts(self) -> None:
        split = self.split
        train, removed, retain = (_rows(t) for t in (self.task.index(self.data, "train"), split.removed, split.retain))
        altered, affected = _rows(split.altered), _rows(split.affected)
        require(removed | retain == train, "removed and retain together are not the training examples")
        require(not removed & retain, "an example is both removed and retained")
        require(altered <= retain and affected <= retain, "altered and affected examples must be among those that stay")
        require(not altered & affected, "an example is both altered and affected")
        if getattr(self.data, "edge_rule", None) is None:  # edges derived from features may appear anew
            require(
                _rows(self.task.index(split.retain_data, "train")) == retain,
                "the training part of the retained data is not the retain part",
            )

    def canonical(self) -> None:
        parts = {p: getattr(self.split, p) for p in ("removed", "altered", "affected", "retain")}
        parts |= {f"'{p}'": self.task.index(self.data, p) for p in ("train", "val", "test")}
        for name, ids in parts.items():
            require(ids.dtype == torch.int64 and ids.device.type == "cpu", f"ids of {name} are {ids.dtype} on {ids.device}")
            require(ids.dim() == 1 or (ids.dim() == 2 and ids.size(1) == 2), f"ids of {name} have shape {list(ids.shape)}")
            require(torch.equal(torch.unique(ids, dim=0), ids), f"ids of {name} are not sorted and unique")

    def lineage(self) -> None:
        split, again = self.split, self.task.split(self.data, self.request)
        before = self.data.lineage.digests if self.data.lineage else ()
        require(split.retain_data.lineage is not None, "the retained data has no lineage")
        require(split.retain_data.lineage.digests == (*before, split.request.digest()), "the lineage lacks a request's digest")
        require(split.root[0] is (self.data.lineage.data if self.data.lineage else self.data), "the root is not the first data")
        require(split.retain_data is not self.data, "the retained data is the original")
        require(again.retain_data.digest() == split.retain_data.digest(), "two splits of the same request made different data")
        require(
            "already forgotten" in _refused(lambda: self.task.split(split.retain_data, self.request), "a repeated request"),
            "a repeated request is refused without saying that it is already forgotten",
        )

    def contexts(self) -> None:
        split = self.split
        for part in ("forget", "removed", "altered", "affected", "retain"):
            for on in ("original", "unlinked"):
                require(split.view(part, on=on).data is split.data_on(on), f"view('{part}', on='{on}') reads other data")
            if split.readable(part, "retained"):
                split.view(part, on="retained")
                continue
            try:
                split.view(part, on="retained")
            except ViewError:
                continue
            raise AssertionError(f"view('{part}', on='retained') reads content that is gone")

    def refusals(self) -> None:
        task, data = self.task, self.data
        _refused(lambda: task.split(data, DeletionRequest((Target("concept", torch.tensor([0]), name="x"),))), "an unknown kind")
        far = 10**9
        for kind in sorted(task.kinds):
            ids = torch.tensor([[0, far]]) if kind in ("edge", "interaction") else torch.tensor([far])
            sentence = self.refusal(kind, ids, f"an unknown {kind}")
            require(
                str(far) in sentence or kind not in ("node", "sample", "user", "item"),
                f"the refusal of an unknown {kind} does not name it: {sentence}",
            )
        train = task.index(data, "train")
        first = train[:, 0] if train.dim() == 2 else train
        whole = {"node": train.reshape(-1), "sample": train.reshape(-1), "user": first}
        for kind in sorted(set(whole) & task.kinds):
            sentence = self.refusal(kind, whole[kind], "a request for everything")
            require("retain" in sentence, f"a request for everything is refused for another reason: {sentence}")

    def sides(self) -> None:
        if not set(self.request.kinds) & {"class", "node_class"}:
            raise NotApplicable("the request names no class")
        for part in ("val", "test"):
            ids = [_rows(self.task.index(self.data, part, side=side, request=self.request)) for side in ("forget", "retain")]
            require(
                ids[0] | ids[1] == _rows(self.task.index(self.data, part)) and not ids[0] & ids[1],
                f"the two sides of '{part}' do not partition it",
            )
            require(ids[0] or part == "val", "no test example of the forgotten class is left to measure with")

    # ---- batches and models -------------------------------------------------------------------------------
    def batches(self) -> None:
        one, two, other = self.draw(self.data), self.draw(self.data), self.draw(self.data, seed=1)
        require(len(one) > 1, "batch_size is ignored, or there are 16 training examples or fewer")
        require(all(_same(a, b) for a, b in zip(one, two, strict=True)), "the same generator gave different batches")
        require(not all(_same(a, b) for a, b in zip(one, other, strict=True)), "another generator gave the same batches")

    def loss(self) -> None:
        batch = self.draw(self.data)[0]
        torch.manual_seed(1)
        first = self.task.loss(self.task.forward(self.model, batch)[0], batch)
        torch.manual_seed(2)
        forward = self.task.forward(self.model, batch)[0]
        require(torch.equal(first, self.task.loss(forward, batch)), "the loss of one batch took two values")
        each = self.task.loss(forward, batch, reduction="none")
        total = self.task.loss(forward, batch, reduction="sum")
        agree = torch.allclose(each.mean(), first, atol=1e-6) and torch.allclose(each.sum(), total, rtol=1e-5)
        require(each.dim() == 1 and agree, "reductions none, mean and sum do not agree")
        require(bool(torch.isfinite(each).all()), "the loss of training examples is not finite")
        require(self.task.penalty(self.model, forward, batch).dim() == 0, "penalty must be a scalar")

    def rebatch(self) -> None:
        for batch in self.draw(self.split.retain_data):
            other = batch.on(self.data)
            require(_same(batch, other) and other.data is self.data, "Batch.on() changed more than the data")
            with evaluating(self.model):
                outputs = self.task.forward(self.model, other)[0].outputs
            require(bool(torch.isfinite(outputs).all()), "a batch drawn on the retained data cannot be read on the original")

    def shared(self) -> None:
        batches = self.draw(self.data)[:2]
        with evaluating(self.model):
            with counting() as work:
                together = self.task.forward(self.model, *batches)
            apart = [self.task.forward(self.model, b)[0] for b in batches]
        require(work.encodings <= 1, f"two batches of one context cost {work.encodings} encodings")
        require(work.forward_examples == sum(len(b) for b in batches), "forward examples are not counted")
        for a, b in zip(together, apart, strict=True):
            require(torch.allclose(a.outputs, b.outputs, atol=1e-6), "sharing an encoding changed the outputs")

    def dead_rows(self) -> None:
        split = self.split
        if not len(split.removed) or split.readable("removed", "retained"):
            raise NotApplicable("every removed example can still be read on the retained data")
        gone = split.removed[~split._readable]
        view = split.view("removed", on="original")
        batch = next(iter(self.task.batches(type(view)(view.data, gone, "none"))))
        with evaluating(self.model):
            dead = self.task.forward(self.model, batch.on(split.retain_data))[0].outputs
            live = predictions(self.task, self.model, split.view("retain", on="retained"))
        require(bool(torch.isnan(dead).all()), "outputs of forgotten examples on the retained data are not NaN")
        require(bool(torch.isfinite(live).all()), "outputs of retained examples on the retained data are not finite")

    def relabel(self) -> None:
        batch = self.draw(self.data)[0]
        wrong = self.task.relabel(batch, seeds.generator(4))
        require(_same(wrong, self.task.relabel(batch, seeds.generator(4))), "relabel does not draw from its generator")
        if self.task.output_kind in ("categorical", "bernoulli"):
            require(bool((wrong.y != batch.y).all()), "some relabelled target is still the right one")
        else:
            require(not _same(wrong, batch), "relabel changed nothing")

    def new_model(self) -> None:
        state = random_state()
        one, two, other = (self.task.new_model(self.data, seed=s) for s in (5, 5, 6))
        require(random_state() == state, "new_model changed the global random state")
        require(weights_digest(one) == weights_digest(two), "the same seed gave different initial weights")
        require(weights_digest(one) != weights_digest(other), "another seed gave the same initial weights")

    def fit(self) -> None:
        model, twin = (self.task.new_model(self.data, seed=5) for _ in range(2))
        init, state = weights_digest(model), random_state()
        torch.manual_seed(11)
        state = random_state()
        log = self.task.fit(model, self.data, seed=5)
        require(random_state() == state, "fit changed the global random state")
        require(log.init_digest == init and log.seed == 5, "the log does not describe the initial weights")
        require(weights_digest(model) != init, "fit changed no weight")
        require(not model.training, "fit must leave the model in evaluation mode")
        torch.manual_seed(12)
        self.task.fit(twin, self.data, seed=5)
        require(weights_digest(twin) == weights_digest(model), "the same seed trained different weights")

    def own_validation(self) -> None:
        for data in (self.data, self.split.retain_data):
            model = self.task.new_model(data, seed=5)
            log = self.task.fit(model, data, seed=5)
            if log.best_score is None:
                raise NotApplicable("the recipe or the data has no validation")
            score = self.task.utility(model, self.task.view(data, "val"))[self.task.monitor]
            require(abs(score - log.best_score) < 1e-6, "the kept weights are not the best on the data's own validation part")
            require(abs(max(s for _, s in log.curve) - log.best_score) < 1e-9, "best_score is not the best of the curve")

    def short(self) -> None:
        model = self.task.new_model(self.data, seed=5)
        base = copy.deepcopy(model)
        half = self.split.retain[: max(len(self.split.retain) // 2, 1)]
        log = self.task.fit(model, self.data, seed=5, index=half, epochs=2, keep=(1, "optimizer"))
        require(
            log.epochs == 2 and set(log.checkpoints) == {1} and log.optimizer_state is not None,
            "epochs= or keep= is not followed",
        )
        frozen = self.task.fit(base, self.data, seed=5, epochs=1, lr=0.0)
        require(frozen.init_digest == weights_digest(base), "lr=0 still moved weights")

    def utility(self) -> None:
        for part in ("val", "test"):
            values = self.task.utility(self.model, self.task.view(self.data, part))
            require(self.task.monitor in values, f"utility() lacks '{self.task.monitor}', which early stopping watches")
            require(all(isinstance(v, float) for v in values.values()), "utility() must map names to floats")

    def region(self) -> None:
        view = self.task.view(self.data, "test")
        small = self.task.region(view)
        require(
            torch.allclose(predictions(self.task, self.model, view), predictions(self.task, self.model, small), atol=1e-5),
            "outputs in the region differ from those in the whole",
        )


# In the order in which they run.
_CHECKS = {
    "parts": _OneTask.parts,
    "canonical ids": _OneTask.canonical,
    "lineage": _OneTask.lineage,
    "contexts": _OneTask.contexts,
    "refusals": _OneTask.refusals,
    "sides": _OneTask.sides,
    "repeatable batches": _OneTask.batches,
    "loss given a batch": _OneTask.loss,
    "batch in another context": _OneTask.rebatch,
    "shared forward": _OneTask.shared,
    "dead rows are NaN": _OneTask.dead_rows,
    "wrong targets": _OneTask.relabel,
    "fresh models": _OneTask.new_model,
    "fit in place": _OneTask.fit,
    "own validation": _OneTask.own_validation,
    "short training": _OneTask.short,
    "utility": _OneTask.utility,
    "region": _OneTask.region,
}
TASK_CHECKS = (*_CHECKS, "data untouched")
