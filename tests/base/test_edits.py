from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

from graphforget.base import ModelEdit, Operator, insert, load_model, replay, save_model
from graphforget.exceptions import InputError


class Shift(Operator):
    kind = "test shift"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.zeros(width))

    @property
    def config(self):
        return {"width": len(self.by)}

    def apply_to(self, output):
        return output + self.by


def edited(by: float, *more: float):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    edits = []
    for value in (by, *more):
        operator = Shift(2)
        nn.init.constant_(operator.by, value)
        edits.append(insert(model, "2", operator, "shift"))
    return model, tuple(edits)


X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def test_an_operator_follows_its_layer_and_is_a_submodule():
    model, edits = edited(2.0)
    plain = model[2](model[1](model[0](X)))  # the layer itself carries the hook
    assert torch.allclose(model[2].weight @ torch.relu(model[0](X)).t() + model[2].bias[:, None] + 2, plain.t(), atol=1e-6)
    assert edits == (ModelEdit("shift_0", "2", "test shift", {"width": 2}, __name__),)
    assert "shift_0.by" in model.state_dict()


def test_a_second_operator_gets_another_name_and_acts_after_the_first():
    model, edits = edited(1.0, 10.0)
    assert [e.name for e in edits] == ["shift_0", "shift_1"]
    base = nn.functional.linear(torch.relu(model[0](X)), model[2].weight, model[2].bias)
    assert torch.allclose(model[2](torch.relu(model[0](X))), base + 11.0, atol=1e-5)


def layers(model, x):
    return model[2](torch.relu(model[0](x)))


def test_deep_copies_own_their_operator():
    model, _ = edited(1.0)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.shift_0.by.fill_(50.0)
    assert torch.allclose(layers(twin, X) - layers(model, X), torch.full((5, 2), 49.0), atol=1e-4)


def test_replay_restores_operators_from_a_file(tmp_path):
    model, edits = edited(1.0, 10.0)
    save_model(model, tmp_path, edits=edits)
    fresh = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    loaded, again = load_model(tmp_path, model=fresh)
    assert again == edits and torch.allclose(layers(loaded, X), layers(model, X))


def test_replay_names_what_is_missing():
    with pytest.raises(InputError, match="unknown model edit 'nowhere': this file needs the method that wrote it"):
        replay(nn.Sequential(nn.Linear(1, 1)), (ModelEdit("a_0", "0", "nowhere", {}, "elsewhere.module"),))
    with pytest.raises(InputError, match="no layer '7', which the edit 'a_0' follows"):
        replay(nn.Sequential(nn.Linear(1, 1)), (ModelEdit("a_0", "7", "test shift", {"width": 1}),))


def test_a_file_cannot_make_foreign_code_run(monkeypatch):
    imported = []
    monkeypatch.setattr("importlib.import_module", imported.append)
    with pytest.raises(InputError):
        replay(nn.Sequential(nn.Linear(1, 1)), (ModelEdit("a_0", "0", "nowhere", {}, "antigravity"),))
    assert imported == []


def test_insert_refuses_unknown_layers():
    for layer in ("5", ""):
        with pytest.raises(InputError, match="has no layer"):
            insert(nn.Sequential(nn.Linear(1, 1)), layer, Shift(1), "shift")


def test_edits_are_read_only():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelEdit("a", "b", "c").name = "d"


def test_edits_are_read_off_the_model_whoever_passes_it_on(tmp_path):
    import graphforget
    from graphforget.base import load_model
    from graphforget.base.edits import edits_in
    from graphforget.testing import tiny_case

    case = tiny_case("link_prediction")
    first = case.unlearn("gnndelete", "edges")
    assert len(edits_in(first.model)) == 2 and edits_in(first.model) == first.edits
    # The bare model, not the result: its operators must not be lost on the way.
    second = graphforget.unlearn(first.model, first.split.retain_data, case.later[0], task=case.task, method="finetune", epochs=1)
    assert second.edits == first.edits
    second.save(tmp_path)
    loaded, edits = load_model(tmp_path)
    assert edits == second.edits and loaded.state_dict().keys() == second.model.state_dict().keys()
