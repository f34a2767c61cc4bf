"""One cell: shared golds, rows for what methods refuse or raise, and the same figures whenever a method comes in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphforget.base import save_model
from graphforget.evaluation import gold
from graphforget.exceptions import InputError
from graphforget.sweeps import cell as module
from graphforget.sweeps import load_grid
from graphforget.sweeps.cell import choose, run_cell, start
from graphforget.sweeps.plan import Cell, plan

from .conftest import figures, small_grid


def one_cell(**changes: Any) -> Cell:
    return plan(load_grid(small_grid(**changes)))[0]


def test_all_methods_of_a_cell_share_original_and_golds(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, train = [], gold.train_or_load
    counted = lambda task, data, **options: trained.append(options["seed"]) or train(task, data, **options)  # noqa: E731
    monkeypatch.setattr(gold, "train_or_load", counted)
    monkeypatch.setattr(module, "train_or_load", counted)
    records = run_cell(one_cell(methods=["finetune", "gnndelete"], evaluate={"gold": 3}))
    assert len(trained) == 1 + 3
    roles = [(r["role"], r["label"]) for r in records]
    assert [label for role, label in roles if role == "unlearned"] == ["identity", "unlink", "finetune", "gnndelete", "retrain"]
    assert roles.count(("gold", "gold")) == 3 and ("floor", "floor") in roles and ("original", "original") in roles
    for record in records:
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert record["cell"] == {"data": "karate", "model": "gcn", "request": "2 nodes", "seed": 0}
        stamp = record["provenance"]
        assert stamp["graphforget"] and stamp["torch"] and stamp["threads"] >= 1 and stamp["time"]
    judged = [r for r in records if r["role"] == "unlearned"]
    assert all(r["verdict"] in ("sufficient", "inconclusive", "insufficient") and r["why"] for r in judged)
    assert all(r["gold_cpu_seconds"] > 0 and r["removed"] == 2 for r in judged)


def test_a_method_that_comes_in_later_has_the_figures_it_would_have_had() -> None:
    cell = one_cell(methods=["finetune", "gnndelete"])
    together = figures(run_cell(cell))
    apart = [run_cell(cell, labels) for labels in (["identity", "gnndelete"], ["finetune", "unlink"], ["retrain"])]
    merged = {key: value for records in apart for key, value in figures(records).items()}
    assert merged == together
    assert [r["label"] for r in apart[2] if r["entry"] is not None] == ["retrain"]


def test_what_a_method_refuses_or_raises_is_its_row(own_methods) -> None:
    methods = ["mmrecun", "own_methods:Breaks", "own_methods:Diverges", "finetune"]
    records = run_cell(one_cell(methods=methods))
    by_label = {r["label"]: r for r in records if r["entry"] is not None}
    assert by_label["mmrecun"]["role"] == "refused" and "it serves recommendation" in by_label["mmrecun"]["reasons"][0]
    assert by_label["breaks"]["error"] == "RuntimeError: a matrix is singular" and by_label["breaks"]["role"] == "failed"
    assert by_label["breaks"]["raised_in"][-1].startswith("own_methods.py:") and "/" not in str(by_label["breaks"]["raised_in"])
    assert by_label["diverges"]["role"] == "failed"  # it ran, but what it left cannot be measured
    plain = figures(run_cell(one_cell(methods=["finetune"])))
    assert {key: value for key, value in figures(records).items() if key in plain} == plain  # the others' figures are untouched
    assert set(by_label) == {"mmrecun", "breaks", "diverges", "finetune", "identity", "unlink", "retrain"}


def test_further_attacks_are_figures_like_the_others() -> None:
    records = run_cell(one_cell(evaluate={"gold": 2, "attacks": ["lira"]}))
    assert all("lira_mia_auc/deleted" in r["figures"] for r in records if r["role"] in ("original", "unlearned"))
    with pytest.raises(InputError, match="evaluate.attacks: .*'lyra'"):
        one_cell(evaluate={"gold": 2, "attacks": ["lyra"]})


def test_a_cell_without_a_method_that_can_do_it_has_its_reasons_and_controls() -> None:
    records = run_cell(one_cell(methods=["mmrecun"], controls=[]))
    assert [r["role"] for r in records if r["entry"] is not None] == ["refused"]
    assert {"original", "gold", "floor"} <= {r["role"] for r in records}


def test_the_best_setting_on_validation_serves_for_all_seeds() -> None:
    recipe = {"task": {"recipe": {"epochs": 40, "patience": None}}}
    settings = [{"hidden_channels": 1, "task": {"recipe": {"epochs": 1}}}, {"hidden_channels": 16, **recipe}]
    found = plan(
        load_grid(
            small_grid(
                data=["digits"],
                models={"gcn": settings},
                requests=[{"target": "node", "where": "random", "size": 1}],
                seeds=[0, 1],
            )
        )
    )
    best, scores = choose(found[1])
    assert best == 1 and scores[1] > scores[0]
    begun = start(found[1])
    assert begun.original.seed == 1 and begun.recipe.model.params["hidden_channels"] == 16 and begun.scores == scores
    assert choose(one_cell()) == (0, ())


def test_a_given_model_is_the_original(tmp_path) -> None:
    begun = start(one_cell())
    save_model(begun.original.model, tmp_path / "saved")
    records = run_cell(one_cell(models={"mine": {"folder": str(tmp_path / "saved")}}))
    trained = figures(run_cell(one_cell()))
    at = ("2 nodes", 0, "unlearned", "identity", 0)
    assert figures(records)[("karate", "mine", *at)]["accuracy/test"] == trained[("karate", "gcn", *at)]["accuracy/test"]
    assert {r["original_epochs"] for r in records if "original_epochs" in r} == {0}
