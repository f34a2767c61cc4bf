from __future__ import annotations

import dataclasses

import pytest

from graphforget.base import Tags
from graphforget.unlearners import METHODS


def test_defaults_claim_nothing():
    tags = Tags(key="a", summary="b", citation="c")
    assert tags.guarantee == "empirical" and tags.exact_reference is None and tags.reads_forget and not tags.uses_gold
    with pytest.raises(dataclasses.FrozenInstanceError):
        tags.guarantee = "exact"


@pytest.mark.parametrize("key", METHODS)
def test_a_method_is_registered_under_its_own_key(key):
    tags = METHODS[key].tags
    assert tags.key == key and tags.summary.endswith(".") and METHODS[key].__doc__
