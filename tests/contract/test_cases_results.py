"""Contract cases that concern results: state, edits, sequences, gold, devices, exactness; ``test_cases.py`` has the table."""

from __future__ import annotations

import ast
import copy
import hashlib
import json
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import nn

import graphforget
from graphforget.base import Ensemble, Outcome, Prepared, Tags, Unlearner, load_model
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, View
from graphforget.tasks import TASKS
from graphforget.testing import check_unlearner, tiny_case, tiny_data
from graphforget.testing.snapshots import predictions, same_weights, served, weights
from graphforget.unlearners import METHODS


# ---- state ------------------------------------------------------------------------------------------------
class TwoShards(Unlearner):
    """Exact by construction: two models, each trained on the examples whose hash sends them there."""

    tags: ClassVar[Tags] = Tags(
        key="two_shards",
        summary="Two shards, one retrained.",
        citation="Bourtoule et al., S&P 2021",
        reads_forget=False,
        guarantee="exact",
        exact_reference="own",
        state_after="exact",
        tasks=frozenset({"image_classification"}),
        makes_model=Ensemble,
    )

    @staticmethod
    def shard(ids):
        return torch.tensor([hashlib.sha256(str(i).encode()).digest()[0] % 2 for i in ids.tolist()], dtype=torch.long)

    def member(self, task, data, number, seed):
        ids = data.splits["train"]
        model = task.new_model(data, seed=seed + number)
        task.fit(model, data, seed=seed + number, index=ids[self.shard(ids) == number], epochs=3)
        return model

    def prepare(self, model, task, data, *, seed, history=None):
        return Prepared(Ensemble([self.member(task, data, n, seed) for n in (0, 1)]), {"seed": seed})

    def _unlearn(self, run):
        members = list(run.model.members)
        for number in self.shard(run.split.removed).unique().tolist():
            members[number] = self.member(run.task, run.split.retain_data, number, run.state["seed"])
        return Outcome(model=Ensemble(members))


def test_prepared_state_serves_two_requests_as_one():
    report = check_unlearner(TwoShards, tasks=["image_classification"])
    assert {c.name for c in report.checks if c.outcome == "not applicable"} == {"declared frozen", "another method follows"}
    case = tiny_case("image_classification")
    first = report.results["image_classification", "samples"]
    second = first.then(case.later[0])
    both = TwoShards().unlearn(case.model(), case.task, case.task.split(case.data, first.request | case.later[0]))
    assert same_weights(second.model, both.model)  # bit for bit
    assert isinstance(first.original, Ensemble)  # what was served is what prepare made, not the caller's monolith
    assert first.cost.seconds > 0 and first.state == {"seed": 0}


# ---- edits, kinds, sequences ------------------------------------------------------------------------------
def test_operators_survive_copies_files_and_further_requests(tmp_path):
    case = tiny_case("link_prediction")
    first = tiny_case("link_prediction").unlearn("gnndelete", "edges")
    base = {n for n, _ in first.original.named_parameters()}
    second = first.then(case.later[0])
    names = [e.name for e in second.edits]
    assert len(names) == len(set(names)) == 2 * len(first.edits) and second.edits[: len(first.edits)] == first.edits
    held = weights(first.model)
    assert all(torch.equal(held[n], t) for n, t in weights(second.model).items() if n in held)
    assert all(p.requires_grad for p in second.model.parameters())

    third = second.then(case.later[1], method=METHODS["finetune"](epochs=2))
    old, new = weights(second.model), weights(third.model)
    assert all(not torch.equal(old[n], new[n]) for n in base)  # the base moves, not the operators only
    third.save(tmp_path)
    loaded, edits = load_model(tmp_path)
    assert edits == third.edits and json.loads((tmp_path / "result.json").read_text())["method"] == "finetune"
    view = case.task.view(third.data, "test")
    assert torch.allclose(predictions(case.task, loaded, view), served(third), atol=1e-6)
    assert torch.equal(predictions(case.task, copy.deepcopy(third.model), view), served(third))


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("link_prediction", ("edge", "node_feature")),
        ("image_classification", ("class", "sample")),
        ("recommendation", ("item", "user")),
    ],
)
def test_one_request_with_several_kinds(task, kinds):
    case = tiny_case(task)
    request = case.requests["two kinds"]
    assert request.kinds == kinds
    parts = [case.task.split(case.data, DeletionRequest((t,))) for t in request.targets]
    whole = case.task.split(case.data, request)
    rows = {tuple(r) if isinstance(r, list) else r for s in parts for r in s.removed.tolist()}
    assert {tuple(r) if isinstance(r, list) else r for r in whole.removed.tolist()} == rows
    assert tiny_case(task).unlearn("retrain", "two kinds").request == whole.request


def test_gold_of_a_sequence_is_of_everything_deleted():
    case = tiny_case("node_classification")
    first = tiny_case("node_classification").unlearn("finetune", "nodes")
    second = first.then(DeletionRequest.nodes([6, 32]))
    total = DeletionRequest.nodes([0, 3, 6, 27, 30, 32])
    data, request = second.split.root
    assert data is case.data and request == total
    batch = case.task.split(data, request)
    assert batch.retain_data.digest() == second.split.retain_data.digest()
    assert second.to_dict()["earlier_requests"] == [first.request.digest()]
    assert second.to_dict()["cumulative_request_digest"] == total.digest()
    with pytest.raises(InputError, match="nodes 3 are already forgotten"):
        second.then(DeletionRequest.nodes([3]))


# ---- gold, devices, exactness, regions --------------------------------------------------------------------
class Scaled(nn.Module):
    """One class whose behaviour depends on a constant that neither its repr nor its source shows."""

    def __init__(self, k):
        super().__init__()
        self.lin = nn.Linear(64, 3)
        self.k = k

    def forward(self, x):
        return self.lin(x.flatten(1)) * self.k


def key_of(build, cache_key=None):
    from graphforget.evaluation.gold import model_key

    return model_key(TASKS["image_classification"](build=build), tiny_data("image_classification"), cache_key)


def test_gold_keys_tell_models_apart():
    two, again, three = key_of(lambda d: Scaled(2)), key_of(lambda d: Scaled(2)), key_of(lambda d: Scaled(3))
    assert two == again and two != three and repr(Scaled(2)) == repr(Scaled(3))
    from graphforget.models import MLP

    assert len({key_of(lambda d, h=h: MLP(64, h, 3)) for h in (4, 5, 5)}) == 2


def test_without_source_nothing_is_cached():
    space: dict = {"nn": nn, "__name__": "made_in_a_shell"}
    exec(
        "class Shell(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.lin = nn.Linear(64, 3)\n"
        "    def forward(self, x):\n        return self.lin(x.flatten(1))\n",
        space,
    )
    assert key_of(lambda d: space["Shell"]()) is None
    assert key_of(lambda d: space["Shell"](), cache_key="shell 1") != key_of(lambda d: space["Shell"](), cache_key="shell 2")


@pytest.mark.parametrize("path", sorted((Path(graphforget.__file__).parent / "unlearners").rglob("*.py")), ids=lambda p: p.stem)
def test_methods_never_name_a_device(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("cuda", "cpu_offload"), f"{path.name}:{node.lineno} names a device"
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 12:
            assert not node.value.startswith(("cuda", "mps", "xpu")), f"{path.name}:{node.lineno} names a device"
        if isinstance(node, ast.keyword) and node.arg == "device":
            assert not isinstance(node.value, ast.Constant), f"{path.name}:{node.lineno} names a device"


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_a_run_on_a_device_comes_back(method):
    for task in TASKS:
        case, cls = tiny_case(task), METHODS[method]
        instance, request = cls(**cls.test_params()[0]), next(iter(case.requests.values()))
        if instance.supports(case.task, request, case.model(), case.history):
            continue
        split = case.task.split(case.data, request)
        here = instance.unlearn(case.model(), case.task, split, history=case.history)
        there = instance.unlearn(case.model(), case.task, split, history=case.history, device="cuda")
        assert all(p.device.type == "cpu" for p in there.model.parameters())
        assert there.cost.peak_bytes is None or there.cost.peak_bytes > 0
        # Draws are made on the CPU, so the runs differ by rounding only.
        assert torch.allclose(served(here), served(there), atol=0.05)


def test_two_kinds_of_exact():
    references = {key: METHODS[key].tags.exact_reference for key in METHODS if METHODS[key].tags.guarantee == "exact"}
    assert references["retrain"] == "retrain" and set(references.values()) <= {"retrain", "own"}
    case = tiny_case("image_classification")
    own = tiny_case("image_classification").unlearn("retrain", "samples")
    shards = TwoShards().unlearn(case.model(), case.task, own.split)
    prepared = TwoShards().prepare(case.model(), case.task, own.split.retain_data, seed=0)
    assert same_weights(shards.model, prepared.model)  # equal to its own preparation ...
    assert not torch.allclose(served(shards), served(own))  # ... and not to retraining


class PyG(nn.Module):
    def __init__(self):
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.first, self.second = GCNConv(8, 6), GCNConv(6, 3)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


def test_a_region_gives_a_users_module_the_same_outputs():
    task, data = TASKS["node_classification"](build=lambda d: PyG(), num_hops=2), tiny_data("node_classification")
    model = task.new_model(data, seed=0)
    view = View(data, torch.tensor([17]), "none")
    whole, exact, cut = (predictions(task, model, v) for v in (view, task.region(view), task.region(view, num_hops=1)))
    assert torch.allclose(whole, exact, atol=1e-6) and task.region(view).data.num_nodes <= data.num_nodes
    assert not torch.allclose(whole, cut, atol=1e-4)  # one hop less cuts degrees at the boundary
