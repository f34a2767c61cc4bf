"""Accelerated models in what torch and PyG do with models: copies, scripts, compilers, transforms, wrappers, explainers."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch_geometric import nn as pyg
from torch_geometric.data import HeteroData
from torch_geometric.explain import Explainer, GNNExplainer

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph
from graphforget.models.gnn.accelerate import accelerate, undo
from graphforget.models.gnn.accelerate.layers import LAYERS

from .conftest import F, N, assert_same, edge_index, filled, numbers, outcome
from .test_calls import MAKE, RELATIONAL, arguments, layer_of

NAMES = [name for name in MAKE if " " not in name]
KINDS = [name for name in NAMES if name not in RELATIONAL]


def pair(name):
    layer = layer_of(name)
    return accelerate(copy.deepcopy(layer)), layer, arguments(name, numbers(N, F), edge_index())


class TwoLayers(nn.Module):
    def __init__(self, first="GCNConv", second="GCNConv"):
        super().__init__()
        self.first, self.second = MAKE[first](), pyg.GCNConv(F if first in ("LGConv", "APPNP") else self.first_width(first), 3)

    @staticmethod
    def first_width(first):
        return {"GATConv": 6, "GINConv": 3}.get(first, 4)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


# ---- copies and files ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_copies_and_files_and_states(name):
    ours, theirs, args = pair(name)
    expected = outcome(theirs, args)
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    fresh = accelerate(layer_of(name))
    nn.init.zeros_(next(iter(fresh.parameters()), torch.zeros(1)))
    fresh.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for twin in (copy.deepcopy(ours), copy.copy(ours), torch.load(buffer, weights_only=False), fresh):
        assert type(twin) is type(ours) and twin.acceleration.helped == ours.acceleration.helped
        assert_same(outcome(twin, args), expected)
        assert twin.left is None
    theirs.load_state_dict(ours.state_dict())
    undo(ours)
    assert type(ours) is type(theirs) and set(vars(ours)) == set(vars(layer_of(name)))
    assert_same(outcome(ours, args), expected)


@pytest.mark.parametrize("name", KINDS)
def test_a_copy_on_pygs_path_is_pygs(name):
    """What a copy sets up for itself must not change what PyG runs."""
    ours, theirs, (x, edges) = pair(name)
    twin = copy.deepcopy(ours)
    adj = torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1), dtype=x.dtype), (N, N)).coalesce().to_sparse_csr()
    for edge_form in (adj, edges):
        twin.register_message_forward_hook(lambda *_: None), theirs.register_message_forward_hook(lambda *_: None)
        expected, found = outcome(theirs, [x, edge_form]), outcome(twin, [x, edge_form])
        if isinstance(expected, Exception):
            assert isinstance(found, Exception)
        else:
            assert_same(found, expected, 0) if edge_form is edges else assert_same(found, expected)
            assert twin.left is not None


@pytest.mark.parametrize("copied", [False, True])
def test_an_explainer_sees_the_edges(copied):
    torch.manual_seed(0)
    theirs = TwoLayers().double().eval()
    ours = accelerate(copy.deepcopy(theirs))
    ours(numbers(N, F), edge_index())
    ours = copy.deepcopy(ours) if copied else ours
    masks = []
    for model in (theirs, ours):
        torch.manual_seed(0)
        options = {"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"}
        explainer = Explainer(
            model,
            GNNExplainer(epochs=5),
            explanation_type="model",
            edge_mask_type="object",
            node_mask_type="object",
            model_config=options,
        )
        masks.append(explainer(numbers(N, F), edge_index(), index=3).edge_mask)
    assert torch.allclose(*masks) and float(masks[0].max()) > 0
    x, edges = numbers(N, F), edge_index()
    assert torch.allclose(ours(x, edges), theirs(x, edges)) and not ours.acceleration.left(ours)  # and is helped again


# ---- modes -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_then_with(name, mode):
    ours, theirs, args = pair(name)
    with mode():
        for model in (ours, theirs):
            model.eval()
        assert torch.allclose(ours(*args), theirs(*args))
        inside = [t.clone() for t in args]
        assert torch.allclose(ours(*inside), theirs(*inside))
    for model in (ours, theirs):
        model.train()
    assert_same(outcome(ours, args), outcome(theirs, args))


@pytest.mark.parametrize("name", NAMES)
def test_autocast_chooses_types(name):
    layer = layer_of(name, torch.float32)
    ours = accelerate(copy.deepcopy(layer))
    args = arguments(name, numbers(N, F, dtype=torch.float32), edge_index())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, found = outcome(layer, args), outcome(ours, args)
    assert_same(found, expected, 0) if not isinstance(expected, Exception) else isinstance(found, Exception)
    assert "autocast" in ours.left
    assert_same(outcome(ours, args), outcome(layer, args), 1e-5)
    assert ours.left is None


@pytest.mark.parametrize("name", NAMES)
def test_meta_tensors(name):
    ours, theirs, args = pair(name)
    args = [t.to("meta") for t in args]
    try:
        expected = theirs.to("meta")(*args)
    except (RuntimeError, NotImplementedError):
        with pytest.raises((RuntimeError, NotImplementedError)):
            ours.to("meta")(*args)
        return
    assert ours.to("meta")(*args).shape == expected.shape and "meta" in ours.left


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(name, reentrant):
    ours, theirs, args = pair(name)
    x = args[0] * (numbers(N, F, seed=9) > 1.2)
    results = []
    for model in (ours, theirs):
        twice = nn.Sequential(nn.Linear(F, F), nn.ReLU()).double()
        twice.load_state_dict({"0.weight": torch.eye(F).double(), "0.bias": torch.zeros(F).double()})

        def run(x, model=model, twice=twice):
            return model(twice(x), *args[1:])

        inner = x.clone().requires_grad_()
        out = checkpoint(run, inner, use_reentrant=reentrant)
        out.sum().backward()
        results.append(
            ([out.detach()], [inner.grad, *(p.grad for p in model.parameters()), *(p.grad for p in twice.parameters())])
        )
    assert_same(*results)


# ---- what records or transforms operations ---------------------------------------------------------------------
def script(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(model)


@pytest.mark.parametrize("name", KINDS)
def test_torch_jit_script(name):
    torch.manual_seed(0)
    theirs = filled(TwoLayers(name).double())
    ours = accelerate(copy.deepcopy(theirs))
    kind, args = type(ours.first), [numbers(N, F).requires_grad_(), edge_index()]
    scripts = []
    for model in (theirs, ours):
        try:
            scripts.append(script(model))
        except RuntimeError as error:
            scripts.append(error)
    if name == "GATConv" and isinstance(scripts[0], RuntimeError):  # PyG's own attention cannot be scripted with torch 2.13
        assert isinstance(scripts[1], RuntimeError) and type(ours.first) is kind
        return
    expected, scripted = outcome(scripts[0], args), scripts[1]
    assert_same(outcome(scripted, args), expected)
    assert type(ours.first) is kind and ours.acceleration.helped  # the model itself stays as it is
    assert_same(outcome(ours, args), outcome(theirs, args))
    assert not ours.acceleration.left(ours)
    with torch.no_grad():
        before = scripted(*args)
        for p in ours.parameters():
            p.add_(1)
    assert not torch.allclose(scripted(*args), before)  # one set of parameters


@pytest.mark.parametrize("part", ["a layer", "a part", "the whole around a part"])
def test_torch_jit_script_of_parts(part):
    torch.manual_seed(0)
    theirs = TwoLayers()
    ours = accelerate(copy.deepcopy(theirs))
    x, edges, last = numbers(N, F, dtype=torch.float32), edge_index(), pyg.GCNConv(3, 2)
    asked, plain = {
        "a layer": (ours.first, theirs.first),
        "a part": (ours, theirs),
        "the whole around a part": (Outer(ours, last), Outer(theirs, last)),
    }[part]
    expected = plain(x, edges)
    assert torch.allclose(script(asked)(x, edges), expected, atol=1e-5)
    assert torch.allclose(asked(x, edges), expected, atol=1e-5) and torch.allclose(ours(x, edges), theirs(x, edges), atol=1e-5)


class Outer(nn.Module):
    def __init__(self, inner, last):
        super().__init__()
        self.inner, self.last = inner, last

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return self.last(self.inner(x, edge_index), edge_index)


def test_a_scripted_model_is_refused_and_a_scripted_part_is_left_alone():
    theirs = TwoLayers()
    x, edges = numbers(N, F, dtype=torch.float32), edge_index()
    scripted = script(theirs)
    with pytest.raises(InputError, match="accelerate the model that it was made from"):
        accelerate(scripted)
    mixed = accelerate(Outer(scripted, pyg.GCNConv(3, 2)))
    expected = undo(copy.deepcopy(mixed))(x, edges)
    assert [layer.name for layer in mixed.acceleration.helped] == ["last"]
    assert torch.allclose(mixed(x, edges), expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_torch_jit_trace(name):
    ours, theirs, args = pair(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = torch.jit.trace(theirs, tuple(args))(*args)
        except RuntimeError:
            return
        traced = torch.jit.trace(ours, tuple(args))
    assert torch.allclose(traced(*args), expected)
    x = 2 * args[0]
    assert torch.allclose(traced(x, *args[1:]), theirs(x, *args[1:]))  # nothing of the first call is in it


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_torch_compile(name, first):
    ours, theirs, args = pair(name)
    args[0] = args[0].requires_grad_()
    torch._dynamo.reset()
    whole = name not in RELATIONAL  # PyG's relations break the graph
    if not first:
        outcome(ours, args)
        ours.left = None
    compiled = torch.compile(ours, backend="eager", fullgraph=whole)
    assert_same(outcome(compiled, args), outcome(theirs, args))
    assert_same(outcome(ours, args), outcome(theirs, args))  # uncompiled again
    assert ours.left is None
    torch._dynamo.reset()
    later = accelerate(torch.compile(copy.deepcopy(theirs), backend="eager", fullgraph=whole))
    assert later.acceleration.helped
    assert_same(outcome(later, args), outcome(theirs, args))
    torch._dynamo.reset()


@pytest.mark.slow
def test_torch_compile_to_machine_code():
    torch.manual_seed(0)
    theirs = TwoLayers()
    x, edges = numbers(N, F, dtype=torch.float32), edge_index()
    torch._dynamo.reset()
    compiled = torch.compile(accelerate(copy.deepcopy(theirs)))
    assert_same(outcome(compiled, [x, edges]), outcome(theirs, [x, edges]), 1e-5)
    torch._dynamo.reset()


def test_torch_export():
    theirs = TwoLayers()
    x, edges = numbers(N, F, dtype=torch.float32), edge_index()
    ours = accelerate(copy.deepcopy(theirs))
    ours(x, edges)
    assert torch.allclose(torch.export.export(ours, (x, edges)).module()(x, edges), theirs(x, edges), atol=1e-6)


TRANSFORMS = {
    "grad": lambda f, x: torch.func.grad(lambda v: (f(v) ** 2).sum())(x),
    "vmap": lambda f, x: torch.vmap(f)(torch.stack([x, 2 * x])),
    "jvp": lambda f, x: torch.func.jvp(f, (x,), (x.flip(0),)),
    "vjp": lambda f, x: torch.func.vjp(lambda v: (f(v) ** 2).sum(), x)[1](torch.tensor(3.0).double()),
    "jacrev": lambda f, x: torch.func.jacrev(f)(x),
    "jacfwd": lambda f, x: torch.func.jacfwd(f)(x),
    "hessian": lambda f, x: torch.func.hessian(lambda v: (f(v) ** 3).sum())(x),
    "dual": lambda f, x: dual(f, x),
    "torch.autograd.functional": lambda f, x: torch.autograd.functional.jacobian(f, x),
}


def dual(f, x):
    with torch.autograd.forward_ad.dual_level():
        out = torch.autograd.forward_ad.unpack_dual(f(torch.autograd.forward_ad.make_dual(x, x.flip(0))))
        return out.primal, out.tangent


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", NAMES)
def test_function_transforms(name, transform):
    ours, theirs, (x, *rest) = pair(name)
    results = []
    for model in (theirs, ours):
        model.eval()
        try:
            found = TRANSFORMS[transform](lambda v, model=model: model(v, *rest), x)
        except Exception as error:
            found = error
        results.append(found)
    if isinstance(results[0], Exception):
        return
    expected, found = ([r] if isinstance(r, torch.Tensor) else list(r) for r in results)
    assert_same((found, []), (expected, []))
    assert (ours.left is not None) == (transform != "torch.autograd.functional")
    assert_same(outcome(ours, [x, *rest]), outcome(theirs, [x, *rest]))  # nothing was kept that must not be
    assert ours.left is None


def replica(module):
    """What ``DataParallel`` makes of a module for each device: parameters are plain tensors there."""
    made = module._replicate_for_data_parallel()
    for name, value in module._parameters.items():
        if value is None:
            made._parameters[name] = None
        else:
            setattr(made, name, value.detach().clone())
    for name, value in module._buffers.items():
        made._buffers[name] = value
    for name, child in module._modules.items():
        made._modules[name] = None if child is None else replica(child)
    return made


# ---- wrappers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_data_parallel(name):
    ours, theirs, args = pair(name)
    expected = outcome(theirs, args)
    assert_same(outcome(nn.DataParallel(ours), args), expected)
    later = accelerate(nn.DataParallel(copy.deepcopy(theirs)))
    assert [layer.name for layer in later.acceleration.helped] == ["module"]
    assert_same(outcome(later, args), expected)
    assert torch.allclose(replica(ours)(*args), theirs(*args))


def test_sequential_models_of_pyg():
    layers = [(pyg.SAGEConv(F, 5), "x, edge_index -> x1"), (nn.ReLU(), "x1 -> x1"), (pyg.GATConv(5, 3), "x1, edge_index -> x2")]
    theirs = pyg.Sequential("x, edge_index", [*layers, (lambda a, b: torch.cat([a, b], 1), "x1, x2 -> x")])
    x, edges = numbers(N, F, dtype=torch.float32), edge_index()
    ours = accelerate(copy.deepcopy(theirs))
    assert len(ours.acceleration.helped) == 2
    assert_same(outcome(ours, [x, edges]), outcome(theirs, [x, edges]), 1e-5)
    graph = SparseGraph.from_edge_index(edges, N)
    assert torch.allclose(ours(x, graph), theirs(x, edges), atol=1e-5)
    assert not ours.acceleration.left(ours)


@pytest.mark.parametrize("kind", [pyg.GCN, pyg.GraphSAGE, pyg.GIN, pyg.GAT])
@pytest.mark.parametrize("options", [{}, {"jk": "cat", "norm": "layer"}, {"dropout": 0.5, "act_first": True}])
def test_basic_models_of_pyg(kind, options):
    torch.manual_seed(0)
    theirs = kind(F, 8, 3, 4, **options).double()
    ours = accelerate(copy.deepcopy(theirs))
    assert len(ours.acceleration.helped) == 3
    args = [numbers(N, F).requires_grad_(), edge_index()]
    for seed in (0, 1):
        assert_same(outcome(ours, args, seed=seed), outcome(theirs, args, seed=seed))
    if kind is pyg.GCN:
        weight = numbers(args[1].size(1)).abs()
        assert_same(outcome(ours, args, {"edge_weight": weight}), outcome(theirs, args, {"edge_weight": weight}))


def test_auto_encoders_and_light_gcn():
    edges = edge_index()
    theirs = pyg.GAE(pyg.GCNConv(F, 4).double())
    ours = accelerate(copy.deepcopy(theirs))
    assert torch.allclose(ours.encode(numbers(N, F), edges), theirs.encode(numbers(N, F), edges))
    light = pyg.LightGCN(N, 8, 2).double()
    fast = accelerate(copy.deepcopy(light))
    assert len(fast.acceleration.helped) == 2
    assert_same(outcome(fast, [edges, edges[:, :5]]), outcome(light, [edges, edges[:, :5]]))


def hetero():
    data = HeteroData()
    data["user"].x, data["item"].x = numbers(N, F), numbers(9, F, seed=5)
    data["user", "takes", "item"].edge_index = torch.stack([torch.arange(30) % N, torch.arange(30) % 9])
    data["item", "taken", "user"].edge_index = data["user", "takes", "item"].edge_index.flip(0)
    return data


def test_models_of_several_kinds_of_nodes():
    data = hetero()
    convs = {("user", "takes", "item"): pyg.SAGEConv(F, 4), ("item", "taken", "user"): pyg.GATConv(F, 4, add_self_loops=False)}
    theirs = pyg.HeteroConv(convs).double()
    ours = accelerate(copy.deepcopy(theirs))
    assert len(ours.acceleration.helped) == 2
    for kind, out in ours(data.x_dict, data.edge_index_dict).items():
        assert torch.allclose(out, theirs(data.x_dict, data.edge_index_dict)[kind])
    assert not ours.acceleration.left(ours)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = pyg.SAGEConv((-1, -1), 5), pyg.GraphConv((-1, -1), 3)

        def forward(self, x, edge_index):
            return self.second(self.first(x, edge_index).relu(), edge_index)

    for model in (
        lambda: accelerate(pyg.to_hetero(Net(), data.metadata())),
        lambda: pyg.to_hetero(accelerate(Net()), data.metadata()),
    ):
        torch.manual_seed(0)
        fast = model().double()
        slow = undo(copy.deepcopy(fast))
        torch.manual_seed(0)
        expected = slow(data.x_dict, data.edge_index_dict)
        torch.manual_seed(0)
        found = fast(data.x_dict, data.edge_index_dict)
        assert all(torch.allclose(found[kind], out) for kind, out in expected.items())


def test_a_model_that_was_accelerated_becomes_a_part_of_another():
    inner = accelerate(pyg.GCN(F, 5, 2, 4), backend="reference")
    outer = accelerate(nn.ModuleDict({"encoder": inner, "other": pyg.GCNConv(F, 4)}))
    assert len(outer.acceleration.helped) == 3 and not outer.acceleration.not_helped
    assert inner.convs[0].kernel_backend is None  # the later wish holds
    inner(numbers(N, F, dtype=torch.float32), SparseGraph.from_edge_index(edge_index(), N))
    undo(outer)
    helped = tuple(LAYERS)
    assert not any(isinstance(module, helped) for module in outer.modules())
    assert not inner._forward_pre_hooks and not hasattr(inner, "acceleration")


@pytest.mark.parametrize("name", NAMES)
def test_lazy_layers(name):
    made = {
        "GCNConv": lambda: pyg.GCNConv(-1, 4),
        "SAGEConv": lambda: pyg.SAGEConv(-1, 4),
        "GraphConv": lambda: pyg.GraphConv(-1, 4),
        "GINConv": lambda: pyg.GINConv(nn.Sequential(nn.LazyLinear(4), nn.ReLU())),
        "SGConv": lambda: pyg.SGConv(-1, 4),
        "GATConv": lambda: pyg.GATConv(-1, 4, residual=True),
    }.get(name)
    if made is None:
        return
    theirs = made()
    ours = accelerate(copy.deepcopy(theirs))
    args = [numbers(N, F, dtype=torch.float32), edge_index()]
    for seed in (0, 1):
        assert_same(outcome(ours, args, seed=seed), outcome(theirs, args, seed=seed), 1e-5)


# ---- what a user has changed -----------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["message", "aggregate", "update", "propagate", "forward"])
def test_replaced_methods_are_obeyed(method):
    layer = pyg.SAGEConv(F, 4).double()
    x, edges = numbers(N, F), edge_index()
    own = getattr(layer, method)
    setattr(layer, method, lambda *args, **kwargs: 2 * own(*args, **kwargs))
    expected = layer(x, edges)
    ours = accelerate(nn.ModuleDict({"conv": layer, "other": pyg.GCNConv(F, 4)}))
    (left,) = ours.acceleration.not_helped
    assert f"its {method} was replaced" in left.reason and torch.equal(ours["conv"](x, edges), expected)


def test_replaced_parts_are_obeyed():
    x, edges = numbers(N, F), edge_index()
    late = accelerate(pyg.GCNConv(F, 4).double())
    late(x, edges)
    late.message = lambda x_j, edge_weight: 3 * x_j
    plain = undo(copy.deepcopy(late))
    plain.message = late.message
    assert torch.equal(late(x, edges), plain(x, edges)) and "message" in late.left

    linear = accelerate(pyg.GCNConv(F, 4).double())
    expected = 2 * linear(x, edges)
    inner = linear.lin.forward
    linear.lin.forward = lambda v: 2 * inner(v)
    assert torch.allclose(linear(x, edges), expected)

    pooled = accelerate(pyg.SAGEConv(F, 4).double())
    pooled.aggr_module = pyg.MaxAggregation()
    plain = undo(copy.deepcopy(pooled))
    assert torch.equal(pooled(x, edges), plain(x, edges)) and "aggr" in pooled.left


def test_hooks_on_what_is_inside_are_called():
    x, edges, seen = numbers(N, F), edge_index(), []
    gin = accelerate(pyg.GINConv(nn.Sequential(nn.Linear(F, 4), nn.ReLU())).double())
    sage = accelerate(pyg.SAGEConv(F, 4).double())
    gin.nn.register_full_backward_hook(lambda *_: seen.append("nn"))
    sage.aggr_module.register_forward_hook(lambda *_: seen.append("aggr"))
    sage.lin_l.register_full_backward_hook(lambda *_: seen.append("lin"))
    gin(x, edges).sum().backward()
    sage(x, edges).sum().backward()
    assert seen == ["nn", "aggr", "lin"]
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: seen.append(type(module)))
    try:
        accelerate(pyg.GCNConv(F, 4).double())(x, edges)
    finally:
        handle.remove()
    assert pyg.Linear in seen


def test_the_report_of_calls():
    model = accelerate(TwoLayers().double())
    x, edges = numbers(N, F), edge_index()
    assert model.acceleration.left(model) == {}
    model(x, edges.short().long())
    assert model.acceleration.left(model) == {}
    adj = torch.sparse_coo_tensor(edges.flip(0), torch.ones(edges.size(1)).double(), (N, N)).coalesce()
    model(x, adj)
    assert model.acceleration.left(model) == {"first": "edges are no plain tensor", "second": "edges are no plain tensor"}
    model(x, edges)
    assert model.acceleration.left(model) == {}
