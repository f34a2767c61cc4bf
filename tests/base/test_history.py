from __future__ import annotations

import json

import torch

from graphforget.base import FitLog, Recipe


def test_facts_are_json_and_hold_no_weights():
    log = FitLog(1, "abc", 5, 3, 0.5, 1.0, 0.6, 0.9, ((1, 0.1), (3, 0.5)), {1: {"w": torch.ones(1)}}, {"state": {}})
    facts = json.loads(json.dumps(log.facts()))
    assert facts == {
        "seed": 1,
        "init_digest": "abc",
        "epochs": 5,
        "best_epoch": 3,
        "best_score": 0.5,
        "seconds": 1.0,
        "seconds_to_best": 0.6,
        "cpu_seconds_to_best": 0.9,
        "curve": [[1, 0.1], [3, 0.5]],
    }
    assert "ones" not in repr(log) and "tensor" not in repr(log)


def test_a_recipe_compares_by_content():
    assert Recipe(epochs=3) == Recipe(epochs=3) != Recipe(epochs=4)
