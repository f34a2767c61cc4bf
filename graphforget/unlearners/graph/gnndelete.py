"""GNNDelete: frozen weights and trained linear operators around what was deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphforget.base import (
    Operator,
    Outcome,
    RegionOptions,
    Run,
    Tags,
    Unlearner,
    captured,
    count_work,
    evaluating,
    insert,
    row_ids,
)
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, k_hop
from graphforget.graphs.non_edges import draw_non_edges
from graphforget.requests.keys import difference
from graphforget.tasks.graph.encoding import Encoding
from graphforget.tasks.graph.task import GraphTask
from graphforget.unlearners._shared.checks import check_choice, check_count, check_number
from graphforget.unlearners._shared.scope import check_scope, localised

LOSS_MODES = ("layerwise", "all", "last_layerwise", "last_all", "first")
INITS = ("identity", "release")


class DeletionOperator(Operator):
    r"""A linear operator on the rows of some nodes.

    .. math::

        h^{\prime}_i = \begin{cases} h_i W_D & \text{for nodes } i \text{ in the mask} \\ h_i & \text{otherwise} \end{cases}

    Args:
        num_nodes: Number of node id slots.
        channels: Width of the layer it follows.
        init: ``"identity"``, or ``"release"``: every entry 1/1000.

    Attributes:
        weight: :math:`W_D`, [channels, channels].
        mask: Which stable node ids it applies to, [num_nodes] bool.
        cut: While a layer-wise loss trains: gradients do not pass to earlier operators.
    """

    kind = "gnndelete.deletion"

    def __init__(self, num_nodes: int, channels: int, init: str = "identity") -> None:
        super().__init__()
        self.num_nodes, self.channels, self.init, self.cut = num_nodes, channels, init, False
        start = torch.eye(channels) if init == "identity" else torch.full((channels, channels), 1e-3)
        self.weight = nn.Parameter(start)
        self.mask: Tensor
        self.register_buffer("mask", torch.zeros(num_nodes, dtype=torch.bool))

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {"num_nodes": self.num_nodes, "channels": self.channels, "init": self.init}

    def apply_to(self, output: Tensor) -> Tensor:
        """Edit the rows of the masked nodes; the ids of the rows are those that the task announces."""
        ids = row_ids()
        if ids is None and output.size(0) == self.num_nodes:
            mask = self.mask  # called outside a task, on all nodes
        elif ids is None or output.size(0) != len(ids):
            raise InputError(f"a deletion operator follows a layer with one row per node; this one has {output.size(0)} rows.")
        else:
            mask = self.mask[ids]
        rows = mask.nonzero().view(-1)
        inside = (output.detach() if self.cut else output)[rows] @ self.weight
        return output.index_copy(0, rows, inside)


class GNNDelete(Unlearner):
    r"""Layer-wise deletion operators (Cheng, Dasoulas, He, Agarwal and Zitnik, "GNNDelete: A General Strategy for
    Unlearning in Graph Neural Networks", ICLR 2023), the published node-embedding variant.

    All weights are frozen. After layer l a linear operator :math:`W_D^l` is inserted, applied only to nodes of :math:`S^l`, the
    l-hop neighbourhood of the ends of the deleted edges :math:`E_d` (undirected). With unprimed h of the original model on the
    graph without :math:`E_d`, and R as many random unconnected pairs, drawn once:

    .. math::

        L_{\mathrm{DEC}}^l &= \mathrm{MSE}\bigl(
            [h^{\prime}_u ; h^{\prime}_v]_{(u, v) \in E_d}, \; [h_p ; h_q]_{(p, q) \in R} \bigr) \\
        L_{\mathrm{NI}}^l  &= \mathrm{MSE}(h^{\prime}_w, h_w) \quad \text{over } w \in S^l \text{ that are no end of } E_d \\
        L^l &= \alpha L_{\mathrm{DEC}}^l + (1 - \alpha) L_{\mathrm{NI}}^l

    The first is the paper's deleted edge consistency, the second its neighbourhood influence.

    ``loss_mode="layerwise"`` steps every :math:`W_D^l` on its own :math:`L^l` only (the release's ``both_layerwise``).
    ``"all"`` sums the losses and lets gradients through, ``"last_layerwise"`` and ``"last_all"`` use the last layer's loss
    alone, ``"first"`` the first layer's. For deleted nodes, :math:`E_d` is every edge they had; their rows are read with their
    links gone and their content kept.

    Where our defaults depart from the release, and why: :math:`W_D` starts as the identity (release: every entry 1/1000, which
    collapses :math:`S^l` to one direction before the first step; ``init="release"``). :math:`S^l` is undirected (release: built
    from one direction of each edge, missing a good part of the region). Weights are really frozen and gradients of
    :math:`L^{l+1}` never reach :math:`W_D^l`. Training reads the whole graph without :math:`E_d`, as serving does (release: the
    edges of :math:`S^L` only). 500 epochs and the last state (release: up to 3000 with a checkpoint chosen by validation on a
    forget score).

    Args:
        alpha: Weight of the deleted edge consistency, in [0, 1].
        epochs: Steps; full batch.
        lr: Adam's learning rate; one optimiser per operator.
        loss_mode: One of layerwise, all, last_layerwise, last_all, first.
        init: ``"identity"`` or ``"release"``.
        scope: ``"full"`` reads the whole graph in every step; ``"region"`` only what the losses read: :math:`S^L`, the ends of
            R, and what lies within L hops of both. The operators are the same but for rounding.
        fanout: With ``scope="region"``: read at most so many neighbours per node and hop (:math:`S^l` as well), an
            approximation whose cost is bounded on any graph; None: exact.

    Raises:
        InputError: A value is out of range.

    Example:
        >>> GNNDelete(epochs=50, init="release").get_params()["init"]
        'release'
    """

    tags: ClassVar[Tags] = Tags(
        key="gnndelete",
        summary="Frozen weights; trained linear operators around the deletion.",
        citation="Cheng et al., ICLR 2023",
        kinds=frozenset({"edge", "node", "node_class"}),
        tasks=frozenset({"link_prediction", "node_classification"}),
        contexts=frozenset({"retained", "unlinked"}),
        needs_layers=True,
        needs_input_graph=True,
        declares_frozen=True,
    )

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        epochs: int = 500,
        lr: float = 1e-3,
        loss_mode: str = "layerwise",
        init: str = "identity",
        scope: str = "full",
        fanout: int | None = None,
    ) -> None:
        check_number("alpha", alpha, low=0, high=1)
        check_count("epochs", epochs)
        check_number("lr", lr, low=0, open_low=True)
        check_choice("loss_mode", loss_mode, LOSS_MODES)
        check_choice("init", init, INITS)
        check_scope(scope, fanout)
        self.alpha, self.epochs, self.lr, self.loss_mode, self.init = alpha, epochs, lr, loss_mode, init
        self.scope, self.fanout = scope, fanout

    @classmethod
    def test_params(cls) -> list[dict[str, Any]]:
        """Short runs."""
        return [{"epochs": 5, "lr": 0.01}, {"epochs": 2, "loss_mode": "all", "init": "release"}]

    def _unlearn(self, run: Run) -> Outcome:
        task, whole, model = cast(GraphTask, run.task), run.split.data, run.model
        change = task.resolve(whole, run.split.request)
        # Derived edges move where no id was named; all others are found by look-up.
        deleted = change.removed_pairs if whole.edge_rule is None else deleted_edges(whole, run.split.unlinked_data)
        if not len(deleted):
            return Outcome(info={"note": "the request removes no message-passing edge, so no operator was inserted"})
        names = task.layer_names(model)
        frozen = [name for name, _ in model.named_parameters()]
        model.eval()  # batch-norm statistics and dropout are part of what is frozen
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        live = (whole.alive & ~change.dead).nonzero().view(-1)
        pairs = draw_non_edges(live, len(deleted), whole.connected, run.generator)
        facts: dict[str, Any] = {}
        if self.scope == "region":
            run, facts = localised(run, RegionOptions(self.fanout, also=torch.unique(torch.cat([deleted, pairs]))))
        data: GraphData = run.split.unlinked_data
        with evaluating(run.original):
            before = encode(task, run.original, data, names)
        target = [before.layers[name] for name in names]
        operators, regions = self._insert(model, data, whole, deleted, names, target)

        def rows(ids: Tensor) -> Tensor:
            return before.context.rows(ids if data.part is None else data.part.slots(ids))

        rows_deleted, rows_random = rows(deleted), rows(pairs)
        outside_ends = whole.alive.clone()
        outside_ends[deleted.reshape(-1)] = False
        near = [rows((region & outside_ends).nonzero().view(-1)) for region in regions]

        layerwise = self.loss_mode.endswith("layerwise")
        optimizers = [torch.optim.Adam([operator.weight], lr=self.lr) for operator in operators]
        for operator in operators:
            operator.cut = layerwise
        for epoch in range(1, self.epochs + 1):
            tables = encode(task, model, data, names).layers
            losses = []
            for name, fixed, others in zip(names, target, near, strict=True):
                consistency = F.mse_loss(tables[name][rows_deleted], fixed[rows_random])
                influence = F.mse_loss(tables[name][others], fixed[others]) if len(others) else consistency.new_zeros(())
                losses.append(self.alpha * consistency + (1 - self.alpha) * influence)
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            # Under a layer-wise mode every operator cuts its input off, so each gets the gradient of its own loss only.
            chosen = {"first": losses[:1], "last_layerwise": losses[-1:], "last_all": losses[-1:]}.get(self.loss_mode, losses)
            torch.stack(chosen).sum().backward()
            for optimizer in optimizers:
                optimizer.step()
            run.record(epoch, self.epochs, **{f"loss_{number}": float(loss.detach()) for number, loss in enumerate(losses, 1)})
        for operator in operators:
            operator.cut = False
        covered = int(regions[-1].sum())
        return Outcome(info={"deleted_edges": len(deleted), "frozen": frozen, "nodes_with_operator": covered, **facts})

    def _insert(
        self, model: nn.Module, data: GraphData, whole: GraphData, deleted: Tensor, names: Sequence[str], tables: Sequence[Tensor]
    ) -> tuple[list[DeletionOperator], list[Tensor]]:
        """One operator after every layer; operator l covers the nodes within l hops of a deleted edge's end.

        Masks are those of the whole graph. Where ``data`` is a part read through a fan-out, nodes that it leaves out stay out.
        """
        operators, regions = [], []
        ends = torch.unique(deleted)
        for hops, (name, table) in enumerate(zip(names, tables, strict=True), 1):
            operator = DeletionOperator(whole.num_nodes, table.size(1), self.init).to(table.device, table.dtype)
            region = k_hop(whole, ends, hops)
            if self.fanout is not None:
                assert data.part is not None
                held = torch.zeros_like(region)
                held[data.part.ids[data.part.core]] = True
                region &= held
            operator.mask.copy_(region)
            insert(model, name, operator, "deletion")
            operators.append(operator)
            regions.append(region)
        return operators, regions


def deleted_edges(before: GraphData, after: GraphData) -> Tensor:
    """Edges that ``after`` lacks, [m, 2]; an undirected edge once."""
    return difference(before.pairs(), after.pairs())


def encode(task: GraphTask, model: nn.Module, data: GraphData, names: Sequence[str]) -> Encoding:
    """One pass with the outputs of ``names`` captured.

    Raises:
        InputError: A layer does not give one row per node.
    """
    with captured(model, names) as store:
        encoding = task.encode(model, data, store=store)
        count = len(encoding.context.ids)
        layers = dict(store)
    count_work(examples=count)
    for name in names:
        if name not in layers or layers[name].dim() != 2 or layers[name].size(0) != count:
            raise InputError(
                f"layer '{name}' does not give one row per node, so no operator can follow it: name the "
                f"message-passing layers with layers=[...] on the task."
            )
    return Encoding(encoding.context, encoding.outputs, layers)
