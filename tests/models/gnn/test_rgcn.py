"""R-GCN against PyG's RGCNConv: weights, outputs, gradients; the two decompositions against dense weights."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import RGCNConv as PyGRGCNConv

from graphforget.base.model import fresh_like
from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models.gnn import RGCN, RGCNConv
from graphforget.models.gnn.rgcn import as_relations

N, F, R = 9, 6, 3
OPTIONS = [{}, {"num_bases": 2}, {"num_blocks": 2}, {"aggr": "sum", "bias": False}, {"root_weight": False, "num_bases": 4}]


def typed_edges(seed=0, count=30):
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randint(7, (2, count), generator=generator)  # nodes 7 and 8 are isolated; doubles and loops occur
    return edges, torch.randint(2, (count,), generator=generator)  # the last relation is empty


def pair(out=4, width=F, **options):
    torch.manual_seed(0)
    ours, theirs = RGCNConv(width, out, R, **options).double(), PyGRGCNConv(width, out, R, **options).double()
    with torch.no_grad():
        for p in ours.parameters():
            p.add_(0.1 * torch.randn_like(p))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def compare(ours, theirs, x, relations, edges, types, features=None):
    out, expected = ours(x if features is None else features, *relations), theirs(x, edges, types)
    assert torch.allclose(out, expected, atol=1e-10)
    target = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(1))
    ours.zero_grad(), theirs.zero_grad()
    (out * target).sum().backward(), (expected * target).sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        assert torch.allclose(p.grad, gradients[name].grad, atol=1e-10), name


@pytest.mark.parametrize("out", [4, 8])
@pytest.mark.parametrize("options", OPTIONS)
def test_outputs_and_gradients_are_those_of_pyg(options, out):
    ours, theirs = pair(out, **options)
    edges, types = typed_edges()
    x = torch.randn(N, F, dtype=torch.float64) * (torch.rand(N, F) < 0.5)
    graphs = [SparseGraph.from_edge_index(edges[:, types == r], N) for r in range(R)]
    sparse = SparseGraph.from_dense(x)
    for relations in ((edges, types), (graphs,), ({0: graphs[0], 1: graphs[1]},)):
        compare(ours, theirs, x, relations, edges, types)
    compare(ours, theirs, x, (graphs,), edges, types, sparse)
    compare(ours, theirs, x, (edges[:, :0], types[:0]), edges[:, :0], types[:0])


@pytest.mark.parametrize("options", OPTIONS)
def test_features_of_ones_and_no_nodes_at_all(options):
    """Features that are only zeros and ones have no array of values, hence no type of their own."""
    ours, theirs = pair(**options)
    edges, types = typed_edges()
    x = (torch.rand(N, F, generator=torch.Generator().manual_seed(2)) < 0.3).double()
    for bits in (x, torch.zeros_like(x)):
        compare(ours, theirs, bits, (edges, types), edges, types, SparseGraph.from_dense(bits))
    compare(ours, theirs, x[:0], (edges[:, :0], types[:0]), edges[:, :0], types[:0])


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(OPTIONS), st.integers(1, 6), st.data())
def test_any_small_graph(options, n, data):
    triples = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.integers(0, R - 1)), max_size=15))
    table = torch.tensor(triples, dtype=torch.long).view(-1, 3).t().contiguous()
    ours, theirs = pair(**options)
    compare(ours, theirs, torch.randn(n, F, dtype=torch.float64), (table[:2], table[2]), table[:2], table[2])


@pytest.mark.parametrize("options", [o for o in OPTIONS if "num_blocks" not in o])
def test_without_features_nodes_are_one_hot(options):
    ours, theirs = pair(width=N, **options)
    edges, types = typed_edges()
    compare(ours, theirs, None, (edges, types), edges, types)
    assert torch.allclose(ours(None, edges, types), ours(torch.eye(N, dtype=torch.float64), edges, types))


@pytest.mark.parametrize("options", OPTIONS)
def test_state_dicts_interchange_and_initialisation_is_pygs(options):
    ours, theirs = RGCNConv(F, 4, R, **options), PyGRGCNConv(F, 4, R, **options)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in theirs.state_dict().items()}
    ours.load_state_dict(theirs.state_dict())
    torch.manual_seed(3)
    ours.reset_parameters()
    torch.manual_seed(3)
    theirs.reset_parameters()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name


def test_model_runs_rebuilds_and_differs_by_relation():
    model = RGCN(F, 8, 3, num_layers=3, dropout=0.2, num_relations=R, num_bases=2)
    assert json.loads(json.dumps(model.config)) == model.config and fresh_like(model).config == model.config
    model.eval()
    edges, types = typed_edges()
    x = torch.randn(N, F)
    out = model(x, edges, types)
    assert out.shape == (N, 3) and torch.equal(out, model(x, as_relations(edges, types, N, R)))
    assert not torch.allclose(out, model(x, edges, 1 - types))
    by_hand = model.convs[2](model.convs[1](model.convs[0](x, edges, types).relu(), edges, types).relu(), edges, types)
    assert torch.allclose(out, by_hand)


def test_bad_input_is_one_sentence():
    edges, types = typed_edges()
    conv, x = RGCNConv(F, 4, R), torch.randn(N, F)
    graphs = as_relations(edges, types, N, R)
    for call, words in [
        (lambda: RGCNConv(F, 4, R, num_bases=2, num_blocks=2), "not both"),
        (lambda: RGCNConv(F, 4, 0), "num_relations must be at least 1"),
        (lambda: RGCNConv(F, 5, R, num_blocks=2), "multiples of num_blocks"),
        (lambda: RGCNConv(F, 4, R, aggr="max"), "'mean' or 'sum'"),
        (lambda: conv(x, edges), "one integer per edge"),
        (lambda: conv(x, edges, types[:3]), "one integer per edge"),
        (lambda: conv(x, edges, types + 2), "0..2"),
        (lambda: conv(x, graphs, types), "need none"),
        (lambda: conv(x, graphs[:2]), "each of 3 relations, got 2"),
        (lambda: conv(x, {5: graphs[0]}), "unknown relations"),
        (lambda: conv(x[:5], graphs), "5 nodes"),
        (lambda: RGCNConv(N, 3, R, num_blocks=3)(None, edges, types), "needs? features"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
