from __future__ import annotations

import pytest

from graphforget.base.attack import AttackRecord
from graphforget.base.metric import MetricRecord, collect_records
from graphforget.exceptions import InputError


def record(**changes):
    fields = {"name": "m", "group": "utility", "range": (0.0, 1.0), "target": "max"}
    fields |= {"needs_gold": False, "source": "s", "description": "d"}
    return MetricRecord(**{**fields, **changes})


@pytest.mark.parametrize(
    "changes", [{"group": "speed"}, {"target": "0.5"}, {"range": (1.0, 0.0)}, {"name": ""}, {"source": ""}, {"description": ""}]
)
def test_a_wrong_record_is_refused(changes):
    with pytest.raises(InputError):
        record(**changes)


def test_records_are_joined_by_name_and_duplicates_refused():
    assert list(collect_records([record(name="a")], [record(name="b")])) == ["a", "b"]
    with pytest.raises(InputError, match="'a'"):
        collect_records([record(name="a")], [record(name="a")])


def test_an_attack_record_says_what_it_receives():
    with pytest.raises(InputError, match="receives"):
        AttackRecord("a", (), "source", "description")
