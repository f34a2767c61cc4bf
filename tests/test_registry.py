from __future__ import annotations

from fractions import Fraction
from pathlib import PurePath, PurePosixPath

import pytest

from graphforget.exceptions import InputError
from graphforget.registry import Registry, check_params, nearest


@pytest.fixture
def registry():
    return Registry("number", {"fraction": "fractions:Fraction", "decimal": "decimal:Decimal", "absent": "no_such_module:X"})


def test_listing_never_imports(registry):
    assert list(registry) == ["absent", "decimal", "fraction"] and len(registry) == 3
    assert "absent" in registry and "other" not in registry


def test_access_imports(registry):
    assert registry["fraction"] is Fraction
    with pytest.raises(ModuleNotFoundError):
        registry["absent"]


def test_an_unknown_name_lists_the_nearest(registry):
    with pytest.raises(InputError, match="unknown number 'fracton': did you mean 'fraction'"):
        registry["fracton"]
    with pytest.raises(InputError, match="unknown number 'zzz': choose one of absent, decimal, fraction"):
        registry["zzz"]


def test_an_unknown_name_is_no_key_error_for_get(registry):
    # Mapping.get swallows KeyError only; a misspelt name must not become None in silence.
    with pytest.raises(InputError):
        registry.get("fracton")


def test_resolve_takes_name_class_and_instance(registry):
    assert registry.resolve("fraction", Fraction, numerator=3, denominator=4) == Fraction(3, 4)
    assert registry.resolve(Fraction, Fraction, numerator=2) == 2
    one = Fraction(1, 3)
    assert registry.resolve(one, Fraction) is one


def test_resolve_refuses_parameters_for_an_instance(registry):
    with pytest.raises(InputError, match=r"given as an instance, so its parameters \['denominator'\] cannot be set"):
        registry.resolve(Fraction(1, 3), Fraction, denominator=4)


@pytest.mark.parametrize("component", [int, 7, None])
def test_resolve_refuses_other_types(registry, component):
    with pytest.raises(InputError, match="must be a name, a Fraction class or an instance of one"):
        registry.resolve(component, Fraction)


def test_resolve_refuses_unknown_parameters(registry):
    with pytest.raises(InputError, match="number 'fraction' has no parameter 'denominatr': did you mean 'denominator'"):
        registry.resolve("fraction", Fraction, denominatr=2)


def test_third_parties_can_add_but_not_replace(registry):
    registry.add("path", "pathlib:PurePosixPath")
    registry.add("path", "pathlib:PurePosixPath")
    assert isinstance(registry.resolve("path", PurePath), PurePosixPath)
    with pytest.raises(InputError, match="number 'path' is already registered as pathlib:PurePosixPath; choose another key"):
        registry.add("path", "pathlib:PurePath")


def test_nearest_and_check_params():
    assert nearest("salum", ["salun", "scrub"]) == "did you mean 'salun'?"

    class Bare:
        pass

    with pytest.raises(InputError, match="has no parameter 'lr': it has no parameters"):
        check_params(Bare, {"lr": 1}, "method 'bare'")
