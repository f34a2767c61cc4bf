from __future__ import annotations

import re
import sys
from dataclasses import replace

import pytest
from torch import nn

from graphforget.base import Recipe, Task, Unlearner
from graphforget.exceptions import InputError
from graphforget.models import MLP
from graphforget.registry import Registry, accepted, check_params, nearest
from graphforget.tasks import TASKS
from graphforget.unlearners import METHODS


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


# ---- components from outside ------------------------------------------------------------------------------------
METHOD = "from graphforget.unlearners import Identity\nclass Mine(Identity):\n    tags = __import__('dataclasses').replace(Identity.tags, key='{key}')\n"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """``installed(package, code, **names)``: a package on the path whose metadata declare entry points for methods."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(package, code, **names):
        (tmp_path / f"{package}.py").write_text(code)
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        points = "\n".join(f"{key} = {target}" for key, target in names.items())
        (info / "entry_points.txt").write_text(f"[graphforget.methods]\n{points}\n")

    yield make
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_an_installed_package_is_known_by_name(installed):
    assert "reg_a_mine" not in METHODS
    installed("reg_a", METHOD.format(key="reg_a_mine"), reg_a_mine="reg_a:Mine")
    assert "reg_a" not in sys.modules and "reg_a_mine" in METHODS and "reg_a_mine" in list(METHODS)
    assert "reg_a" not in sys.modules and "reg_a_mine" not in METHODS.shipped and len(METHODS) == len(METHODS.shipped) + 1
    cls = METHODS["reg_a_mine"]
    assert cls.__name__ == "Mine" and METHODS["reg_a:Mine"] is cls and METHODS.resolve("reg_a:Mine", Unlearner) == cls()
    assert METHODS.named("reg_a_mine") is cls
    found = {entry.key: entry for entry in METHODS.entries()}
    assert found["reg_a_mine"].origin == "reg_a 1.2" and found["reg_a_mine"].target == "reg_a:Mine"
    assert found["retrain"].origin == "graphforget" and not any(entry.problem for entry in found.values())
    with pytest.raises(InputError, match="did you mean 'reg_a_mine'"):
        METHODS["reg_a_mime"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_package\n", "method 'x' of the installed package reg_b 1.2 cannot be imported (ModuleNotFoundError"),
        ("raise RuntimeError('no licence')\n", "cannot be imported (RuntimeError: no licence)"),
        ("", "cannot be imported (AttributeError"),
        ("class Mine: pass\n", "must be a class derived from Unlearner"),
        ("from graphforget.unlearners import Identity\nMine = Identity()\n", "must be a class derived from Unlearner"),
        ("from graphforget.base import Unlearner\nclass Mine(Unlearner): pass\n", "has no tags.key"),
        (METHOD.format(key="y"), "calls itself 'y'"),
    ],
)
def test_a_broken_package_is_told_in_a_sentence_and_breaks_nothing_else(installed, code, says):
    installed("reg_b", code, x="reg_b:Mine")
    with pytest.raises(InputError, match=re.escape(says)):
        METHODS["x"]
    assert METHODS["identity"].tags.key == "identity" and "x" in {entry.key for entry in METHODS.entries()}


def test_our_names_win_and_two_packages_of_one_name_are_told(installed, tmp_path):
    ours = METHODS["retrain"]
    installed("reg_c", METHOD.format(key="retrain"), retrain="reg_c:Mine")
    assert METHODS["retrain"] is ours and len(METHODS) == len(METHODS.shipped)
    (one,) = [entry for entry in METHODS.entries() if entry.problem]
    assert one.origin == "reg_c 1.2" and "'retrain' is the name of one of graphforget's own" in one.problem
    with pytest.raises(InputError, match="'reg_c:Mine' calls itself 'retrain', the name of one of graphforget's own"):
        METHODS["reg_c:Mine"]
    installed("reg_d", METHOD.format(key="same"), same="reg_d:Mine")
    installed("reg_e", METHOD.format(key="same"), same="reg_e:Mine")
    with pytest.raises(InputError, match="method 'same' is given by two installed packages, reg_[de] 1.2 .* and reg_[de] 1.2"):
        METHODS["same"]
    assert [e.problem[:30] for e in METHODS.entries() if e.key == "same"] == ["method 'same' is given by two "] * 2
    assert METHODS["reg_d:Mine"].tags.key == "same"  # as the sentence says, by path
    installed("reg_f", METHOD.format(key="only"), only="reg_f:Mine")
    (tmp_path / "reg_g.py").write_text(METHOD.format(key="only"))
    with pytest.raises(InputError, match="'reg_g:Mine' calls itself 'only', the name of one of reg_f 1.2"):
        METHODS["reg_g:Mine"]


def test_a_name_in_a_file_is_never_a_path():
    with pytest.raises(
        InputError, match="the method 'os:system' is not graphforget's: a file does not decide that its code runs"
    ):
        METHODS.named("os:system")
    with pytest.raises(InputError, match="must be a class derived from Unlearner"):
        METHODS["os:system"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("no_such:Class", "cannot import the method 'no_such:Class': No module named 'no_such'; is its folder on PYTHONPATH"),
        ("math:Nothing", "module 'math' has no class 'Nothing'"),
        ("math:", "a method is written 'package.module:Class', got 'math:'"),
        ("C:\\data.npz", "a method is written 'package.module:Class'"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path, says):
    with pytest.raises(InputError, match=re.escape(says)):
        METHODS[path]


def test_components_are_added_to_one_process():
    registry = Registry("method", {"a": "graphforget.unlearners:Identity"}, name="tags.key")

    class Here(METHODS["identity"]):
        tags = replace(METHODS["identity"].tags, key="here")

    registry.add("here", Here)
    registry.add("here", Here)
    registry.add("there", "graphforget.unlearners:Retrain")
    assert registry["here"] is Here and list(registry) == ["a", "here", "there"] and registry.shipped == ["a"]
    assert [e.origin for e in registry.entries()] == ["graphforget", "this process", "this process"]
    assert registry["there"] is METHODS["retrain"]
    with pytest.raises(InputError, match="'a' is already registered as graphforget.unlearners:Identity; choose another key"):
        registry.add("a", Here)
    with pytest.raises(InputError, match="a name has no colon"):
        registry.add("a:b", Here)
