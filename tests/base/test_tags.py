from __future__ import annotations

import dataclasses

import pytest
from torch import nn

from graphforget.base import Ensemble, Tags, Unlearner
from graphforget.base.tags import unmet
from graphforget.models import BPRMF, EASE
from graphforget.tasks import TASKS
from graphforget.testing import TINY_CASES, tiny_case
from graphforget.unlearners import METHODS

# What decides a method's own `supports` beside its tags: parameters, or a look at the model.
CONDITIONAL = {
    "finetune": {"scope"},
    "d2dgn": {"scope", "destroyer", "lambda_feat"},
    "unlink": {"scope"},
    "row_reset": {"reset"},
    "reset_repair": {"reset"},
    "receraser": {"model"},
}


def test_defaults_claim_nothing():
    tags = Tags(key="a", summary="b", citation="c")
    assert tags.guarantee == "empirical" and tags.exact_reference is None and tags.reads_forget and not tags.uses_gold
    with pytest.raises(dataclasses.FrozenInstanceError):
        tags.guarantee = "exact"


@pytest.mark.parametrize("key", METHODS)
def test_a_method_is_registered_under_its_own_key(key):
    tags = METHODS[key].tags
    assert tags.key == key and tags.summary.endswith(".") and METHODS[key].__doc__


def codes(tags: Tags, case: str, request: str, model: object = None, history: object = None) -> list[str]:
    one = tiny_case(case)
    return [reason.code for reason in unmet(tags, one.task, one.requests[request], model, history)]


def test_every_tag_that_is_not_met_gives_a_reason_of_its_name():
    tags = Tags(
        key="much",
        summary="Wants much.",
        citation="tests",
        tasks=frozenset({"recommendation"}),
        needs_history=True,
        needs_inputs=True,
        needs_input_graph=True,
        needs_independent_examples=True,
        needs_model=EASE,
        needs_entity_rows=True,
        needs_gradients=True,
        needs_layers=True,
    )
    of_task = ["tasks", "needs_history"]
    assert codes(tags, "node_classification", "nodes") == [*of_task, "needs_independent_examples"]
    assert codes(tags, "image_classification", "samples") == [*of_task, "needs_input_graph"]
    of_model = ["needs_model", "needs_entity_rows", "needs_gradients", "needs_layers"]
    assert codes(tags, "recommendation", "items", nn.Identity()) == [
        "needs_history",
        "needs_inputs",
        "needs_input_graph",
        *of_model,
    ]
    assert codes(Tags("k", "s.", "c", kinds=frozenset({"user"})), "recommendation", "items") == ["kinds"]


def test_targets_are_asked_of_kinds_that_are_served():
    tags = Tags("k", "s.", "c", kinds=frozenset({"item", "interaction"}), needs_targets=frozenset({"item"}))
    assert codes(tags, "recommendation", "items") == [] and codes(tags, "recommendation", "interactions") == ["needs_targets"]
    assert codes(tags, "recommendation", "users") == ["kinds"]


def test_a_model_that_the_method_made_is_not_asked_for_what_the_users_must_have():
    ensemble = Ensemble([tiny_case("recommendation").model()])
    wants = {"needs_entity_rows": True, "needs_model": BPRMF}
    assert codes(Tags("k", "s.", "c", **wants), "recommendation", "items", ensemble) == [
        "serves_ensembles",
        "needs_model",
        "needs_entity_rows",
    ]
    assert codes(Tags("k", "s.", "c", serves_ensembles=True, **wants), "recommendation", "items", ensemble) == [
        "needs_model",
        "needs_entity_rows",
    ]
    assert codes(Tags("k", "s.", "c", makes_model=Ensemble, **wants), "recommendation", "items", ensemble) == []


@pytest.mark.parametrize("key", METHODS)
def test_only_what_depends_on_parameters_or_the_model_is_no_tag(key):
    own = METHODS[key].supports is not Unlearner.supports
    assert own == (key in CONDITIONAL)
    seen = set()
    wider = [{"scope": "region"}] if "scope" in CONDITIONAL.get(key, ()) else []
    for params in METHODS[key].test_params() + wider:
        method = METHODS[key](**params)
        for name in TINY_CASES:
            case = tiny_case(name)
            for request in case.requests.values():
                said = method.supports(case.task, request, case.model(), case.history)
                tags = unmet(method.tags, case.task, request, case.model(), case.history)
                assert [reason for reason in said if reason in tags] == tags
                seen |= {reason.code for reason in said if reason not in tags}
    assert seen <= CONDITIONAL.get(key, set())


@pytest.mark.parametrize("key", METHODS)
def test_the_words_for_tasks_are_true(key):
    """A method serves every registered task where its tags say any, and not all where they name a condition."""
    method, served = METHODS[key](), set()
    for name in TINY_CASES:
        case = tiny_case(name)
        if any(not method.supports(case.task, request) for request in case.requests.values()):
            served.add(case.task.name)
    words = method.tags.serves
    if words.startswith("any with"):
        assert served < set(TASKS)
    else:
        assert served == (set(TASKS) if words == "any" else set(words.split(", ")))
