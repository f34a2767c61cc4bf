"""Signatures as schemas, and findings in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from graphforget.exceptions import InputError
from graphforget.pipeline.fields import complete


class Thing:
    def __init__(
        self, width: int, *, lr: float | None = None, hops: Sequence[int] = (1,), note: str = "x", flag: bool = False
    ) -> None:
        raise AssertionError("a signature is read, never called")


def test_defaults_are_written_out_and_derived_ones_left_out() -> None:
    assert complete("t", Thing, {"lr": 1}, known={"width": 3}) == {"width": 3, "lr": 1, "hops": (1,), "note": "x", "flag": False}
    assert "width" not in complete("t", Thing, {}, derived=("width",))
    assert complete("t", Thing, {"width": 2}, derived=("width",))["width"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lrr": 1}, "t.lrr: unknown key; did you mean 'lr'?"),
        ({}, "t.width: missing; this key is required."),
        ({"width": 2.5}, "t.width: expected a whole number, got 2.5."),
        ({"width": True}, "t.width: expected a whole number, got True."),
        ({"width": "3"}, "t.width: expected a whole number, got '3'."),
        ({"width": 1, "lr": "high"}, "t.lr: expected a number or null, got 'high'."),
        ({"width": 1, "hops": 3}, "t.hops: "),
        ({"width": 1, "note": 3}, "t.note: expected text, got 3."),
        ({"width": 1, "flag": "yes"}, "t.flag: expected true or false, got 'yes'."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(given: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        complete("t", Thing, given)
    assert str(caught.value).startswith(message)


def test_hidden_parameters_are_not_offered() -> None:
    with pytest.raises(InputError, match="t.note: unknown key"):
        complete("t", Thing, {"width": 1, "note": "a"}, hidden=("note",))


def test_what_a_class_hands_on_to_its_base_is_a_key_with_its_type() -> None:
    class Base:
        def __init__(self, *, size: int = 2) -> None: ...

    class Derived(Base):
        def __init__(self, *, rate: float = 0.5, **kwargs: object) -> None:
            super().__init__(**kwargs)  # type: ignore[arg-type]

    assert complete("part", Derived, {"size": 3}) == {"rate": 0.5, "size": 3}
    with pytest.raises(InputError, match="part.size: expected a whole number, got 'many'"):
        complete("part", Derived, {"size": "many"})
