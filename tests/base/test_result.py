from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from graphforget.base import Outcome, Recipe, Serving, Tags, TensorData, Unlearner, load_model, load_tensors
from graphforget.exceptions import InputError
from graphforget.models import MLP
from graphforget.requests import DeletionRequest
from graphforget.tasks import ImageClassification


class Nudge(Unlearner):
    """Adds a constant to the last bias; keeps count in its state."""

    tags: ClassVar[Tags] = Tags(key="nudge", summary="Moves one bias.", citation="tests", reads_forget=False)

    def __init__(self, *, by: float = 1.0, names: tuple[str, ...] = ("lins.1.bias",)) -> None:
        self.by, self.names = by, names

    def prepare(self, model, task, data, *, seed, history=None):
        from graphforget.base import Prepared

        return Prepared(model, {"count": 0, "seen": torch.zeros(2), "kind": "fresh"})

    def _unlearn(self, run) -> Outcome:
        for name in self.names:
            dict(run.model.named_parameters())[name].data.add_(self.by)
        run.record(1, 1, loss=0.5)
        state: dict[str, Any] = {**run.state, "count": run.state["count"] + 1, "seen": run.state["seen"] + 1, "kind": "used"}
        return Outcome(state=state, info={"device": torch.device("cpu"), "ids": torch.tensor([1, 2]), "nested": {1: (2, {3})}})


@pytest.fixture
def result():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(12, 4, generator=g)
    data = TensorData.create(x, torch.arange(12) % 2, {"train": torch.arange(8), "test": torch.arange(8, 12)})
    task = ImageClassification(build=lambda d: MLP(4, 3, 2), recipe=Recipe(epochs=2))
    model = task.new_model(data, seed=0)
    return Nudge(by=0.5).unlearn(model, task, task.split(data, DeletionRequest.samples([1, 2])), seed=3)


def test_what_changed_is_named(result):
    assert result.changed_parameters == ("lins.1.bias",) and result.changed_buffers == ()
    assert torch.allclose(result.model.lins[1].bias, result.original.lins[1].bias + 0.5)
    assert not result.original.training and not any(p.requires_grad for p in result.original.parameters())


def test_parts_that_come_and_go_count_as_changed(result):
    model = result.model
    model.register_buffer("extra", torch.zeros(1))
    model.lins[0] = nn.Linear(4, 5)
    changed = dataclasses.replace(result, model=model)
    assert changed.changed_buffers == ("extra",)
    assert {"lins.0.weight", "lins.0.bias"} <= set(changed.changed_parameters)
    del model.lins[1]
    assert "lins.1.weight" in dataclasses.replace(result, model=model).changed_parameters


def test_the_record_is_json_and_complete(result):
    record = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert record["method"] == "nudge" and record["params"] == {"by": 0.5, "names": ["lins.1.bias"]} and record["seed"] == 3
    assert record["counts"] == {"removed": 2, "altered": 0, "affected": 0, "retain": 6}
    assert record["request_digest"] == DeletionRequest.samples([2, 1]).digest() == record["cumulative_request_digest"]
    assert record["earlier_requests"] == [] and record["curve"] == [{"step": 1, "loss": 0.5}]
    assert record["state"] == {"count": 1, "kind": "used"}  # tensors travel in state.safetensors
    assert record["info"] == {"device": "device(type='cpu')", "ids": [1, 2], "nested": {"1": [2, [3]]}}
    assert record["task"]["name"] == "image_classification" and record["task"]["recipe"]["epochs"] == 2


def test_save_writes_everything_and_the_model_comes_back(result, tmp_path):
    folder = result.save(tmp_path / "deep" / "folder")
    assert {p.name for p in folder.iterdir()} == {
        "model.safetensors",
        "model.json",
        "request.json",
        "result.json",
        "state.safetensors",
    }
    model, edits = load_model(folder)
    assert edits == () and all(torch.equal(a, b) for a, b in zip(model.parameters(), result.model.parameters(), strict=True))
    assert DeletionRequest.load(folder / "request.json") == result.request
    assert json.loads((folder / "result.json").read_text()) == json.loads(json.dumps(result.to_dict()))
    assert load_tensors(folder / "state.safetensors")["seen"].tolist() == [1, 1]


def test_without_tensors_in_the_state_no_state_file_is_written(result, tmp_path):
    dataclasses.replace(result, state={"count": 1}).save(tmp_path)
    assert not (tmp_path / "state.safetensors").exists()


def test_then_carries_state_to_the_same_method_only(result):
    second = result.then(DeletionRequest.samples([5]))
    assert second.state["count"] == 2 and second.seed == 3
    assert torch.allclose(second.model.lins[1].bias, result.original.lins[1].bias + 1.0)

    class Other(Nudge):
        tags: ClassVar[Tags] = dataclasses.replace(Nudge.tags, key="other")

    third = second.then(DeletionRequest.samples([6]), method=Other(), seed=8)
    assert third.state["count"] == 1 and third.method == "other" and third.seed == 8
    assert third.split.lineage.request == DeletionRequest.samples([1, 2, 5, 6]) and len(third.split.lineage.digests) == 3
    with pytest.raises(InputError, match="samples 5 are already forgotten"):
        third.then(DeletionRequest.samples([5, 7]))


def test_then_leaves_the_first_result_alone(result):
    bias, state = result.model.lins[1].bias.clone(), dict(result.state)
    result.then(DeletionRequest.samples([5]))
    assert torch.equal(result.model.lins[1].bias, bias) and result.state["count"] == state["count"]
    assert result.state["seen"].tolist() == [1, 1]


def test_the_served_data_follows_the_serving(result):
    assert result.data is result.split.retain_data
    assert dataclasses.replace(result, serving=Serving("original")).data is result.split.data


def test_results_are_read_only(result):
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.seed = 1


def test_state_goes_to_an_equal_method_only(result):
    request = DeletionRequest.samples([3])
    assert result.then(request).state["count"] == 2
    assert result.then(request, method=Nudge(by=2.0)).state["count"] == 1


def test_method_and_params_are_those_of_the_unlearner_as_it_ran(result):
    assert result.method == "nudge" and result.params == {"by": 0.5, "names": ("lins.1.bias",)}
    other = dataclasses.replace(result, unlearner=Nudge(by=2.0))
    assert other.params["by"] == 2.0 and other.label == "nudge(by=2.0)" and other.to_dict()["params"]["by"] == 2.0
    method = Nudge(by=0.5)
    again = method.unlearn(result.original, result.task, result.split)
    method.by = 7.0
    assert again.params["by"] == 0.5 and again.unlearner == Nudge(by=0.5)
