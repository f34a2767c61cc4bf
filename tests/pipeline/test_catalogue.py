"""What can be named: every kind, ours and those of others, and what is wrong with one."""

from __future__ import annotations

import json

import pytest

from graphforget.exceptions import InputError
from graphforget.pipeline.catalogue import KINDS, list_components


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_ours_are_listed_whole(kind: str) -> None:
    rows = list_components(kind)
    assert [row["name"] for row in rows] == KINDS[kind][0].shipped
    assert all(row["from"] == "graphforget" and row["problem"] == "" for row in rows)
    assert json.loads(json.dumps(rows)) == rows
    assert all(row.get("summary") or row.get("description") for row in rows)


def test_what_can_be_asked_for_is_marked() -> None:
    asked = {row["name"] for kind in ("metrics", "attacks") for row in list_components(kind) if row["on_request"]}
    assert asked == {"ra", "ta", "lira"}


def test_others_stand_with_their_origin_and_their_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    methods = KINDS["methods"][0]
    monkeypatch.setattr(methods, "_added", {})
    methods.add("mine", "graphforget.unlearners:Unlink")
    methods.add("gone", "graphforget.unlearners.gone:Gone")
    rows = {row["name"]: row for row in list_components("methods")}
    assert rows["mine"]["from"] == "this process" and rows["mine"]["summary"] == rows["unlink"]["summary"]
    assert rows["gone"]["problem"] == "needs graphforget.unlearners.gone" and "summary" not in rows["gone"]


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(InputError, match="there is no list of 'metric'; did you mean 'metrics'"):
        list_components("metric")
