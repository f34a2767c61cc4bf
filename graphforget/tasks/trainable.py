"""What all shipped tasks share: fresh models, one encoding per context, ensembles, and the training recipe."""

from __future__ import annotations

import copy
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from graphforget import seed as seeds
from graphforget.base import (
    Batch,
    Ensemble,
    FitLog,
    FitOptions,
    Forward,
    Recipe,
    Task,
    captured,
    count_work,
    evaluating,
    fresh_like,
    weights_digest,
)
from graphforget.base.stored import stored
from graphforget.base.task import Build
from graphforget.exceptions import InputError
from graphforget.metrics.divergence import combine_outputs
from graphforget.requests import View


class TrainableTask(Task):
    """A task trained by Adam with early stopping on its own validation part; arguments as in :class:`~graphforget.base.Task`.

    Class attributes:
        reads_parts: Whether the recipe's ``fanout`` and ``eval_batch_size`` mean something here: batches are parts of a graph.

    Raises:
        InputError: The recipe has one of them where ``reads_parts`` is False.
    """

    reads_parts = False

    def __init__(
        self,
        *,
        build: Build | None = None,
        template: nn.Module | None = None,
        layers: Sequence[str] | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        super().__init__(build=build, template=template, layers=layers, recipe=recipe)
        for name in ("fanout", "eval_batch_size"):
            if getattr(self.recipe, name) is not None and not self.reads_parts:
                raise InputError(f"the recipe's {name} is for tasks that read a graph; '{self.name}' does not: leave it out.")

    def new_model(self, data: Any, *, seed: int) -> nn.Module:
        """Fresh weights from ``build(data)``, else a fresh copy of the template.

        Raises:
            InputError: Neither was given, or the template cannot be made fresh.
        """
        with seeds.isolated(seed):
            if self.build is not None:
                model = self.build(data)
            elif self.template is not None:
                model = fresh_like(self.template)
                self._refuse_inherited(model, data)
            else:
                raise InputError(
                    f"task '{self.name}' does not know the model: give it build=lambda data: MyModel(...) or template=model."
                )
        return model

    def _refuse_inherited(self, model: nn.Module, data: Any) -> None:
        """A fresh copy of a template must not bring along what the template's buffers hold of its data.

        Raises:
            InputError: A buffer that no reset touches has one row per node, user, item, sample or edge.
        """
        sizes = self.slots(data)
        old = {one.name: one.tensor for one in stored(self.template)} if self.template is not None else {}
        for one in stored(model):
            if one.kind != "buffer" or not one.tensor.dim() or isinstance(one.owner, _NormBase):
                continue
            held = old.get(one.name)
            same = held is not None and held.shape == one.tensor.shape and torch.equal(held.to(one.tensor), one.tensor)
            if not same or not one.tensor.any():
                continue  # made anew
            kind = next((kind for kind, size in sizes.items() if size > 1 and one.tensor.size(0) == size), None)
            if kind is not None:
                raise InputError(
                    f"a fresh {type(model).__name__} would inherit the buffer '{one.name}', one row per {kind}, from the trained "
                    f"model: pass build=lambda data: {type(model).__name__}(...) to the task, so that it is made from the data."
                )

    def forward(self, model: nn.Module, *batches: Batch, layers: Sequence[str] = ()) -> tuple[Forward, ...]:
        """Run the model; batches that are read in the same data share one encoding."""
        if isinstance(model, Ensemble):
            if layers:
                raise InputError("an ensemble has no layers of its own; capture them on its members.")
            return self._forward_ensemble(model, batches)
        results: list[Forward | None] = [None] * len(batches)
        groups: dict[int, list[int]] = {}
        for position, batch in enumerate(batches):
            groups.setdefault(id(batch.data), []).append(position)
        for positions in groups.values():
            with captured(model, layers) as store:
                made = self._forward(model, [batches[i] for i in positions], store)
            for position, one in zip(positions, made, strict=True):
                results[position] = one
        count_work(examples=sum(len(b) for b in batches))
        return tuple(r for r in results if r is not None)

    @abstractmethod
    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        """Run the model on batches of one data container; ``store`` fills with captured layers as modules run."""

    def _forward_ensemble(self, ensemble: Ensemble, batches: Sequence[Batch]) -> tuple[Forward, ...]:
        per_member = [self.forward(member, *batches) for member in ensemble.members]
        combined = []
        for forwards in zip(*per_member, strict=True):
            combined.append(Forward(combine_outputs(self.output_kind, [f.outputs for f in forwards])))
        return tuple(combined)

    def predict(self, model: nn.Module, view: View, *, generator: torch.Generator | None = None) -> Tensor:
        """Outputs for every example of a view (its fixed negatives included), evaluation mode, without gradients."""
        with evaluating(model):
            batches = self._prediction_batches(model, view, generator)
            return torch.cat([self.forward(model, batch)[0].outputs for batch in batches])

    def _prediction_batches(self, model: nn.Module, view: View, generator: torch.Generator | None) -> Iterator[Batch]:
        return self.batches(view, generator=generator)

    def _fit(self, model: nn.Module, data: Any, seed: int, options: FitOptions) -> FitLog:
        """Adam on the loss and the penalty, in batches as the recipe says."""
        recipe = self.recipe
        started, started_cpu = time.perf_counter(), time.process_time()
        train = self.view(data, "train")
        if options.index is not None:
            train = View(data, options.index, train.negatives)
        if not len(train):
            raise InputError(f"there is nothing to train on: part 'train' of '{data.name}' is empty.")
        val = self.view(data, "val")
        stopping = options.epochs is None and recipe.patience is not None and self.can_score(val)
        total = recipe.epochs if options.epochs is None else options.epochs
        draws = seeds.generator(seeds.derive(seed, "fit"))
        optimizer = torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad],
            lr=recipe.lr if options.lr is None else options.lr,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        init, curve, checkpoints = weights_digest(model), [], {}
        best: tuple[float, int, dict[str, Tensor] | None, float, float] = (-float("inf"), 0, None, 0.0, 0.0)
        epoch = 0
        with seeds.isolated(seeds.derive(seed, "dropout")):
            for epoch in range(1, total + 1):
                model.train()
                value = 0.0
                for batch in self.batches(
                    train, batch_size=recipe.batch_size, shuffle=recipe.batch_size is not None, generator=draws
                ):
                    optimizer.zero_grad(set_to_none=True)
                    forward = self.forward(model, batch)[0]
                    loss = self.loss(forward, batch) + self.penalty(model, forward, batch)
                    loss.backward()
                    optimizer.step()
                    value = float(loss.detach())
                if options.callback is not None:
                    options.callback(epoch, value)
                if epoch in options.keep:
                    checkpoints[epoch] = copy.deepcopy(model.state_dict())
                if stopping and (epoch % recipe.eval_every == 0 or epoch == total):
                    score = self.utility(model, val)[self.monitor]
                    curve.append((epoch, score))
                    if score > best[0]:
                        best = (
                            score,
                            epoch,
                            copy.deepcopy(model.state_dict()),
                            time.perf_counter() - started,
                            time.process_time() - started_cpu,
                        )
                    elif epoch - best[1] >= recipe.patience * recipe.eval_every:  # type: ignore[operator]
                        break
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - started_cpu
        if best[2] is not None:
            model.load_state_dict(best[2])
        model.eval()
        has_best = best[2] is not None
        return FitLog(
            seed=seed,
            init_digest=init,
            epochs=epoch,
            best_epoch=best[1] if has_best else epoch,
            best_score=best[0] if has_best else None,
            seconds=seconds,
            seconds_to_best=best[3] if has_best else seconds,
            cpu_seconds_to_best=best[4] if has_best else cpu_seconds,
            curve=tuple(curve),
            checkpoints=checkpoints,
            optimizer_state=optimizer.state_dict() if "optimizer" in options.keep else None,
        )


def chunks(count: int, batch_size: int | None, shuffle: bool, generator: torch.Generator | None) -> list[Tensor]:
    """Positions 0..count-1 in pieces; one piece without ``batch_size``, shuffled from ``generator`` where asked."""
    order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
    return list(order.split(batch_size)) if batch_size else [order]


def reduce(values: Tensor, reduction: Literal["mean", "sum", "none"]) -> Tensor:
    """Mean, sum or elementwise; the mean of nothing is 0 rather than NaN."""
    if reduction == "none":
        return values
    return values.sum() if reduction == "sum" or values.numel() == 0 else values.mean()
