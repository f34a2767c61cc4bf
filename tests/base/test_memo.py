"""Values go with their owner, and are made anew when what they were made from is another thing or was edited."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from graphforget.base import TensorData
from graphforget.base.memo import Memo, shared


class Counter:
    """Makes 1, 2, 3, ..."""

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return self.made


class Container:
    """Has equality by content and a hash of its own, like a data class: neither may matter."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def test_a_tensor_owns_its_values_until_it_is_edited():
    memo, make, x = Memo(), Counter(), torch.zeros(3)
    assert [memo.get(x, "a", (), make) for _ in range(2)] == [1, 1]
    assert memo.get(x, "b", (), make) == 2 and memo.peek(x, "a") == 1
    x[0] = 1
    assert memo.peek(x, "a") is None and memo.peek(x, "b") is None
    assert memo.get(x, "b", (), make) == 3 and memo.peek(x, "a") is None
    same = torch.zeros(3)
    assert memo.get(same, "b", (), make) == 4 and len(memo) == 2  # equal numbers in another tensor are another owner


def test_sources_are_compared_by_identity_and_version_or_by_value():
    memo, make, owner = Memo(), Counter(), Container()
    x, y = torch.zeros(3), torch.zeros(3)
    calls = [(x, None, "one"), (x, None, "o" + "ne"), (y, None, "one"), (y, x, "one"), (y, x, "two"), (y, x), (y, x)]
    assert [memo.get(owner, "k", sources, make) for sources in calls] == [1, 1, 2, 3, 4, 5, 5]
    x.add_(1)
    assert memo.get(owner, "k", (y, x), make) == 6 and memo.peek(owner, "k") == 6
    del x
    assert memo.get(owner, "k", (y, torch.ones(3)), make) == 7  # another tensor where a dead one was


def test_owners_that_are_equal_are_still_two():
    memo, make = Memo(), Counter()
    first, second = Container(), Container()
    assert (memo.get(first, "k", (), make), memo.get(second, "k", (), make), memo.get(first, "k", (), make)) == (1, 2, 1)


@pytest.mark.parametrize("make_owner", [lambda: torch.zeros(2), Container, lambda: nn.Linear(1, 1)])
def test_values_go_with_their_owner(make_owner):
    memo, owner = Memo(), make_owner()
    memo.get(owner, "k", (), lambda: torch.ones(2))
    assert len(memo) == 1
    owner = make_owner()  # very likely at the old address
    assert len(memo) == 0 and memo.peek(owner, "k") is None


def test_a_memory_goes_without_waiting_for_its_owners():
    memo, owner = Memo(), Container()
    value = weakref.ref(memo.get(owner, "k", (), Container))
    assert value() is not None
    gc.disable()  # no cycle has to be found for it
    try:
        del memo
        assert value() is None
    finally:
        gc.enable()
    del owner  # nothing is called back


def test_what_is_made_inside_is_kept_too():
    memo, make, x = Memo(), Counter(), torch.zeros(1)
    assert memo.get(x, "outer", (), lambda: (memo.get(x, "inner", (), make), make())) == (1, 2)
    assert memo.peek(x, "inner") == 1 and memo.get(x, "inner", (), make) == 1


def test_an_edit_while_the_value_is_made_is_seen():
    memo, x = Memo(), torch.zeros(1)
    owner = Container()
    assert memo.get(owner, "k", (x,), lambda: float(x.add_(1))) == 1
    assert memo.get(owner, "k", (x,), lambda: float(x)) == 1 and memo.get(owner, "k", (x,), lambda: 5) == 1


def test_values_carry_no_gradient_and_can_be_trained_on():
    memo, weight, owner = Memo(), torch.ones(2, requires_grad=True), Container()
    with torch.inference_mode():
        value = memo.get(owner, "k", (), lambda: weight * 2)
    assert not value.requires_grad and not value.is_inference()
    (value * weight).sum().backward()
    assert weight.grad.tolist() == [2.0, 2.0]


def test_tensors_of_inference_mode_are_never_trusted():
    memo, make, owner = Memo(), Counter(), Container()
    with torch.inference_mode():
        x = torch.zeros(1)
        assert [memo.get(x, "k", (), make) for _ in range(2)] == [1, 2] and len(memo) == 0
        assert [memo.get(owner, "k", (x,), make) for _ in range(2)] == [3, 4]


def test_copies_start_empty():
    memo, make, owner = Memo(), Counter(), Container()
    memo.get(owner, "k", (), make)
    for twin in (copy.copy(memo), copy.deepcopy(memo), pickle.loads(pickle.dumps(memo))):
        assert type(twin) is Memo and len(twin) == 0
    assert len(memo) == 1


def test_values_are_dropped_with_the_data_and_made_anew_after_an_edit_in_place():
    memo, calls, x = Memo(), [], torch.zeros(3)
    data, other = (TensorData.create(x, torch.zeros(3, dtype=torch.long), {"train": torch.arange(3)}) for _ in range(2))

    def make():
        calls.append(1)
        return float(x.sum())

    assert memo.get(data, "sum", (x, None), make) == memo.get(data, "sum", (x, None), make) == 0 and len(calls) == 1
    digest = data.digest()
    x += 1
    assert memo.get(data, "sum", (x, None), make) == 3 and len(calls) == 2
    assert data.digest() != digest and data.digest() == data.digest()
    assert memo.get(other, "sum", (x,), make) == 3 and len(calls) == 3  # another container, another value
    before = len(shared)
    del data
    gc.collect()
    assert len(memo) == 1 and len(shared) == before - 1


def test_an_error_keeps_nothing():
    memo, owner = Memo(), Container()
    with pytest.raises(ZeroDivisionError):
        memo.get(owner, "k", (), lambda: 1 / 0)
    assert len(memo) == 0 and memo.get(owner, "k", (), lambda: 1) == 1


def test_the_shared_memory_is_one():
    from graphforget.base.memo import shared as again

    assert again is shared and isinstance(shared, Memo)
