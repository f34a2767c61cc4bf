from __future__ import annotations

import json
import pickle

import pytest
import torch
from torch import nn

from graphforget.base import load_model, load_tensors, load_weights, save_model
from graphforget.base.checkpoint import class_path, import_class, read_structure, save_tensors
from graphforget.exceptions import InputError
from graphforget.models import MLP


class Plain(nn.Module):
    """A user's module: no ``config``, arguments needed."""

    def __init__(self, width):
        super().__init__()
        self.lin = nn.Linear(3, width)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))


def same(a, b):
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


def test_our_models_come_back_without_being_named(tmp_path):
    model = MLP(4, 3, 2)
    loaded, edits = load_model(save_model(model, tmp_path / "m"))
    assert same(model, loaded) and edits == () and type(loaded) is MLP
    assert {p.name for p in (tmp_path / "m").iterdir()} == {"model.safetensors", "model.json"}


def test_foreign_classes_need_to_be_named_or_built(tmp_path):
    model = Plain(2)
    model.count += 3
    save_model(model, tmp_path)
    with pytest.raises(InputError, match="not part of graphforget: name it with model_class="):
        load_model(tmp_path)
    loaded, _ = load_model(tmp_path, model=Plain(2))
    assert same(model, loaded) and int(loaded.count) == 3
    with pytest.raises(InputError, match="give the class a `config` property"):
        load_model(tmp_path, model_class=class_path(model))


def test_a_named_foreign_class_is_built(tmp_path):
    save_model(nn.Flatten(), tmp_path)
    assert isinstance(load_model(tmp_path, model_class="torch.nn.modules.flatten:Flatten")[0], nn.Flatten)


def test_shared_storage_is_written_once_per_name(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    save_model(model, tmp_path)
    fresh = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert same(model, load_model(tmp_path, model=fresh)[0])


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file decided which code runs",))

    (tmp_path / "bad.pt").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="loads with weights_only=True"):
        load_tensors(tmp_path / "bad.pt")


def test_foreign_state_dicts_load(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "good.pt")
    assert load_tensors(tmp_path / "good.pt")["w"].tolist() == [1, 1]
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    with pytest.raises(InputError, match="does not hold a state dict"):
        load_tensors(tmp_path / "list.pt")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no weights file"):
        load_tensors(tmp_path / "none.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"12")
    with pytest.raises(InputError, match="not a readable safetensors file"):
        load_tensors(tmp_path / "broken.safetensors")
    with pytest.raises(InputError, match=r"no 'model.json' in .*: a saved model is a folder"):
        load_model(tmp_path)
    (tmp_path / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="cannot read"):
        read_structure(tmp_path)
    (tmp_path / "model.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(InputError, match="key 'class' is missing"):
        read_structure(tmp_path)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("Linear", "written 'package.module:Class', got 'Linear'"),
        ("no_such_package_x:Model", "cannot import the model class"),
        ("torch.nn:Nothing", "has no class 'Nothing'"),
        ("pathlib:Path", "is not a torch.nn.Module class"),
    ],
)
def test_class_paths_that_lead_nowhere(path, sentence):
    with pytest.raises(InputError, match=sentence):
        import_class(path)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"weight": torch.zeros(2, 3)}, r"missing \['bias'\], unexpected none"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)}, r"missing none, unexpected \['extra'\]"),
        ({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}, r"'weight' has shape \[2, 4\], the model expects \[2, 3\]"),
    ],
)
def test_weights_that_do_not_fit(tensors, sentence):
    with pytest.raises(InputError, match=sentence):
        load_weights(nn.Linear(3, 2), tensors)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    save_tensors({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    with pytest.raises(Exception):  # noqa: B017 - safetensors decides which error a wrong value raises
        save_tensors({"w": torch.ones(2, dtype=torch.complex128).to_sparse()}, tmp_path / "w.safetensors")
    assert load_tensors(tmp_path / "w.safetensors")["w"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_the_structure_is_plain_json(tmp_path):
    save_model(MLP(4, 3, 2), tmp_path)
    content = json.loads((tmp_path / "model.json").read_text())
    assert content["class"] == "graphforget.models.vision.mlp:MLP" and content["config"]["in_features"] == 4
