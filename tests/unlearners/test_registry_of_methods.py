from __future__ import annotations

import pytest

import graphforget.unlearners as unlearners
from graphforget.base import Unlearner
from graphforget.exceptions import InputError
from graphforget.unlearners import METHODS


def test_every_key_is_the_tags_key_of_an_exported_class():
    assert {"retrain", "identity", "finetune", "gradient_ascent", "salun", "unlink", "gnndelete", "d2dgn"} <= set(METHODS)
    for key in METHODS:
        cls = METHODS[key]
        assert issubclass(cls, Unlearner) and cls.tags.key == key
        assert cls.__name__ in unlearners.__all__ and getattr(unlearners, cls.__name__) is cls
        assert cls.tags.summary.endswith(".") and cls.tags.citation


def test_unknown_names_list_the_nearest():
    with pytest.raises(InputError, match="did you mean 'gnndelete'"):
        METHODS["gnndelet"]
    with pytest.raises(AttributeError, match="Gnndelete"):
        unlearners.Gnndelete
