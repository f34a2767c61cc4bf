"""D2DGN: distil retained knowledge from the original and forgotten elements from a destroyer."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget import seed as seeds
from graphforget.base import Batch, FitLog, Forward, Outcome, RegionOptions, Run, Tags, Task, Unlearner, device_of, evaluating
from graphforget.exceptions import Reason
from graphforget.graphs import GraphData, both_directions
from graphforget.graphs.edge_index import sorted_edges
from graphforget.graphs.non_edges import draw_non_edges
from graphforget.metrics.divergence import divergence
from graphforget.requests import DeletionRequest
from graphforget.requests.keys import KeySet, smaller_first
from graphforget.tasks.graph.task import GraphTask
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.proxy import proxy_targets
from graphforget.unlearners._shared.scope import check_scope, localised, scope_reasons
from graphforget.unlearners._shared.steps import (
    NOTHING_TO_FORGET,
    descend,
    epoch_batches,
    forget_view,
    make_adam,
    recipe_epochs,
    retain_view,
)

DESTROYERS = ("random", "negative_graph", "proxy")
# The preserver encodes the graph once for so many student steps; its weights and the graph are fixed, only draws differ.
LOOKAHEAD = 8


class D2DGN(Unlearner):
    r"""Distil to delete (Sinha, Mandal and Kankanhalli, "Distill to Delete: Unlearning in Graph Networks with Knowledge
    Distillation", arXiv:2309.16173). No official code is public; this follows the paper's description.

    A student S is trained on two teachers: the preserver P (the original, frozen) on retained elements and a destroyer D
    on forgotten ones,

    .. math::

        L   &= \alpha L_r + (1 - \alpha) L_f \\
        L_r &= T^2 \, \mathrm{KL}(P \parallel S) + \lambda_{\text{feat}} \sum_l \mathrm{MSE}(S_l, P_l) \\
        L_f &= T^2 \, \mathrm{KL}(D \parallel S) + \lambda_{\text{feat}} \sum_l \mathrm{MSE}(S_l, D_l)

    with :math:`S_l` the rows of layer l that belong to an element. :math:`L_r` runs over retained elements (edges: with fresh
    non-edges), :math:`L_f` over forgotten elements only. Destroyers:

    - ``"random"`` (paper): the architecture with untrained weights. It pushes forgotten elements far below where a
      retrained model leaves them, and drags others along.
    - ``"negative_graph"`` (paper): the architecture trained on a graph of sampled non-edges.
    - ``"proxy"`` (ours, default): a briefly repaired copy of the original stands in for the retrained model.

    Where our defaults depart from the public re-implementation (OpenGU), and why: the student starts from the original
    (``init="warm"``; there: fresh weights), which costs a tenth of training; it reads the retained graph
    (``message_graph``; there: the graph with the deleted edges, which would still serve them); the forget term holds
    forgotten elements only (there: all sampled non-edges too, most of that term); the last state is kept (there: the best
    on test). There is no weight decay, so that alpha = 1 on an unchanged graph leaves the student where it is.
    On tasks without a graph, destroyers ``random`` and ``proxy`` apply.

    Args:
        destroyer: ``"random"``, ``"negative_graph"`` or ``"proxy"``.
        alpha: Weight of the retain term, in [0, 1].
        temperature: T of the response term.
        lambda_feat: Weight of the feature terms; 0 leaves them out.
        epochs: Passes over the retained elements; None is a tenth of the recipe's.
        lr: Adam's learning rate; None is the recipe's.
        init: ``"warm"``: from the original's weights; ``"scratch"``: from fresh ones (then give more epochs).
        message_graph: ``"retained"``, or ``"original"``: the graph that student, preserver and destroyer read.
        destroyer_epochs: Epochs for training ``negative_graph`` or, at most, for repairing ``proxy``; None is a tenth of
            the recipe's.
        scope: ``"full"``, or on a graph ``"region"``: :math:`L_f` as it is, :math:`L_r` over the retained elements that the
            deletion can change (both ends of a pair) and ``retain_sample`` others; the proxy is repaired on the same. What can
            change lies within L hops, L being the task's ``num_hops``; computing it exactly reads 2L, and the cost grows with
            that.
        fanout: With ``scope="region"``: read at most so many neighbours per node and hop, an approximation whose cost is
            bounded on any graph; None reads all of them.
        retain_sample: With ``scope="region"``: random retained elements from the whole graph, read through a few neighbours each;
            half as many validation elements say when the proxy is repaired.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> D2DGN(destroyer="random", alpha=0.7).get_params()["alpha"]
        0.7
    """

    tags: ClassVar[Tags] = Tags(
        key="d2dgn",
        summary="Distils retained from the original, forgotten from a destroyer.",
        citation="Sinha et al., arXiv:2309.16173",
        needs_gradients=True,
        contexts=frozenset({"retained", "unlinked", "original"}),
    )

    def __init__(
        self,
        *,
        destroyer: str = "proxy",
        alpha: float = 0.5,
        temperature: float = 1.0,
        lambda_feat: float = 0.0,
        epochs: int | None = None,
        lr: float | None = None,
        init: str = "warm",
        message_graph: str = "retained",
        destroyer_epochs: int | None = None,
        scope: str = "full",
        fanout: int | None = None,
        retain_sample: int = 256,
    ) -> None:
        check_choice("destroyer", destroyer, DESTROYERS)
        check_number("alpha", alpha, low=0, high=1)
        check_number("temperature", temperature, low=0, open_low=True)
        check_number("lambda_feat", lambda_feat, low=0)
        check_count("epochs", epochs, none="a tenth of the recipe's")
        check_number("lr", lr, low=0, open_low=True, none="the recipe's")
        check_choice("init", init, ("warm", "scratch"))
        check_choice("message_graph", message_graph, ("retained", "original"))
        check_count("destroyer_epochs", destroyer_epochs, none="a tenth of the recipe's")
        self.destroyer, self.alpha, self.temperature, self.lambda_feat = destroyer, alpha, temperature, lambda_feat
        self.epochs, self.lr, self.init, self.message_graph = epochs, lr, init, message_graph
        check_scope(scope, fanout, retain_sample)
        self.destroyer_epochs, self.scope, self.fanout, self.retain_sample = destroyer_epochs, scope, fanout, retain_sample

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Short runs, one per destroyer."""
        short = {"epochs": 3, "destroyer_epochs": 2}
        return [{**short}, {**short, "destroyer": "random", "lambda_feat": 0.1}, {**short, "destroyer": "negative_graph"}]

    def supports(
        self, task: Task, request: DeletionRequest, model: nn.Module | None = None, history: FitLog | None = None
    ) -> list[Reason]:
        """Reasons against; a destroyer trained on non-edges needs a graph task, feature terms need layers."""
        reasons = super().supports(task, request, model, history) + scope_reasons(task, self.scope)
        whole = self.destroyer == "negative_graph"
        if self.scope == "region" and whole:
            text = "destroyer 'negative_graph' trains on a whole graph: choose another destroyer, or scope='full'"
            reasons.append(Reason("destroyer", text))
        if whole and not isinstance(task, GraphTask):
            text = "destroyer 'negative_graph' needs a graph to replace: choose destroyer='random' or 'proxy'"
            reasons.append(Reason("destroyer", text))
        if self.lambda_feat and model is not None and not task.layer_names(model):
            text = "lambda_feat compares layers and none was found: pass layers=[...] to the task, or lambda_feat=0"
            reasons.append(Reason("lambda_feat", text))
        return reasons

    def _unlearn(self, run: Run) -> Outcome:
        task, sized = run.task, run.split
        scoped: dict[str, Any] = {}
        if self.scope == "region":
            val = self.retain_sample // 2 if self.destroyer == "proxy" else 0
            run, scoped = localised(run, RegionOptions(self.fanout, self.retain_sample, val))
        original = self.message_graph == "original"
        forget = run.split.view("forget", on="original") if original else forget_view(run)
        retain = run.split.view("retain", on="original") if original else retain_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET, **scoped})
        layers = tuple(task.layer_names(run.model)) if self.lambda_feat else ()
        forget_batches = list(epoch_batches(task, forget, run.generator))
        # Models are sized by data with the ids of the whole graph, which a part has not.
        container = sized.data if self.scope == "region" else run.split.retain_data
        wanted, facts = self._destroy(run, forget_batches, layers, container)
        student = run.model
        if self.init == "scratch":
            student = task.new_model(container, seed=seeds.derive(run.seed, "student")).to(device_of(run.model))
            student.train()
        optimizer = make_adam(task, student, self.lr)
        epochs = recipe_epochs(task, self.epochs)
        stream = ((epoch, batch) for epoch in range(1, epochs + 1) for batch in epoch_batches(task, retain, run.generator))
        turns = itertools.cycle(range(len(forget_batches)))
        noted = 0
        while block := list(itertools.islice(stream, LOOKAHEAD)):
            with evaluating(run.original):
                kept = task.forward(run.original, *(batch for _, batch in block), layers=layers)
            for (epoch, batch), target in zip(block, kept, strict=True):
                turn = next(turns)
                said, said_forget = task.forward(student, batch, forget_batches[turn], layers=layers)
                loss_r = self._distance(task, batch, target, said)
                loss_f = self._distance(task, forget_batches[turn], wanted[turn], said_forget)
                loss = descend(optimizer, self.alpha * loss_r + (1 - self.alpha) * loss_f)
                if epoch > noted:
                    noted = epoch
                    run.record(epoch, epochs, loss=loss, retain_loss=float(loss_r.detach()), forget_loss=float(loss_f.detach()))
        return Outcome(model=student, info={"epochs": epochs, "lr": optimizer.param_groups[0]["lr"], **facts, **scoped})

    # ---- teachers -----------------------------------------------------------------------------------------
    def _destroy(
        self, run: Run, batches: Sequence[Batch], layers: Sequence[str], container: Any
    ) -> tuple[list[Forward], dict[str, Any]]:
        """What the destroyer says of the forgotten elements, computed once, and facts about it."""
        epochs = recipe_epochs(run.task, self.destroyer_epochs)
        if self.destroyer == "proxy":
            return proxy_targets(run, batches, epochs=epochs, lr=self.lr, layers=layers)
        seed = seeds.derive(run.seed, "destroyer")
        teacher = run.task.new_model(container, seed=seed).to(device_of(run.model))
        if self.destroyer == "negative_graph":
            run.task.fit(teacher, negative_graph(run.split.retain_data, run.generator), seed=seed, epochs=epochs)
        with evaluating(teacher):
            return list(run.task.forward(teacher, *batches, layers=layers)), {}

    def _distance(self, task: Task, batch: Batch, teacher: Forward, student: Forward) -> Tensor:
        """Response term plus weighted feature terms, mean over the elements of a batch."""
        loss = divergence(task.output_kind, teacher.outputs.detach(), student.outputs, temperature=self.temperature)
        if not self.lambda_feat:
            return loss
        features = [
            F.mse_loss(
                example_rows(task, batch, student, student.layers[name]),
                example_rows(task, batch, teacher, teacher.layers[name]).detach(),
            )
            for name in student.layers
        ]
        return loss + self.lambda_feat * torch.stack(features).sum() if features else loss


def example_rows(task: Task, batch: Batch, forward: Forward, table: Tensor) -> Tensor:
    """Rows of a captured layer that belong to the batch's elements; a decoder's layer has them already."""
    if isinstance(task, GraphTask) and table.size(0) != len(task.context(batch.data, table.device).ids):
        return table
    return forward.of_examples(table)


def negative_graph(data: GraphData, generator: torch.Generator) -> GraphData:
    """The graph with every edge replaced by a random non-edge.

    Raises:
        InputError: The graph is too dense to have enough of them.
    """
    live = data.alive.nonzero().view(-1)
    known = KeySet(data.keys(smaller_first(data.pairs())))
    pairs = draw_non_edges(live, len(data.pairs()), lambda pairs: known.contains(data.keys(pairs)), generator)
    edges = both_directions(pairs, data.num_nodes) if data.undirected else sorted_edges(pairs.t(), data.num_nodes)
    return dataclasses.replace(data, edge_index=edges)
