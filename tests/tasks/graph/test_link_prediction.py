"""Link prediction: pairs, negatives, what is readable where."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphforget import seed as seeds
from graphforget.base import Ensemble, Recipe, counting
from graphforget.exceptions import InputError, ViewError
from graphforget.graphs import GraphData, KNNRule, both_directions
from graphforget.models import GCN
from graphforget.requests import DeletionRequest, View
from graphforget.requests.keys import is_among
from graphforget.tasks import LinkPrediction


@pytest.fixture
def task() -> LinkPrediction:
    return LinkPrediction(build=lambda d: GCN(d.x.size(1), 8, 4))


def pairs_of(index: torch.Tensor) -> set[tuple[int, int]]:
    return {(u, v) for u, v in index.tolist()}


# ---- partitions -------------------------------------------------------------------------------------------
def test_forgotten_edges_are_read_on_the_retained_graph(task, link_data):
    split = task.split(link_data, DeletionRequest.edges([[1, 8], [0, 7]]))
    assert split.forget_source == "removed" and pairs_of(split.removed) == {(0, 1), (7, 8)}
    assert split.forget_context == "retained"
    view = split.view("forget", on="retained")
    assert not pairs_of(view.data.pairs()) & pairs_of(view.index)
    outputs = task.predict(task.new_model(link_data, seed=0), view)
    assert outputs.shape == (2,) and bool(outputs.isfinite().all())
    assert split.unlinked_data is split.retain_data  # an edge has no content of its own


def test_edges_of_deleted_nodes_have_no_content_left(task, link_data):
    split = task.split(link_data, DeletionRequest.nodes([0]) | DeletionRequest.edges([[7], [8]]))
    incident = {p for p in pairs_of(link_data.pairs()) if 0 in p}
    assert pairs_of(split.removed) == incident | {(7, 8)}
    with pytest.raises(ViewError, match=f"{len(incident)} of the {len(incident) + 1} forgotten examples"):
        split.view("removed", on="retained")
    assert split.forget_context == "unlinked"
    assert bool(task.predict(task.new_model(link_data, seed=0), split.view("forget", on="unlinked")).isfinite().all())
    assert not any(0 in p for part in split.retain_data.splits.values() for p in part.tolist())


def test_feature_request_alters_pairs(task, link_data):
    split = task.split(link_data, DeletionRequest.node_features([4]))
    assert split.forget_source == "altered" and not len(split.removed)
    assert pairs_of(split.altered) == {p for p in pairs_of(link_data.pairs()) if 4 in p}
    assert not pairs_of(split.altered) & pairs_of(split.affected)
    assert pairs_of(split.retain) == pairs_of(link_data.pairs())


def test_a_test_edge_is_no_training_example(task, link_data):
    split = task.split(link_data, DeletionRequest.edges([[1], [6]]))
    assert not len(split.removed) and split.forget_source == "none"  # it carries no messages: no output changes
    assert (1, 6) not in pairs_of(split.retain_data.splits["test"])


def test_affected_pairs_lie_in_the_region(task, link_data):
    split = task.split(link_data, DeletionRequest.edges([[12], [13]]))
    region = split.region["nodes"]
    expected = {(u, v) for u, v in split.retain.tolist() if region[u] or region[v]}
    assert pairs_of(split.affected) == expected and len(expected) < len(split.retain)
    near = task.near(split)
    assert pairs_of(torch.cat(list(near.values()))) == pairs_of(split.retain)


# ---- negatives and draws ----------------------------------------------------------------------------------
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(1, 60), st.booleans())
def test_negatives_are_live_non_edges(seed, count, undirected):
    generator = torch.Generator().manual_seed(seed % 7)
    rows = torch.randint(12, (14, 2), generator=generator)
    rows = rows[rows[:, 0] != rows[:, 1]]
    edges = both_directions(rows, 12) if undirected else torch.unique(rows, dim=0).t()
    data = GraphData.create(edges, 12, x=torch.eye(12), undirected=undirected)
    task = LinkPrediction()
    data = task.split(data, DeletionRequest.nodes([int(rows[0, 0])])).retain_data if seed % 2 and len(rows) > 8 else data
    drawn = task.draw_negatives(data, count, seeds.generator(seed))
    assert drawn.shape == (count, 2) and bool(data.alive[drawn].all())
    assert not is_among(drawn, data.pairs()).any()
    assert not (drawn[:, 0] == drawn[:, 1]).any()
    assert not undirected or bool((drawn[:, 0] < drawn[:, 1]).all())
    assert torch.equal(drawn, task.draw_negatives(data, count, seeds.generator(seed)))


def test_no_negatives_in_a_complete_graph():
    full = torch.combinations(torch.arange(4))
    data = GraphData.create(both_directions(full, 4), 4, x=torch.eye(4), name="complete")
    with pytest.raises(InputError, match=r"could not draw 3 non-edges: 'complete' is \(nearly\) complete"):
        LinkPrediction().draw_negatives(data, 3, seeds.generator(0))


def test_draws_are_made_in_batches_and_kept_by_on(task, link_data):
    split = task.split(link_data, DeletionRequest.edges([[0], [1]]))
    model = task.new_model(link_data, seed=0)
    view = split.view("retain", on="retained")
    batch, again = (next(iter(task.batches(view, generator=seeds.generator(3)))) for _ in range(2))
    other = next(iter(task.batches(view, generator=seeds.generator(4))))
    assert torch.equal(batch.index, again.index) and not torch.equal(batch.index, other.index)
    assert batch.on(link_data).index is batch.index and batch.on(link_data).y is batch.y
    assert task.loss(task.forward(model, batch)[0], batch) == task.loss(task.forward(model, again)[0], again)
    assert int(batch.y.sum()) == len(view) and len(batch) == 2 * len(view)


def test_views_say_which_negatives(task, link_data):
    fixed = next(iter(task.batches(task.view(link_data, "val"))))
    assert pairs_of(fixed.index[fixed.y == 0]) == pairs_of(link_data.splits["val_neg"])
    bare = next(iter(task.batches(View(link_data, link_data.pairs(), "none"))))
    assert bool((bare.y == 1).all())
    parts = list(task.batches(task.view(link_data, "val"), batch_size=1))
    assert sum(int((b.y == 0).sum()) for b in parts) == 3
    with pytest.raises(InputError, match="needs fixed negatives"):
        task.utility(task.new_model(link_data, seed=0), task.view(link_data, "train"))


# ---- outputs ----------------------------------------------------------------------------------------------
def test_outputs_are_dot_products_or_the_models_own_decoder(task, link_data):
    model = task.new_model(link_data, seed=0).eval()
    batch = next(iter(task.batches(task.view(link_data, "val"))))
    z = task.encode(model, link_data).outputs
    dots = (z[batch.index[:, 0]] * z[batch.index[:, 1]]).sum(-1)
    assert torch.allclose(task.forward(model, batch)[0].outputs, dots, atol=1e-6)

    class Decoding(GCN):
        def __init__(self) -> None:
            super().__init__(5, 8, 4)
            self.head = nn.Linear(8, 1)

        def decode(self, z, edge_label_index):
            return self.head(torch.cat([z[edge_label_index[0]], z[edge_label_index[1]]], -1)).view(-1)

    own = Decoding().eval()
    with torch.no_grad():
        forward = task.forward(own, batch, layers=["convs.0", "head"])[0]
        expected = own.decode(task.encode(own, link_data).outputs, batch.index.t())
    assert torch.allclose(forward.outputs, expected, atol=1e-6)
    assert forward.layers["head"].shape == (len(batch), 1)  # a layer of the decoder is captured too
    Decoding.decode = lambda self, z, edge_label_index: z[edge_label_index[0]]
    with pytest.raises(InputError, match="one logit per pair"):
        task.forward(own, batch)


def test_an_ensemble_of_a_model_with_itself_is_that_model(task, link_data):
    """Averaging module outputs would average embeddings and change every logit."""
    model, other = (task.new_model(link_data, seed=s) for s in (0, 1))
    view = task.view(link_data, "test")
    alone, twice = task.predict(model, view), task.predict(Ensemble([model, model]), view)
    assert torch.allclose(alone, twice, atol=1e-5)
    mixed = task.predict(Ensemble([model, other]), view).sigmoid()
    assert torch.allclose(mixed, (alone.sigmoid() + task.predict(other, view).sigmoid()) / 2, atol=1e-6)


def test_one_encoding_for_many_batches(task, link_data):
    batches = list(task.batches(task.view(link_data, "train"), batch_size=4, generator=seeds.generator(0)))
    with counting() as work:
        task.forward(task.new_model(link_data, seed=0), *batches)
    assert len(batches) > 4 and work.encodings == 1


def test_pairs_of_dead_nodes_read_as_nan(task, link_data):
    split = task.split(link_data, DeletionRequest.nodes([0]))
    batch = next(iter(task.batches(View(link_data, torch.tensor([[0, 1], [4, 5]]), "none"))))
    outputs = task.forward(task.new_model(link_data, seed=0), batch.on(split.retain_data))[0].outputs
    assert outputs.isnan().tolist() == [True, False]


def test_links_have_no_inputs_to_edit(task, link_data):
    assert not task.has_inputs
    assert task.inputs(next(iter(task.batches(task.view(link_data, "val"))))) is None


def test_relabel_swaps_edges_and_non_edges(task, link_data):
    batch = next(iter(task.batches(task.view(link_data, "val"))))
    assert torch.equal(task.relabel(batch, seeds.generator(0)).y, 1 - batch.y)


def test_training_separates_edges_from_non_edges(link_data):
    task = LinkPrediction(build=lambda d: GCN(5, 16, 8), recipe=Recipe(epochs=150, lr=2e-2, patience=None))
    model = task.new_model(link_data, seed=0)
    edges = link_data.pairs()
    negatives = task.draw_negatives(link_data, len(edges), seeds.generator(9))
    view = View(link_data, edges, negatives)
    before = task.utility(model, view)["roc_auc"]
    log = task.fit(model, link_data, seed=0)
    assert task.utility(model, view)["roc_auc"] > max(before, 0.8) and log.epochs == 150


def test_a_held_out_edge_changes_nobodys_context(task, link_data):
    split = task.split(link_data, DeletionRequest.edges(pairs=link_data.splits["val"][:1]))
    assert split.forget_source == "none" and len(split.retain) == len(link_data.pairs())


def test_pairs_have_no_class_side(task, link_data):
    request = DeletionRequest.node_classes([0])
    assert not len(task.index(link_data, "test", side="forget", request=request))
    assert torch.equal(task.index(link_data, "test", side="retain", request=request), link_data.splits["test"])


def test_edges_that_derive_from_features_are_no_examples(task):
    data = GraphData.create(None, 12, x=torch.rand(12, 3), edge_rule=KNNRule(2))
    with pytest.raises(InputError, match="derived from its features"):
        task.split(data, DeletionRequest.nodes([0]))
