"""Every graph neural network against PyG's of the same name: weights, outputs, gradients, initialisation."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models import GAT, GCN, GIN, GraphSAGE

OURS = [GCN, GAT, GIN, GraphSAGE]
SIZES = [(7, 4, 3, 2), (3, 6, 5, 3), (5, 4, 2, 1)]


def theirs(ours, sizes, **options):
    import torch_geometric.nn.models as pyg

    in_channels, hidden, out, layers = sizes
    return getattr(pyg, ours.__name__)(in_channels, hidden, layers, out, **options)


def pair(ours, sizes, **options):
    torch.manual_seed(0)
    model, other = ours(*sizes, **options), theirs(ours, sizes, **options)
    with torch.no_grad():  # biases too must matter
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    other.load_state_dict(model.state_dict())
    return model, other


def compare(model, other, x, edge_index, sparse_x, sparse_graph):
    features = SparseGraph.from_dense(x) if sparse_x else x
    graph = SparseGraph.from_edge_index(edge_index, x.size(0)) if sparse_graph else edge_index
    out, expected = model(features, graph), other(x, edge_index)
    assert torch.allclose(out, expected, atol=1e-5, rtol=1e-5)
    target = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    model.zero_grad(), other.zero_grad()
    (out * target).sum().backward()
    (expected * target).sum().backward()
    gradients = dict(other.named_parameters())
    for name, p in model.named_parameters():
        scale = max(1.0, float(gradients[name].grad.abs().max()))
        assert float((p.grad - gradients[name].grad).abs().max()) <= 1e-5 * scale, name


@pytest.mark.parametrize("sparse_x", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("ours", OURS)
def test_outputs_and_gradients_are_those_of_pyg(ours, sizes, sparse_x):
    generator = torch.Generator().manual_seed(3)
    model, other = pair(ours, sizes)
    x = torch.randn(12, sizes[0], generator=generator) * (torch.rand(12, sizes[0], generator=generator) < 0.5)
    directed = torch.randint(9, (2, 25), generator=generator)  # nodes 9 to 11 are isolated
    undirected = torch.cat([directed, directed.flip(0)], 1)
    loops = torch.cat([undirected, torch.tensor([[2, 5, 11], [2, 5, 11]])], 1)
    for edge_index in (directed, undirected, loops, directed[:, :0]):
        compare(model, other, x, edge_index, sparse_x, True)
    compare(model, other, x, loops, sparse_x, False)
    compare(model, other, x[:1], torch.zeros(2, 0, dtype=torch.long), sparse_x, True)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(OURS), st.integers(1, 6), st.data())
def test_any_small_graph(ours, n, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=15))
    edge_index = torch.tensor(pairs, dtype=torch.long).view(-1, 2).t().contiguous()
    model, other = pair(ours, SIZES[0])
    x = torch.randn(n, 7, generator=torch.Generator().manual_seed(0))
    compare(model, other, x, edge_index, data.draw(st.booleans()), True)


@pytest.mark.parametrize(
    "ours, options",
    [(GAT, {"heads": 2}), (GAT, {"heads": 3, "concat": False, "negative_slope": 0.1}), (GIN, {"eps": 0.3, "train_eps": True})],
)
def test_options_mean_what_they_mean_in_pyg(ours, options):
    model, other = pair(ours, (7, 4, 3, 2), **options)
    x, edge_index = torch.randn(8, 7), torch.randint(7, (2, 20))
    compare(model, other, x, edge_index, True, True)
    compare(model, other, x, edge_index, False, True)


@pytest.mark.parametrize("ours", OURS)
def test_state_dicts_interchange_both_ways(ours):
    model, other = ours(5, 4, 3), theirs(ours, (5, 4, 3, 2))
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in other.state_dict().items()}
    model.load_state_dict(other.state_dict())
    other.load_state_dict(ours(5, 4, 3).state_dict())


@pytest.mark.parametrize("ours", OURS)
def test_initialisation_is_pygs_number_for_number(ours):
    model, other = ours(5, 4, 3), theirs(ours, (5, 4, 3, 2))
    torch.manual_seed(5)
    model.reset_parameters()
    torch.manual_seed(5)
    other.reset_parameters()
    for name, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.parametrize("ours", OURS)
def test_config_rebuilds_and_layers_are_named(ours):
    from graphforget.base.model import captured, fresh_like

    model = ours(5, 4, 3, num_layers=3, dropout=0.25)
    assert json.loads(json.dumps(model.config)) == model.config
    again = fresh_like(model)
    assert again.config == model.config
    assert not torch.equal(*(torch.cat([p.flatten() for p in m.parameters()]) for m in (again, model)))
    again.load_state_dict(model.state_dict())
    model.eval(), again.eval()
    x, edge_index = torch.randn(6, 5), torch.randint(6, (2, 9))
    assert torch.equal(model(x, edge_index), again(x, edge_index))
    assert model.layer_names() == ["convs.0", "convs.1", "convs.2"]
    with captured(model, model.layer_names()) as seen:
        out = model(SparseGraph.from_dense(x), edge_index)
    assert list(seen) == model.layer_names() and torch.equal(seen["convs.2"], out)
    assert bool((seen["convs.0"] < 0).any())  # before the nonlinearity, and not overwritten by it


@pytest.mark.parametrize("ours", OURS)
def test_double_precision_and_second_derivatives(ours):
    torch.manual_seed(1)
    model = ours(3, 2, 2).double()
    x = torch.randn(4, 3, dtype=torch.float64)
    graph = SparseGraph.from_edge_index(torch.tensor([[0, 1, 2, 2], [1, 2, 0, 2]]), 4)
    names = [n for n, _ in model.named_parameters()]

    def f(*weights):
        return torch.func.functional_call(model, dict(zip(names, weights)), (x, graph))

    weights = tuple(p.detach().clone().requires_grad_() for p in model.parameters())
    assert torch.autograd.gradcheck(f, weights, nondet_tol=1e-12) and torch.autograd.gradgradcheck(f, weights, nondet_tol=1e-12)


@pytest.mark.parametrize("ours", OURS)
def test_dropout_follows_torchs_generator_and_is_off_in_evaluation(ours):
    model = ours(5, 8, 3, dropout=0.5)
    x, edge_index = torch.randn(6, 5), torch.randint(6, (2, 9))
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append(model(x, edge_index))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])
    model.eval()
    assert torch.equal(model(x, edge_index), model(x, edge_index))


def test_an_epoch_computes_no_normalisation(monkeypatch):
    graph = SparseGraph.from_edge_index(torch.randint(6, (2, 9)), 6)
    model, x = GCN(5, 4, 3), SparseGraph.from_dense(torch.rand(6, 5))
    model(x, graph).sum().backward()
    monkeypatch.setattr("graphforget.kernels.graph.compress", lambda *_: pytest.fail("the structure was compiled again"))
    model(x, graph).sum().backward()


def test_a_torch_csr_matrix_serves_as_features():
    model, x = GCN(5, 4, 3), torch.rand(6, 5)
    edge_index = torch.randint(6, (2, 9))
    assert torch.allclose(model(x.to_sparse_csr(), edge_index), model(x, edge_index), atol=1e-6)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: GCN(5, 4, 3)(torch.rand(6, 4), torch.zeros(2, 0, dtype=torch.long)), r"\[num_nodes, 5\]"),
        (
            lambda: GCN(5, 4, 3)(torch.rand(6, 5), SparseGraph.from_edge_index(torch.zeros(2, 1, dtype=torch.long), 4)),
            "x has 6 rows",
        ),
        (lambda: GCN(0, 4, 3), "in_channels must be at least 1"),
        (lambda: GCN(5, 4, 3, dropout=1.0), "dropout"),
        (lambda: GAT(5, 4, 3, heads=3), "multiple of heads"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
