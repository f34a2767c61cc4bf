"""list and doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphforget.pipeline.catalogue import KINDS

from .conftest import call, call_json


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_everything_registered_is_listed(kind: str) -> None:
    known = KINDS[kind][0].shipped
    code, document = call_json("list", kind)
    assert code == 0 and [row["name"] for row in document[kind] if row["from"] == "graphforget"] == sorted(
        known, key=lambda name: (KINDS[kind][0][name].group if kind == "metrics" else "", name)
    )
    assert not any(row["problem"] for row in document[kind])
    code, out, _ = call("list", kind)
    assert code == 0 and len(out.splitlines()) == len(known) + 1 and all(name in out for name in known)


def test_markup_of_docstrings_is_not_shown() -> None:
    out = "".join(call("list", kind)[1] for kind in KINDS)
    assert ":class:" not in out and "``" not in out


def test_doctor_tells_versions_and_folders(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRAPHFORGET_DATA", raising=False)
    code, document = call_json("doctor")
    assert code == 0 and document["problems"] == [] and document["cache"]["writable"] and document["versions"]["torch"]
    code, out, _ = call("doctor")
    assert code == 0 and "Everything is in place." in out


def test_doctor_names_problems_and_ends_with_2(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFORGET_HOME", str(workspace / "request.json" / "cache"))
    monkeypatch.setenv("GRAPHFORGET_DATA", str(workspace / "nowhere"))
    code, document = call_json("doctor")
    assert code == 2 and len(document["problems"]) == 2 and not document["cache"]["writable"]
    code, out, _ = call("doctor")
    assert code == 2 and out.count("problem: ") == 2


def test_the_program_has_a_version_and_helps() -> None:
    import graphforget

    assert call("--version")[:2] == (0, graphforget.__version__ + "\n")
    for command in ("demo", "run", "unlearn", "evaluate", "report", "list", "doctor"):
        code, out, _ = call(command, "--help")
        assert code == 0 and "--json" in out
