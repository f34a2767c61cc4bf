from __future__ import annotations

import pytest
from torch import nn

from graphforget.base import Recipe, Task
from graphforget.exceptions import InputError
from graphforget.models import MLP
from graphforget.registry import Registry, accepted, check_params, nearest
from graphforget.tasks import TASKS


@pytest.fixture
def registry():
    return Registry("model", {"mlp": "graphforget.models.vision.mlp:MLP", "relu": "torch.nn:ReLU", "absent": "no_such_module:X"})


def test_listing_never_imports(registry):
    assert list(registry) == ["absent", "mlp", "relu"] and len(registry) == 3
    assert "absent" in registry and "other" not in registry


def test_access_imports(registry):
    assert registry["mlp"] is MLP
    with pytest.raises(ModuleNotFoundError):
        registry["absent"]


def test_an_unknown_name_lists_the_nearest(registry):
    with pytest.raises(InputError, match="unknown model 'mpl': did you mean 'mlp'"):
        registry["mpl"]
    with pytest.raises(InputError, match="unknown model 'zzz': choose one of absent, mlp, relu"):
        registry["zzz"]


def test_an_unknown_name_is_no_key_error_for_get(registry):
    # Mapping.get swallows KeyError only; a misspelt name must not become None in silence.
    with pytest.raises(InputError):
        registry.get("mpl")


def test_resolve_takes_name_class_and_instance(registry):
    assert registry.resolve("mlp", nn.Module, in_features=4, hidden=3).config["hidden"] == [3]
    assert isinstance(registry.resolve(nn.ReLU, nn.Module, inplace=True), nn.ReLU)
    one = nn.ReLU()
    assert registry.resolve(one, nn.Module) is one


def test_resolve_refuses_parameters_for_an_instance(registry):
    with pytest.raises(InputError, match=r"given as an instance, so its parameters \['inplace'\] cannot be set"):
        registry.resolve(nn.ReLU(), nn.Module, inplace=True)


@pytest.mark.parametrize("component", [int, 7, None])
def test_resolve_refuses_other_types(registry, component):
    with pytest.raises(InputError, match="must be a name, a Module class or an instance of one"):
        registry.resolve(component, nn.Module)


def test_resolve_refuses_unknown_parameters(registry):
    with pytest.raises(InputError, match="model 'mlp' has no parameter 'hiden': did you mean 'hidden'"):
        registry.resolve("mlp", nn.Module, in_features=4, hiden=3)


def test_parameters_handed_on_to_a_base_class_count():
    task = TASKS.resolve("node_classification", Task, num_hops=3, recipe=Recipe(epochs=2))
    assert task.num_hops == 3 and task.recipe.epochs == 2
    assert {"num_hops", "build", "recipe", "layers"} <= set(accepted(TASKS["node_classification"]))
    with pytest.raises(InputError, match="task 'node_classification' has no parameter 'num_hop': did you mean 'num_hops'"):
        TASKS.resolve("node_classification", Task, num_hop=3)


def test_third_parties_can_add_but_not_replace(registry):
    registry.add("gelu", "torch.nn:GELU")
    registry.add("gelu", "torch.nn:GELU")
    assert isinstance(registry.resolve("gelu", nn.Module), nn.GELU)
    with pytest.raises(InputError, match="model 'gelu' is already registered as torch.nn:GELU; choose another key"):
        registry.add("gelu", "torch.nn:ReLU")


def test_nearest_and_check_params():
    assert nearest("salum", ["salun", "scrub"]) == "did you mean 'salun'?"

    class Bare:
        pass

    with pytest.raises(InputError, match="has no parameter 'lr': it has no parameters"):
        check_params(Bare, {"lr": 1}, "method 'bare'")
