"""Link prediction on one graph."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphforget.base import Batch, Forward, Recipe
from graphforget.base.capabilities import has_decode
from graphforget.base.memo import Memo
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.graphs.non_edges import draw_non_edges
from graphforget.kernels import pair_scores
from graphforget.metrics.utility import average_precision, roc_auc
from graphforget.requests import DeletionRequest, ForgetSplit, View
from graphforget.requests.keys import KeySet
from graphforget.tasks.graph.change import Change
from graphforget.tasks.graph.encoding import read_batch
from graphforget.tasks.graph.inputs import unwrapped
from graphforget.tasks.graph.task import GraphTask
from graphforget.tasks.outputs import binary_logits, check_declared, meaning, tensor_of
from graphforget.tasks.trainable import chunks, reduce


class LinkPrediction(GraphTask):
    """Bernoulli outputs per pair of nodes; an example is a row (u, v), u <= v where the graph is undirected.

    The model returns node embeddings from ``forward(x, edge_index)``; a pair's logit is the dot product, or
    ``model.decode(z, edge_label_index)`` where the model has it. Training positives are the message-passing edges
    themselves, as in Cheng et al., "GNNDelete" (ICLR 2023); negatives are drawn anew in every epoch from live nodes and
    exclude existing edges.

    Args:
        outputs: What ``decode`` returns, ``"logits"`` or ``"probabilities"``; by default logits, and what looks like
            probabilities is refused. A decoder with a parameter ``sigmoid``, as PyG's autoencoders have, is asked for logits.
        **kwargs: See :class:`~graphforget.tasks.GraphTask`.

    Example:
        >>> from graphforget.datasets import load
        >>> from graphforget.models import GCN
        >>> data = load("digits", task="link_prediction")
        >>> task = LinkPrediction(build=lambda d: GCN(64, 32, 16))
        >>> sorted(task.utility(task.new_model(data, seed=0), task.view(data, "val")))
        ['average_precision', 'roc_auc']
    """

    name = "link_prediction"
    output_kind = "bernoulli"
    monitor = "roc_auc"
    default_recipe = Recipe(epochs=1500, lr=5e-3, patience=20, eval_every=10)

    def __init__(self, *, outputs: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outputs = check_declared(outputs)
        self._meanings = Memo()

    def describe(self) -> dict[str, Any]:
        """JSON-safe record of the task."""
        return super().describe() | ({} if self.outputs is None else {"outputs": self.outputs})

    def adopt(self, data: object) -> GraphData:
        """A graph with at least one edge.

        Raises:
            InputError: No edges to learn from.
        """
        graph = super().adopt(data)
        if graph.edge_index.size(1) == 0:
            raise InputError("link prediction needs at least one edge; edge_index is empty.")
        if any(rows.dim() == 1 for rows in graph.splits.values()):
            return _WITHOUT_NODE_SPLITS.get(graph, "links", (), lambda: _without_node_splits(graph))
        return graph

    def view(
        self,
        data: GraphData,
        part: str,
        *,
        side: Literal["forget", "retain"] | None = None,
        request: DeletionRequest | None = None,
    ) -> View:
        """Positive pairs of a part; val and test carry their fixed negatives. A pair has no class: all are on the retain side."""
        if side == "forget":
            return View(data, torch.empty((0, 2), dtype=torch.long), "none")
        if part == "train":
            return View(data, data.pairs(), "draw")
        nothing = torch.empty((0, 2), dtype=torch.long)
        return View(data, data.splits.get(part, nothing), data.splits.get(f"{part}_neg", nothing))

    def split(self, data: GraphData, request: DeletionRequest) -> ForgetSplit:
        """Resolve a request; see :meth:`GraphTask.split`.

        Raises:
            InputError: Also for edges that derive from features: a deletion moves other edges too, so that what is retained
                would not be a part of what was trained on.
        """
        if data.edge_rule is not None:
            raise InputError(
                f"the edges of '{data.name}' are derived from its features, so they cannot be examples of link prediction: "
                f"hold some out first, for example load(name, task='link_prediction') or split_edges(data)."
            )
        return super().split(data, request)

    def _examples(self, data: GraphData, change: Change) -> dict[str, Any]:
        removed = change.removed_pairs

        def retain() -> Tensor:
            stays = torch.ones(len(data.pairs()), dtype=torch.bool)
            stays[torch.searchsorted(data.lookup.example_keys, data.keys(removed))] = False
            return data.pairs()[stays]

        def affected() -> Tensor:
            near = change.pairs_at(change.region.nonzero().view(-1))
            return near[~torch.isin(near, change.feature_nodes).any(1)]

        return {
            "removed": removed,
            "retain": retain,
            "altered": lambda: change.pairs_at(change.feature_nodes),
            "affected": affected,
            "readable": ~change.dead[removed].any(1),
        }

    def _batches(
        self, view: View, *, batch_size: int | None = None, shuffle: bool = False, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Positives first, then as many negatives (drawn, fixed or none, as the view says)."""
        pieces = chunks(len(view), batch_size, shuffle, generator)
        fixed = view.negatives if isinstance(view.negatives, Tensor) else None
        shares = fixed.tensor_split(len(pieces)) if fixed is not None else None
        for number, piece in enumerate(pieces):
            positive = view.index[piece]
            if shares is not None:
                negative = shares[number]
            elif view.negatives == "draw":
                negative = self.draw_negatives(view.data, len(positive), generator)
            else:
                negative = positive[:0]
            y = torch.cat([torch.ones(len(positive)), torch.zeros(len(negative))])
            yield Batch(view.data, torch.cat([positive, negative]), y)

    def draw_negatives(self, data: GraphData, count: int, generator: torch.Generator | None) -> Tensor:
        """``count`` uniform pairs of distinct live nodes that are no edge of ``data``, [count, 2]; core nodes, of a part.

        Validation and test edges count as non-edges: a deployer does not know them.

        Raises:
            InputError: Fewer than two nodes, or so dense a graph that non-edges were not found.
        """
        alive, part = data.alive, data.part
        live = self._memo.get(data, "live", (alive,), lambda: (alive if part is None else alive & part.core).nonzero().view(-1))
        edges = self._memo.get(data, "edges", (data.edge_index,), lambda: KeySet(data.lookup.example_keys, places=64))
        if len(live) < 2:
            raise InputError("negatives cannot be drawn: fewer than two nodes are left" + (" in the region." if part else "."))
        why = f"'{data.name}' is (nearly) complete"
        if part is not None:
            why = (
                "the nodes of the region are (nearly) all connected; let others join with retain_sample=256, or use scope='full'"
            )
        return draw_non_edges(
            live,
            count,
            lambda pairs: edges.contains(data.keys(pairs)),
            generator,
            undirected=data.undirected,
            draws=lambda need: need + need // 20 + 8,  # most pairs of a sparse graph are no edges
            why=why,
        )

    def relabel(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Edges become non-edges and the reverse: the only wrong answer there is."""
        return batch.replace(y=1 - batch.y)

    def _forward(self, model: nn.Module, batches: list[Batch], store: dict[str, Tensor]) -> list[Forward]:
        encoding = self.encode(model, batches[0].data, store=store)
        results = []
        for batch in batches:
            z, layers, rows = read_batch(encoding, batch)
            outputs = self._decoded(model, z, rows) if has_decode(unwrapped(model)) else pair_scores(z, rows)
            layers.update({k: t for k, t in store.items() if k not in layers})
            results.append(Forward(outputs, z, layers, rows))
        return results

    def _decoded(self, model: nn.Module, z: Tensor, rows: Tensor) -> Tensor:
        """Logits of pairs by the model's own decoder, [n]; one with a switch for its last sigmoid is asked without it."""
        inner = unwrapped(model)
        what = f"{type(inner).__name__}.decode(z, edge_label_index)"
        without = {"sigmoid": False} if _has_sigmoid(inner) else {}
        outputs = tensor_of(inner.decode(z, rows.t(), **without), len(rows), what)  # type: ignore[operator]
        if outputs.size(0) != len(rows) or outputs.numel() != len(rows):
            raise InputError(f"{what} must return one logit per pair, [{len(rows)}]; got {list(outputs.shape)}.")
        declared = "logits" if without else self.outputs
        kind = self._meanings.get(model, "meaning", (), lambda: meaning(outputs, declared, what))
        return binary_logits(outputs, kind)

    def loss(self, forward: Forward, batch: Batch, *, reduction: Literal["mean", "sum", "none"] = "mean") -> Tensor:
        """Binary cross-entropy on logits."""
        y = batch.y.to(forward.outputs)
        return reduce(nn.functional.binary_cross_entropy_with_logits(forward.outputs, y, reduction="none"), reduction)

    def twins(self, split: ForgetSplit) -> Tensor:
        """Validation edges within one hop of what the request touched."""
        pairs = self.index(split.retain_data, "val")
        hops = split.region["distance"][pairs]
        return pairs[((hops >= 0) & (hops <= 1)).any(1)]

    def can_score(self, view: View) -> bool:
        """Positives, and fixed negatives to compare them with."""
        return len(view) > 0 and isinstance(view.negatives, Tensor) and len(view.negatives) > 0

    def utility(self, model: nn.Module, view: View) -> dict[str, float]:
        """``{"roc_auc": ..., "average_precision": ...}`` of positives against the view's negatives.

        Raises:
            InputError: The view has no fixed negatives, or one side is empty.
        """
        if not isinstance(view.negatives, Tensor):
            raise InputError("link utility needs fixed negatives: use task.view(data, 'val') or 'test'.")
        scores = self.predict(model, view)
        y = torch.cat([torch.ones(len(view)), torch.zeros(len(view.negatives))])
        return {"roc_auc": roc_auc(scores, y), "average_precision": average_precision(scores, y)}


_WITHOUT_NODE_SPLITS = Memo()


def _without_node_splits(graph: GraphData) -> GraphData:
    warnings.warn(
        f"'{graph.name}' has splits of nodes, which say nothing of links: link prediction trains on all edges and holds out "
        f"none. graphforget.datasets.split_edges(data) holds some out for validation and test.",
        stacklevel=5,
    )
    return dataclasses.replace(graph, splits={})


def _has_sigmoid(model: nn.Module) -> bool:
    """Whether a decoder has a switch ``sigmoid`` for its last step: itself, or the module that it hands on to."""
    functions = [model.decode, getattr(getattr(model, "decoder", None), "forward", None)]
    return any(callable(f) and "sigmoid" in inspect.signature(f).parameters for f in functions)
