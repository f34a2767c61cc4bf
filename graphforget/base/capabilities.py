"""What a model may offer beyond ``forward``: one protocol per offer, and the function that asks for it.

Nothing here is obligatory. A task or a method asks by the function of this module and does without, or refuses with a reason,
where the answer is no. A model offers something by having an attribute of that name; there is nothing to inherit and nothing
to register.

What ``forward`` is given it asks for by the names of its parameters; see :mod:`graphforget.tasks.graph.inputs`.

Ask with the functions, not with ``isinstance``: of a flag such as ``reads_graph`` the value counts and not its presence, and of
wrapped models the functions see what Python's attribute look-up sees (what ``torch.compile`` forwards, and a submodule of that
name), which a protocol check does not.

============================  =======================  ==================================================
the model has                 asked by                 who reads it
============================  =======================  ==================================================
``accepts_sparse``            :func:`accepts_sparse`   graph tasks
``encode``                    :func:`has_encode`       graph tasks
``decode``                    :func:`has_decode`       link prediction
``reads_graph``, ``penalty``  :func:`reads_graph`      recommendation
``score_all``                 :func:`has_score_all`    recommendation
``pair_losses``               :func:`has_pair_losses`  recommendation
``fit_closed_form``           :func:`has_closed_form`  recommendation
``entity_rows``               :func:`has_entity_rows`  methods that edit rows, evaluation of recommenders
``layer_names``               :func:`has_layer_names`  every task
``config``                    :func:`config_of`        fresh models, saving, the cache of gold models
``reset_parameters``          :func:`has_reset`        fresh models
``acceleration``              :func:`acceleration_of`  fresh models
============================  =======================  ==================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor, nn

from graphforget.exceptions import InputError

if TYPE_CHECKING:  # types of the arguments alone: this row imports nothing of those below it
    from typing_extensions import TypeIs

    from graphforget.interactions import InteractionGraph, Interactions
    from graphforget.kernels import SparseGraph


# ---- graphs ---------------------------------------------------------------------------------------------------
class AcceptsSparse(Protocol):
    """The model takes a compiled graph in the place of ``edge_index``, and sparse features.

    With ``accepts_sparse = True`` graph tasks call ``forward(x, graph)`` with ``graph`` a
    :class:`~graphforget.kernels.SparseGraph` [n, n] that is kept with the data, so that nothing is compiled in an epoch, and with
    ``x`` [n, F] dense, or a rectangular ``SparseGraph`` where most entries are zero. In a part of a graph (``scope="region"``,
    mini-batches) the graph knows the degrees of the whole one: use its ``gcn_norm()``, ``row_factor`` and ``total_degree``, and
    never count entries. Parts are cut for that, one hop closer than for other models, which are given ``edge_index`` [2, E] and a
    dense ``x``.

    Used by node classification and link prediction in every pass.

    Example:
        >>> from graphforget.kernels import spmm
        >>> class OneStep(nn.Module):
        ...     accepts_sparse = True
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lin = nn.Linear(34, 2)
        ...     def forward(self, x, graph):
        ...         return self.lin(spmm(graph.gcn_norm(), x if isinstance(x, Tensor) else x.to_dense()))
        >>> from graphforget.datasets import load
        >>> from graphforget.tasks import NodeClassification
        >>> data, task = load("karate"), NodeClassification(num_hops=1)
        >>> task.encode(OneStep(), data).outputs.shape, accepts_sparse(OneStep())
        (torch.Size([34, 2]), True)
    """

    accepts_sparse: bool

    def forward(self, x: Tensor | SparseGraph, graph: SparseGraph) -> Tensor:
        """[n, d], one row per node."""
        ...


def accepts_sparse(model: object) -> bool:
    """Whether a model takes a compiled graph and sparse features; see :class:`AcceptsSparse`."""
    return bool(getattr(model, "accepts_sparse", False))


class Encode(Protocol):
    """The model gives embeddings of nodes by ``encode``, as PyG's autoencoders (``GAE``, ``VGAE``) do.

    Graph tasks call it in the place of ``forward``, with what its parameters ask for by name, or those of ``encoder`` where it
    only hands on. A model with a ``forward`` of its own is called by that, whatever else it has.

    Used by node classification and link prediction in every pass.

    Example:
        >>> class Auto(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lin = nn.Linear(34, 8)
        ...     def encode(self, x, edge_index):
        ...         return self.lin(x)
        >>> from graphforget.datasets import load
        >>> from graphforget.tasks import NodeClassification
        >>> has_encode(Auto()), NodeClassification().encode(Auto(), load("karate")).outputs.shape
        (True, torch.Size([34, 8]))
    """

    def encode(self, *args: Any, **kwargs: Any) -> Tensor:
        """Embeddings [n, d], one row per node."""
        ...


def has_encode(model: object) -> TypeIs[Encode]:
    """Whether a model of a graph can be called by ``encode``; see :class:`Encode`."""
    return _has_method(model, "encode")


class Decode(Protocol):
    """The model has a score of its own for a pair of nodes, in the place of the dot product of their embeddings.

    Used by link prediction, for training, prediction and everything that methods compute of pairs. A decoder with a parameter
    ``sigmoid`` is asked without it.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lin, self.score = nn.Linear(34, 8), nn.Linear(16, 1)
        ...     def forward(self, x, edge_index):
        ...         return self.lin(x)
        ...     def decode(self, z, edge_label_index):
        ...         u, v = edge_label_index
        ...         return self.score(torch.cat([z[u], z[v]], 1)).view(-1)
        >>> import torch
        >>> from graphforget.datasets import load, split_edges
        >>> from graphforget.tasks import LinkPrediction
        >>> task, data = LinkPrediction(), split_edges(load("karate"), seed=0)
        >>> view = task.view(data, "test")
        >>> has_decode(Net()), len(task.predict(Net(), view)) == len(view) + len(view.negatives)
        (True, True)
    """

    def decode(self, z: Tensor, edge_label_index: Tensor) -> Tensor:
        """Logits [n] of pairs ``edge_label_index`` [2, n] of rows of ``z`` [rows, d]."""
        ...


def has_decode(model: object) -> TypeIs[Decode]:
    """Whether a model scores pairs of nodes itself; see :class:`Decode`."""
    return _has_method(model, "decode")


# ---- recommenders ---------------------------------------------------------------------------------------------
class PairEncoding(Protocol):
    """What a model that reads the graph returns: the users and items that were asked for, ready to be scored.

    Ids are rows here: 0 to U - 1 in the order of the ``user_id`` that was given, and likewise for items. An encoding may also
    have ``table`` [U + I, d], users first, whose rows become ``Forward.embeddings``; and ``users`` [U, d] and ``items`` [I, d],
    whose dot products are the scores, which the evaluation compares. In
    :class:`graphforget.models.recommender.base.Encoded` all are there.
    """

    def pair_scores(self, user: Tensor, item: Tensor) -> Tensor:
        """Scores [n] of pairs of rows (``user`` [n], ``item`` [n])."""
        ...

    def scores(self, user: Tensor) -> Tensor:
        """Scores [n, I] of every encoded item for the rows ``user`` [n]."""
        ...


def encoded_table(encoded: PairEncoding, name: Literal["table", "users", "items"]) -> Tensor | None:
    """A table of vectors that an encoding may have; see :class:`PairEncoding`."""
    found = getattr(encoded, name, None)
    return found if isinstance(found, Tensor) else None


class ReadsGraph(Protocol):
    """The recommender reads interactions or item content as its input: propagation, item-item graphs, features.

    With ``reads_graph = True`` recommendation calls ``forward(graph, user_id, item_id)``, where ``graph`` is the
    :class:`~graphforget.interactions.InteractionGraph` of the data that the model is read on. Keep nothing of it in the model: a
    deletion is served by handing in another one. Without it a recommender is called as ``forward(user_id, item_id) -> [n]``.

    The flag also says that the task has an input graph (``task.reads_structure(model)``), so that ``unlink`` serves it, and that
    the regulariser is the model's own ``penalty``.

    Used by recommendation in every pass, by ``graphforget_rec``, and by the evaluation of vectors.

    Example:
        >>> from graphforget.models.recommender.base import Encoded
        >>> class Popular(nn.Module):
        ...     reads_graph = True
        ...     def forward(self, graph, user_id=None, item_id=None):
        ...         items = graph.popularity.float().view(-1, 1)
        ...         items = items if item_id is None else items[item_id]
        ...         count = graph.num_users if user_id is None else len(user_id)
        ...         return Encoded(torch.cat([items.new_ones(count, 1), items]), count)
        ...     def penalty(self, encoded, user, item, negative, *, l2):
        ...         return encoded.table.new_zeros(())
        >>> import torch
        >>> from graphforget.interactions import Interactions
        >>> from graphforget.tasks import Recommendation
        >>> data = Interactions.create({"train": [[0, 0], [0, 1], [1, 1]], "test": [[1, 0]]}, num_items=3)
        >>> task = Recommendation(build=lambda data: Popular(), top_k=1)
        >>> reads_graph(Popular()), task.utility(Popular(), task.view(data, "test"))["recall@1"]
        (True, 1.0)
    """

    reads_graph: bool

    def forward(self, graph: InteractionGraph, user_id: Tensor | None = None, item_id: Tensor | None = None) -> PairEncoding:
        """The users ``user_id`` [U] and items ``item_id`` [I], by default all of them, encoded on ``graph``."""
        ...

    def penalty(self, encoded: Any, user: Tensor, item: Tensor, negative: Tensor, *, l2: float) -> Tensor:
        """What training adds to the data term, a scalar: auxiliary losses, and the regulariser times the task's ``l2``.

        Args:
            encoded: What ``forward`` returned.
            user: Rows of the batch's users, [n].
            item: Rows of the batch's items, [n].
            negative: Rows of the items that they are compared with, [n].
            l2: The task's coefficient.
        """
        ...


def reads_graph(model: object) -> bool:
    """Whether a recommender reads interactions or content as its input; see :class:`ReadsGraph`."""
    return bool(getattr(model, "reads_graph", False))


class ScoreAll(Protocol):
    """The recommender scores every item for some users at once, quicker than pair by pair.

    For models that are called as ``forward(user_id, item_id)``; it must give the same scores. One that reads the graph scores
    through its encoding instead.

    Used by recommendation for ranking: utility, served lists, and the evaluation.

    Example:
        >>> class Factors(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.user, self.item = nn.Embedding(3, 2), nn.Embedding(5, 2)
        ...     def forward(self, user_id, item_id):
        ...         return (self.user(user_id) * self.item(item_id)).sum(1)
        ...     def score_all(self, user_id):
        ...         return self.user(user_id) @ self.item.weight.t()
        >>> import torch
        >>> has_score_all(Factors()), Factors().score_all(torch.tensor([2, 0])).shape
        (True, torch.Size([2, 5]))
    """

    def score_all(self, user_id: Tensor) -> Tensor:
        """Scores [n, num_items] of every item slot for the users ``user_id`` [n]; those of forgotten items are not read."""
        ...


def has_score_all(model: object) -> TypeIs[ScoreAll]:
    """Whether a recommender scores all items at once; see :class:`ScoreAll`."""
    return _has_method(model, "score_all")


class PairLosses(Protocol):
    """The recommender has a data term of its own, in the place of Bayesian personalised ranking on margins.

    For models that read the graph. The losses are per interaction, so that methods can weigh, sum and reverse them; ``y`` is 1,
    and -1 where a preference is reversed (``task.relabel``).

    Used by recommendation in training and by every method that takes its loss; ``ifru`` and ``scif`` then take the Hessian for
    their curvature, since such a loss is no function of margins.

    Example:
        >>> from graphforget.models import BM3
        >>> has_pair_losses(BM3(3, 4, {"image": 5}, dim=2))
        True
    """

    def pair_losses(self, encoded: Any, user: Tensor, item: Tensor, y: Tensor) -> Tensor:
        """Losses [n] of rows (``user`` [n], ``item`` [n]) of ``encoded`` with the labels ``y`` [n], 1 or -1."""
        ...


def has_pair_losses(model: object) -> TypeIs[PairLosses]:
    """Whether a recommender has a loss of its own; see :class:`PairLosses`."""
    return _has_method(model, "pair_losses")


class ClosedForm(Protocol):
    """The recommender is solved, not trained by gradients.

    ``task.fit`` then calls it in the place of the training loop; the recipe's epochs, learning rate and batches have no effect.
    Calling it again on other data gives the model of those data, whatever it held before.

    Used by recommendation for training, gold models included. Of a model without parameters methods that take gradients say that
    it has none.

    Example:
        >>> class Popularity(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("count", torch.zeros(3))
        ...     def fit_closed_form(self, data):
        ...         self.count.copy_(torch.bincount(data.splits["train"][:, 1], minlength=3))
        ...     def forward(self, user_id, item_id):
        ...         return self.count[item_id]
        >>> import torch
        >>> from graphforget.interactions import Interactions
        >>> from graphforget.tasks import Recommendation
        >>> data, model = Interactions.create({"train": [[0, 0], [0, 1], [1, 1]]}, num_items=3), Popularity()
        >>> log = Recommendation().fit(model, data, seed=0)
        >>> has_closed_form(model), model.count.tolist(), log.epochs
        (True, [1.0, 2.0, 0.0], 1)
    """

    def fit_closed_form(self, data: Interactions) -> None:
        """Solve for the weights on the training part of ``data``, in place.

        Raises:
            InputError: The data do not fit the model.
        """
        ...


def has_closed_form(model: object) -> TypeIs[ClosedForm]:
    """Whether a recommender is solved instead of trained; see :class:`ClosedForm`."""
    return _has_method(model, "fit_closed_form")


# ---- every model ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class RowBlock:
    """Rows ``offset + stride * id`` of a parameter belong to the entity with that id.

    ``modality`` names the item features that the rows correct, for tables that go back to fresh with that content alone.
    """

    parameter: str
    offset: int = 0
    stride: int = 1
    modality: str | None = None


class EntityRows(Protocol):
    """The model says which rows of its parameters belong to which user, item or node.

    Only the model can know: a table may hold users and items one after the other, or several rows per item. Rows that belong to
    no single entity are named by nobody.

    Used by recommendation for its regulariser; by methods that edit rows (*entity rows* under *needs* in the table of methods);
    by the evaluation, which gives a forgotten item that returns the row of a new one; and for growing and compacting tables.

    Example:
        >>> class Factors(nn.Module):
        ...     def __init__(self, num_users, num_items):
        ...         super().__init__()
        ...         self.num_users, self.table = num_users, nn.Embedding(num_users + num_items, 2)
        ...     def forward(self, user_id, item_id):
        ...         return (self.table(user_id) * self.table(self.num_users + item_id)).sum(1)
        ...     def entity_rows(self):
        ...         return {"user": [RowBlock("table.weight")], "item": [RowBlock("table.weight", offset=self.num_users)]}
        >>> import torch
        >>> from graphforget.base import rows_by_parameter
        >>> rows_by_parameter(Factors(3, 4), {"item": torch.tensor([0, 2])})
        {'table.weight': tensor([3, 5])}
    """

    def entity_rows(self) -> Mapping[str, Sequence[RowBlock]]:
        """Blocks by kind of entity, e.g. ``{"user": [...], "item": [...]}``.

        Names are those of ``named_parameters()``. The first block of a kind is the entity's own vector.
        """
        ...


def has_entity_rows(model: object) -> TypeIs[EntityRows]:
    """Whether a model says which rows belong to whom; see :class:`EntityRows`."""
    return _has_method(model, "entity_rows")


def entity_rows(model: nn.Module) -> Mapping[str, Sequence[RowBlock]]:
    """The blocks of a model that must have them; see :class:`EntityRows`.

    Raises:
        InputError: The model does not say which rows belong to whom.
    """
    if not has_entity_rows(model):
        raise InputError(f"{type(model).__name__} does not say which rows belong to an entity (entity_rows()).")
    return model.entity_rows()


class LayerNames(Protocol):
    """The model names its layers, in the order in which they run.

    Without it layers are PyG's convolutions, else linear, convolutional and recurrent modules. ``layers=[...]`` on the task goes
    before both. Give it where a module is not one of these, or where some of them are no layers (``[]``: there are none).

    Used by every task (``task.layer_names``), for methods that compare or edit layers (*named layers* under *needs* in the table
    of methods), and to count how many hops a model reads where it has no convolutions.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.mix, self.out = nn.Bilinear(4, 4, 3), nn.Linear(3, 2)
        ...     def layer_names(self):
        ...         return ["mix", "out"]
        >>> from graphforget.base.model import default_layer_names
        >>> default_layer_names(Net())
        ['mix', 'out']
    """

    def layer_names(self) -> Sequence[str]:
        """Names as in ``named_modules()``."""
        ...


def has_layer_names(model: object) -> TypeIs[LayerNames]:
    """Whether a model names its layers; see :class:`LayerNames`."""
    return _has_method(model, "layer_names")


class Configured(Protocol):
    """The model says how it was made: ``type(model)(**model.config)`` has the same shape.

    A property or an attribute; a dictionary that JSON can hold. Anything else under that name is not read.

    Used to make fresh models of a template (gold models, shards, resets), to save and load a model, to grow and compact a
    recommender (which need ``num_users`` and ``num_items`` in it), and in the key under which gold models are cached.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self, width=4):
        ...         super().__init__()
        ...         self.config = {"width": width}
        ...         self.lin = nn.Linear(width, 2)
        >>> from graphforget.base import fresh_like
        >>> config_of(Net(7)), fresh_like(Net(7)).lin.in_features, config_of(nn.Linear(2, 2))
        ({'width': 7}, 7, None)
    """

    @property
    def config(self) -> dict[str, Any]:
        """Constructor arguments."""
        ...


def config_of(model: object) -> dict[str, Any] | None:
    """The constructor arguments that a model says it has, or None; see :class:`Configured`."""
    found = getattr(model, "config", None)
    return found if isinstance(found, dict) else None


class ResetParameters(Protocol):
    """The module draws its own weights anew, as torch's and PyG's layers do.

    Used to make a fresh copy of a model without ``config``: every submodule is asked, children first. A parameter that no reset
    sets is an error.

    Example:
        >>> import torch
        >>> class Scaled(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.lin, self.scale = nn.Linear(2, 2), nn.Parameter(torch.ones(2))
        ...     def reset_parameters(self):
        ...         nn.init.ones_(self.scale)
        >>> from graphforget.base import fresh_like
        >>> has_reset(Scaled()), fresh_like(Scaled()).scale.tolist()
        (True, [1.0, 1.0])
    """

    def reset_parameters(self) -> None:
        """Fresh weights from torch's generator, in place."""
        ...


def has_reset(module: object) -> TypeIs[ResetParameters]:
    """Whether a module draws its own weights anew; see :class:`ResetParameters`."""
    return _has_method(module, "reset_parameters")


class Acceleration(Protocol):
    """What was done to a model that a fresh one must be given as well.

    :func:`graphforget.accelerate` leaves its record in ``model.acceleration``. Used where a fresh model is made from ``config``,
    which knows nothing of it.

    Example:
        >>> from torch_geometric.nn import GCN
        >>> import graphforget
        >>> acceleration_of(graphforget.accelerate(GCN(4, 8, num_layers=2))) is not None, acceleration_of(GCN(4, 8, num_layers=2))
        (True, None)
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Do the same to another model of the class."""
        ...


def acceleration_of(model: object) -> Acceleration | None:
    """What was done to a model, or None; see :class:`Acceleration`."""
    found = getattr(model, "acceleration", None)
    return found if _has_method(found, "apply") else None


def _has_method(model: object, name: str) -> bool:
    return callable(getattr(model, name, None))
