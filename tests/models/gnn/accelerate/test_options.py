"""Every documented constructor option of every helped layer, against PyG's own layer: outputs and gradients."""

from __future__ import annotations

import inspect
import warnings

import pytest
import torch
from torch import nn
from torch_geometric import nn as pyg
from torch_geometric.nn import MessagePassing

from graphforget.models.gnn.accelerate import accelerate
from graphforget.models.gnn.accelerate.layers import LAYERS

from .conftest import F, N, assert_same, edge_index, filled, numbers, outcome

LEFT = "left to PyG"


def mlp():
    return nn.Sequential(nn.Linear(F, 4), nn.ReLU(), nn.Linear(4, 3))


# By class: what it always gets, then variations; LEFT marks those that the kernels do not know.
SHARED = [
    {"flow": "target_to_source"},
    {"aggr": "add"},
    {"aggr": "sum"},
    {"aggr": pyg.SumAggregation()},
    {"aggr": "max", LEFT: "aggr='max'"},
    {"aggr": ["sum", "mean"], "aggr_kwargs": {"mode": "sum"}, LEFT: "aggr=['sum', 'mean']"},
    {"aggr": pyg.SoftmaxAggregation(learn=True), LEFT: "aggr='SoftmaxAggregation"},
    {"decomposed_layers": 2, LEFT: "decomposed_layers"},
]
SPECTRAL = [*SHARED, {"node_dim": 0}, {"node_dim": 1, LEFT: "node_dim=1"}, {"aggr": "mean", LEFT: "aggr='mean'"}]
MEANS = [*SHARED, {"node_dim": 0}, {"node_dim": 1, LEFT: "node_dim=1"}, {"aggr": "mean"}, {"aggr": pyg.MeanAggregation()}]
WIDE = [{"in_channels": -1}, {"out_channels": 9}]
OPTIONS = {
    "GCNConv": (
        {"in_channels": F, "out_channels": 4},
        [
            *SPECTRAL,
            *WIDE,
            {"improved": True},
            {"cached": True},
            {"add_self_loops": False},
            {"normalize": False},
            {"bias": False},
        ],
    ),
    "SAGEConv": (
        {"in_channels": F, "out_channels": 4},
        [
            *(option for option in MEANS if "aggr_kwargs" not in option),
            *WIDE,
            {"in_channels": (F, F)},
            {"in_channels": (-1, -1)},
            {"normalize": True},
            {"root_weight": False},
            {"project": True},
            {"bias": False},
            {"aggr": ["mean", "sum"], LEFT: "aggr=['mean', 'sum']"},
            {"aggr": ["mean"], LEFT: "aggr=['mean']"},
            {"aggr": "lstm", LEFT: "aggr='lstm'"},
            {"aggr": "softmax", "aggr_kwargs": {"learn": True}, LEFT: "aggr='softmax'"},
            {"aggr": pyg.MultiAggregation(["mean", "max"]), LEFT: "MultiAggregation"},
            {"project": True, "normalize": True, "root_weight": False, "bias": False, "out_channels": 9, "aggr": "sum"},
        ],
    ),
    "GraphConv": (
        {"in_channels": F, "out_channels": 4},
        [*MEANS, *WIDE, {"in_channels": (F, F)}, {"in_channels": (-1, -1)}, {"bias": False}],
    ),
    "GINConv": (
        {"nn": mlp()},
        [
            *MEANS,
            {"eps": 0.3},
            {"train_eps": True},
            {"nn": pyg.MLP([F, 4, 4])},
            {"nn": nn.Linear(F, 9)},
            {"nn": nn.Sequential(nn.Linear(F, 9), nn.Tanh()), "eps": 0.1, "train_eps": True},
            {"nn": nn.Sequential(nn.LazyLinear(3))},
            {"nn": nn.Sequential(pyg.Linear(-1, 3), nn.BatchNorm1d(3))},
            {"nn": nn.Sequential()},
            {"nn": nn.Identity()},
        ],
    ),
    "LGConv": ({}, [*SPECTRAL, {"normalize": False}]),
    "SGConv": (
        {"in_channels": F, "out_channels": 4},
        [*SPECTRAL, *WIDE, {"K": 0}, {"K": 3}, {"cached": True}, {"add_self_loops": False}, {"bias": False}],
    ),
    "APPNP": (
        {"K": 3, "alpha": 0.2},
        [
            *SPECTRAL,
            {"K": 0},
            {"alpha": 0.0},
            {"dropout": 0.4},
            {"cached": True},
            {"add_self_loops": False},
            {"normalize": False},
            {"dropout": 0.4, "normalize": False},  # without weights PyG has nothing to drop, and says so
        ],
    ),
    "TAGConv": (
        {"in_channels": F, "out_channels": 4},
        [*SPECTRAL, {"out_channels": 9}, {"K": 0}, {"K": 1}, {"bias": False}, {"normalize": False}],
    ),
    "ChebConv": (
        {"in_channels": F, "out_channels": 4, "K": 3},
        [
            *SPECTRAL,
            {"out_channels": 9},
            {"K": 1},
            {"K": 2},
            {"K": 5},
            {"normalization": None},
            {"normalization": "rw"},
            {"bias": False},
        ],
    ),
    "GATConv": (
        {"in_channels": F, "out_channels": 3},
        [
            *(option for option in SHARED if "aggr_kwargs" not in option and "decomposed_layers" not in option),
            *WIDE,
            {"in_channels": (F, F)},
            {"in_channels": (-1, -1), "heads": 2},
            {"heads": 4},
            {"heads": 3, "concat": False},
            {"negative_slope": 0.7},
            {"dropout": 0.5, "heads": 2},
            {"add_self_loops": False},
            {"edge_dim": 2, LEFT: "edge_dim"},
            {"edge_dim": 2, "fill_value": 0.5, LEFT: "edge_dim"},
            {"fill_value": "max"},
            {"bias": False},
            {"residual": True},
            {"residual": True, "heads": 2, "concat": False, "dropout": 0.3, "bias": False},
            {"aggr": "mean", LEFT: "aggr='mean'"},
        ],
    ),
    "RGCNConv": (
        {"in_channels": F, "out_channels": 4, "num_relations": 3},
        [
            *(option for option in SHARED if "decomposed_layers" not in option and "aggr_kwargs" not in option),
            {"in_channels": (F, F)},
            {"out_channels": 9},
            {"num_relations": 5},
            {"num_bases": 2},
            {"num_blocks": 2},
            {"num_blocks": 2, "aggr": "sum", "bias": False},
            {"root_weight": False},
            {"is_sorted": True},
            {"bias": False},
            {"aggr": "mean"},
            {"num_bases": 4, "root_weight": False, "aggr": "add"},
        ],
    ),
}
OPTIONS["FastRGCNConv"] = (
    OPTIONS["RGCNConv"][0],
    [option for option in OPTIONS["RGCNConv"][1] if not isinstance(option.get("aggr"), MessagePassing | nn.Module)],
)
# Options that the layer hands on to MessagePassing and that it cannot have, or that PyG's layer itself cannot run with.
IMPOSSIBLE = {
    "SAGEConv": set(),
    "GATConv": {"node_dim", "aggr_kwargs", "decomposed_layers"},
    "RGCNConv": {"node_dim", "aggr_kwargs", "decomposed_layers"},
    "FastRGCNConv": {"node_dim", "aggr_kwargs", "decomposed_layers"},
}


def stock():
    return {layer.__name__: layer.stock() for layer in LAYERS}


def cases():
    for name, (always, variations) in OPTIONS.items():
        for number, option in enumerate([{}, *variations]):
            words = ",".join(f"{key}={value}" for key, value in option.items() if key != LEFT).replace("\n", "")
            yield pytest.param(name, always | option, id=f"{name}-{number}-{words[:40]}")


def build(name, options):
    torch.manual_seed(0)
    return stock()[name](**{key: value for key, value in options.items() if key != LEFT}).double()


def inputs(name):
    edges = edge_index()
    kind = [torch.arange(edges.size(1)) % 3] if "RGCN" in name else []
    return [numbers(N, F), edges, *kind]


@pytest.mark.parametrize(("name", "options"), cases())
def test_every_option(name, options, compare):
    layer = filled(build(name, options))
    ran = compare(layer, inputs(name))
    impossible = options.get("dropout") and options.get("normalize") is False  # PyG refuses the call
    impossible = impossible or (name == "FastRGCNConv" and options.get("aggr") == "max")
    wrong_way = options.get("node_dim") == 1 and name != "GINConv"  # nodes are columns then, and there are too few
    if ran is None:
        assert impossible or wrong_way or LEFT in options
    else:
        assert ran == (LEFT not in options)
    if LEFT in options:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (left,) = accelerate(layer).acceleration.not_helped
        assert options[LEFT] in left.reason and type(layer) is stock()[name]


@pytest.mark.parametrize(("name", "options"), cases())
def test_every_option_in_evaluation_on_sparse_features_with_edges_of_one_direction(name, options, compare):
    layer = filled(build(name, options)).eval()
    x, edges, *kind = inputs(name)
    keep = edges[0] <= edges[1]
    x = x * (numbers(N, F, seed=9) > 1.2)
    compare(layer, [x.requires_grad_(), edges[:, keep], *(t[keep] for t in kind)])


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_is_forgotten(name):
    """The tables above name each parameter of the constructor, and each that it hands on to ``MessagePassing``."""
    always, variations = OPTIONS[name]
    named = set(always) | {key for option in variations for key in option}
    own = inspect.signature(stock()[name].__init__).parameters
    handed = {
        key
        for key, parameter in inspect.signature(MessagePassing.__init__).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    asked = {key for key, parameter in own.items() if parameter.kind is not inspect.Parameter.VAR_KEYWORD} | handed
    assert asked - {"self"} - IMPOSSIBLE.get(name, set()) <= named


@pytest.mark.parametrize("name", ["TAGConv", "ChebConv"])
def test_a_lazy_layer_that_pyg_cannot_size_is_sized(name):
    """PyG's own layer passes its hooks by, and fails: see the calls of ``lin.forward`` there."""
    x, edges = inputs(name)
    ours = accelerate(build(name, OPTIONS[name][0] | {"in_channels": -1}))
    ours(x, edges)
    theirs = build(name, OPTIONS[name][0])
    theirs.load_state_dict(ours.state_dict())
    assert_same(outcome(ours, [x, edges]), outcome(theirs, [x, edges]))


def test_every_helped_layer_is_here():
    assert set(OPTIONS) == set(stock())
