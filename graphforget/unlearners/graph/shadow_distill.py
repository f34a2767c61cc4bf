"""ShadowDistill: how far to forget, read off two thin models trained with and without the request (ours)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget import seed as seeds
from graphforget.base import Batch, FitLog, Outcome, Prepared, Run, Tags, Task, Unlearner, device_of, evaluating
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.models import GCN
from graphforget.requests import ForgetSplit, View
from graphforget.unlearners._shared.checks import check_count, check_number
from graphforget.unlearners._shared.steps import NOTHING_TO_FORGET, TailMean, descend, forget_view

# Deleted edges are grouped by the smaller degree of their ends on the retained graph: 0, 1, 2 to 3, 4 and more.
DEGREE_BINS, SMALLEST_GROUP, FEWEST_FAR = (1, 2, 4), 15, 500


class ShadowDistill(Unlearner):
    r"""Calibrated link forgetting by paired thin shadow models (graphforget).

    What a retrained model would say of a deleted edge is not what the original says once the edge is unlinked: the edge also
    taught the weights about its neighbourhood, and unseen edges beside it rose with it. How much has to go is estimated
    without gold by difference in differences:

    1. ``prepare``: a thin GCN O is trained on the whole graph, before any request.
    2. On a request: the same thin GCN R, same initial weights and draws, is trained on the retained graph.
    3. Per group g of deleted edges (smaller end degree), with mean logits M (original), O and R on the retained graph, and far
       retained edges as the control, the factor by which gold's logits should shrink is

       .. math::

           q_g = (1 - s) \frac{R_g / O_g}{R_{\text{far}} / O_{\text{far}}}
               + s \, \frac{M_{\text{val}}}{O_{\text{val}}} \, \frac{R_g}{R_{\text{far}} / O_{\text{far}}} \, \frac{1}{M_g}

       with s the ``shrink``; both terms are clipped to [0, 1], and the second ratio of validation means puts the shadow on the
       original's scale. Each edge's target is a mix of its own logit :math:`\ell_M` and the shadow's :math:`\ell_R`, both scaled
       to the group's mean:

       .. math::

           t = r \, q_g \, \ell_M + (1 - r) \frac{q_g M_g}{R_g} \, \ell_R, \qquad r = \text{trust} \cdot q_g

    4. A student with outputs p starts from the original, reads the retained graph and minimises

       .. math::

           \mathrm{BCE}\Bigl( p, \frac{p_M + w_{\text{task}} \, y}{1 + w_{\text{task}}} \Bigr)
           + w_{\text{forget}} \, \mathrm{BCE}(p, \sigma(t))

       the first term over retained edges and non-edges with labels y, the second over deleted edges, with a learning rate that
       falls to zero, a slight decay of the first layer, and the mean of the last weights.

    A run reads no test data, no forget score and no gold. The defaults were chosen once against gold models, on DBLP with other
    splits than those of our tables; on other graphs they were not tuned. R is the next request's O.

    Args:
        hidden_channels: Width of the shadow's hidden layer.
        out_channels: Width of the shadow's embeddings.
        shadow_epochs: Steps for training a shadow.
        shadow_lr: Adam's learning rate there.
        epochs: Steps of the student.
        lr: Its learning rate.
        share: Share of the retained edges in each step of shadow and student, in (0, 1].
        forget_weight: Weight of the forget term.
        task_weight: Weight of true labels beside the original's opinion on retained pairs.
        decay: Share by which the first layer's weights shrink in each step.
        shrink: Weight of the level estimate against the ratio estimate, in [0, 1].
        trust: How far an edge's own logit orders it within its group, in [0, 1].

    Raises:
        InputError: A value is out of range.

    Example:
        >>> ShadowDistill(epochs=20).get_params()["epochs"]
        20
    """

    tags: ClassVar[Tags] = Tags(
        key="shadow_distill",
        summary="Pulls deleted links to the level that two shadows estimate.",
        citation="graphforget",
        tasks=frozenset({"link_prediction"}),
        contexts=frozenset({"original", "retained", "unlinked"}),
        needs_input_graph=True,
        state_after="recomputed",
    )

    def __init__(
        self,
        *,
        hidden_channels: int = 32,
        out_channels: int = 16,
        shadow_epochs: int = 250,
        shadow_lr: float = 0.03,
        epochs: int = 40,
        lr: float = 0.01,
        share: float = 0.3,
        forget_weight: float = 0.3,
        task_weight: float = 0.1,
        decay: float = 0.003,
        shrink: float = 0.5,
        trust: float = 0.8,
    ) -> None:
        for name, value in (
            ("hidden_channels", hidden_channels),
            ("out_channels", out_channels),
            ("shadow_epochs", shadow_epochs),
            ("epochs", epochs),
        ):
            check_count(name, value)
        for name, rate in (("shadow_lr", shadow_lr), ("lr", lr)):
            check_number(name, rate, low=0, open_low=True)
        check_number("share", share, low=0, high=1, open_low=True)
        for name, weight in (("forget_weight", forget_weight), ("task_weight", task_weight)):
            check_number(name, weight, low=0)
        for name, part in (("decay", decay), ("shrink", shrink), ("trust", trust)):
            check_number(name, part, low=0, high=1)
        self.hidden_channels, self.out_channels = hidden_channels, out_channels
        self.shadow_epochs, self.shadow_lr, self.epochs, self.lr, self.share = shadow_epochs, shadow_lr, epochs, lr, share
        self.forget_weight, self.task_weight, self.decay = forget_weight, task_weight, decay
        self.shrink, self.trust = shrink, trust

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """A short run."""
        return [{"shadow_epochs": 20, "epochs": 5, "share": 1.0}]

    def prepare(self, model: nn.Module, task: Task, data: GraphData, *, seed: int, history: FitLog | None = None) -> Prepared:
        """Train the shadow of the whole graph; the served model stays."""
        shadow = self.train_shadow(task, data, seeds.derive(seed, "shadow"), device_of(model))
        return Prepared(model, _state(shadow, seeds.derive(seed, "shadow")))

    def _unlearn(self, run: Run) -> Outcome:
        task, split, forget = run.task, run.split, forget_view(run)
        if not len(forget):
            return Outcome(info={"note": NOTHING_TO_FORGET})
        before, seed = self._restore(task, split.data, run.state, device_of(run.model))
        after = self.train_shadow(task, split.retain_data, seed, device_of(run.model))
        wanted, facts = self.targets(task, split, forget, run.original, before, after)
        self._teach(run, forget, wanted)
        return Outcome(state=_state(after, seed), info=facts)

    # ---- shadows ------------------------------------------------------------------------------------------
    def train_shadow(self, task: Task, data: GraphData, seed: int, device: torch.device) -> nn.Module:
        """A thin GCN trained on ``data``; one seed gives the same initial weights and draws on any graph.

        Raises:
            InputError: The graph has no features.
        """
        model = self._thin(data, seed).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.shadow_lr)
        draws, edges = seeds.generator(seed), data.pairs()
        live = data.alive.nonzero().view(-1)
        mean = TailMean(model, last=60, total=self.shadow_epochs)
        model.train()
        for step in range(self.shadow_epochs):
            batch = _sampled(data, edges, live, max(1, int(len(edges) * self.share)), draws)
            descend(optimizer, task.loss(task.forward(model, batch)[0], batch))
            mean.see(step)
        return mean.into(model).eval()

    def _thin(self, data: GraphData, seed: int) -> nn.Module:
        if data.x is None:
            raise InputError("shadow_distill reads node features, and this graph has none: add x, or use another method.")
        with seeds.isolated(seed):
            return GCN(data.x.size(1), self.hidden_channels, self.out_channels)

    def _restore(self, task: Task, data: GraphData, state: Any, device: torch.device) -> tuple[nn.Module, int]:
        seed = int(state["shadow_seed"])
        model = self._thin(data, seed)
        model.load_state_dict({k.removeprefix("shadow."): v for k, v in state.items() if k.startswith("shadow.")})
        return model.to(device).eval(), seed

    # ---- calibration --------------------------------------------------------------------------------------
    def targets(
        self, task: Task, split: ForgetSplit, forget: View, original: nn.Module, before: nn.Module, after: nn.Module
    ) -> tuple[Tensor, dict[str, Any]]:
        """Target logit per forgotten edge, [n], and the factors behind it."""
        data: GraphData = split.retain_data
        degree = torch.bincount(split.retain.reshape(-1), minlength=data.num_nodes)
        touched = torch.zeros(data.num_nodes, dtype=torch.bool)
        touched[forget.index.reshape(-1)] = True
        far = split.retain[~touched[split.retain].any(1)]
        control = View(data, far if len(far) >= FEWEST_FAR else split.retain, "none")
        val = task.view(data, "val")
        level = View(data, val.index if len(val) else split.retain, "none")
        own, old, new = (_logits(task, m, forget) for m in (original, before, after))
        drift = _ratio(_logits(task, after, control).mean(), _logits(task, before, control).mean())
        scale = _ratio(_logits(task, original, level).mean(), _logits(task, before, level).mean())
        group = _merged(torch.bucketize(degree[forget.index].amin(1), torch.tensor(DEGREE_BINS), right=True))
        wanted, facts = own.clone(), {"control_ratio": drift, "scale": scale}
        for label in torch.unique(group).tolist():
            rows = group == label
            mean_own, mean_new = float(own[rows].mean()), max(float(new[rows].mean()), 0.1)
            by_ratio = _unit(_ratio(new[rows].mean(), old[rows].mean()) / drift)
            by_level = _unit(scale * mean_new / drift / mean_own) if mean_own > 0 else 1.0
            factor = (1 - self.shrink) * by_ratio + self.shrink * by_level
            keep = _unit(self.trust * factor)
            wanted[rows] = keep * factor * own[rows] + (1 - keep) * (factor * mean_own / mean_new) * new[rows]
            facts[f"factor_group_{label}"] = factor
        return wanted, facts

    # ---- student ------------------------------------------------------------------------------------------
    def _teach(self, run: Run, forget: View, wanted: Tensor) -> None:
        task, data, model = run.task, run.split.retain_data, run.model
        edges, live = run.split.retain, run.split.retain_data.alive.nonzero().view(-1)
        count = max(1, int(len(edges) * self.share))
        first = [p for p in dict(model.named_modules())[task.layer_names(model)[0]].parameters() if p.dim() > 1]
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr, betas=(0.9, 0.99))
        goal = torch.sigmoid(wanted).to(device_of(model))
        target_batch = Batch(forget.data, forget.index, torch.ones(len(forget)))
        pool = _sampled(data, edges, live, 2 * len(edges), run.generator, every=True)
        with evaluating(run.original):
            opinion = torch.sigmoid(task.forward(run.original, pool)[0].outputs)
        soft = (opinion + self.task_weight * pool.y.to(opinion)) / (1 + self.task_weight)
        mean = TailMean(model, last=10, total=self.epochs)
        model.train()
        for step in range(self.epochs):
            for part in optimizer.param_groups:
                part["lr"] = self.lr * min(1.0, 2 * (self.epochs - step) / self.epochs)
            rows = torch.cat(
                [
                    torch.randint(len(edges), (count,), generator=run.generator),
                    len(edges) + torch.randint(2 * len(edges), (count,), generator=run.generator),
                ]
            )
            batch = Batch(data, pool.index[rows], pool.y[rows])
            kept, gone = task.forward(model, batch, target_batch)
            retain = F.binary_cross_entropy_with_logits(kept.outputs, soft[rows.to(soft.device)])
            pull = F.binary_cross_entropy_with_logits(gone.outputs, goal)
            loss = descend(optimizer, retain + self.forget_weight * pull)
            with torch.no_grad():
                for parameter in first:
                    parameter.mul_(1 - self.decay)
            mean.see(step)
            run.record(step + 1, self.epochs, loss=loss, retain_loss=float(retain.detach()), forget_loss=float(pull.detach()))
        mean.into(model)


def _sampled(data: GraphData, edges: Tensor, live: Tensor, count: int, draws: torch.Generator, *, every: bool = False) -> Batch:
    """``count`` random edges (or every one) and ``count`` random pairs of live nodes as non-edges; chance hits are rare."""
    positive = edges if every else edges.index_select(0, torch.randint(len(edges), (count,), generator=draws))
    negative = live.index_select(0, torch.randint(len(live), (2 * count,), generator=draws)).view(count, 2)
    return Batch(data, torch.cat([positive, negative]), torch.cat([torch.ones(len(positive)), torch.zeros(count)]))


def _logits(task: Task, model: nn.Module, view: View) -> Tensor:
    """Logits of the view's positives, evaluation mode, on the CPU."""
    with evaluating(model):
        return task.forward(model, Batch(view.data, view.index, torch.ones(len(view))))[0].outputs.cpu()


def _ratio(top: Tensor, bottom: Tensor) -> float:
    return max(float(top), 1e-3) / max(float(bottom), 1e-3)


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _merged(group: Tensor) -> Tensor:
    """Groups with too few members joined to the nearest other group."""
    while True:
        labels, counts = torch.unique(group, return_counts=True)
        if len(labels) == 1 or int(counts.min()) >= SMALLEST_GROUP:
            return group
        small = labels[counts.argmin()]
        others = labels[labels != small]
        group = torch.where(group == small, others[(others - small).abs().argmin()], group)


def _state(shadow: nn.Module, seed: int) -> dict[str, Any]:
    return {f"shadow.{k}": v.detach().cpu() for k, v in shadow.state_dict().items()} | {"shadow_seed": seed}
