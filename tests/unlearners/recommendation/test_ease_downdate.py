from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphforget.base import Recipe
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.interactions import Interactions
from graphforget.interactions.edit import having
from graphforget.models import EASE
from graphforget.requests import DeletionRequest
from graphforget.tasks import Recommendation
from graphforget.testing import TinyCase, check_unlearner
from graphforget.testing.report import ContractError
from graphforget.testing.tiny import tiny_case, tiny_data, tiny_requests
from graphforget.unlearners import EASEDowndate, Retrain


def make_task(*, regulariser: float = 2.0, content_weight: float = 0.0) -> Recommendation:
    def build(data: Interactions) -> EASE:
        return EASE(data.num_users, data.num_items, regulariser, content_weight)

    return Recommendation(build=build, top_k=5, recipe=Recipe(epochs=1))


def fitted(task: Recommendation, data: Interactions) -> EASE:
    model = task.new_model(data, seed=0)
    task.fit(model, data, seed=0)
    return model


def random_data(seed: int, num_users: int = 9, num_items: int = 7) -> Interactions:
    """Interactions with two modalities; one item lacks one of them."""
    g = torch.Generator().manual_seed(seed)
    taken = torch.rand(num_users, num_items, generator=g) < 0.4
    taken[0, :3] = True
    features = {"image": torch.randn(num_items, 5, generator=g), "audio": torch.randn(num_items, 3, generator=g)}
    features["audio"][2] = float("nan")
    return Interactions.create({"train": taken.nonzero()}, num_users=num_users, num_items=num_items, features=features)


def any_request(data: Interactions, g: torch.Generator, *, share: float) -> DeletionRequest | None:
    """A random request of users, items, interactions of live ends and content; None where it would name or leave nothing."""
    train = data.splits["train"]
    users = (data.alive_users & (torch.rand(data.num_users, generator=g) < share)).nonzero().view(-1)
    items = (data.alive_items & (torch.rand(data.num_items, generator=g) < share)).nonzero().view(-1)
    pairs = train[torch.rand(len(train), generator=g) < share]
    left = train[~torch.isin(train[:, 0], users) & ~torch.isin(train[:, 1], items)]
    if not (~torch.isin(data.keys(left), data.keys(pairs))).any():
        return None
    request = None
    for ids, make in ((users, DeletionRequest.users), (items, DeletionRequest.items), (pairs, DeletionRequest.interactions)):
        if len(ids):
            request = make(ids) if request is None else request | make(ids)
    for name in ("image", "audio"):
        content = (having(data, name) & (torch.rand(data.num_items, generator=g) < share)).nonzero().view(-1)
        if len(content):
            lost = DeletionRequest.modality(name, content)
            request = lost if request is None else request | lost
    return request


def refit(task: Recommendation, result) -> EASE:
    return Retrain().unlearn(result.original, task, result.split).model


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), content=st.sampled_from([0.0, 0.7]), share=st.sampled_from([0.15, 0.4]))
def test_it_equals_retraining_for_items_users_pairs_and_content_at_once_and_in_sequence(seed, content, share):
    data, task = random_data(seed), make_task(content_weight=content)
    model, g = fitted(task, data), torch.Generator().manual_seed(seed)
    result = None
    for _ in range(3):
        request = any_request(data, g, share=share)
        if request is None:
            continue
        split = task.split(data, request)
        # Each step starts from the downdated model, so that errors could add up.
        result = EASEDowndate().unlearn(model, task, split, state={} if result is None else result.state)
        assert torch.allclose(result.model.precision, refit(task, result).precision, rtol=0, atol=1e-10)
        assert result.info["refreshed"] is None and result.info["residual"] < 1e-10
        model, data = result.model, split.retain_data


@pytest.mark.parametrize("content", [0.0, 0.7])
@pytest.mark.parametrize(
    "request_", [DeletionRequest.items([1, 4]), DeletionRequest.users([0, 3]), DeletionRequest.interactions([[0, 0], [0, 2]])]
)
def test_each_kind_equals_retraining_and_moves_the_weights(request_, content):
    data, task = random_data(1), make_task(content_weight=content)
    result = EASEDowndate().unlearn(fitted(task, data), task, task.split(data, request_))
    gold = refit(task, result)
    assert torch.allclose(result.model.precision, gold.precision, rtol=0, atol=1e-12)
    assert float((result.original.precision - gold.precision).abs().max()) > 1e-3
    users = torch.arange(data.num_users)
    scores = [task.score_all(m, result.split.retain_data, users).nan_to_num() for m in (result.model, gold)]
    assert torch.allclose(*scores, rtol=0, atol=1e-10)


def test_many_users_go_in_several_updates(monkeypatch):
    data, task = random_data(2), make_task()
    split = task.split(data, DeletionRequest.users([0, 1, 4, 5, 6]))
    monkeypatch.setattr("graphforget.unlearners.recommendation.ease_downdate._ROWS", 2)
    result = EASEDowndate().unlearn(fitted(task, data), task, split)
    assert result.info["rows"] == len(torch.unique(split.removed[:, 0])) > 2
    assert torch.allclose(result.model.precision, refit(task, result).precision, rtol=0, atol=1e-12)


def test_the_probed_certificate_bounds_the_full_one():
    """A wrong entry anywhere shows in both, and sign vectors see at least the largest entry."""
    data, task = random_data(3), make_task(content_weight=0.7)
    model, split = fitted(task, data), task.split(data, DeletionRequest.items([1]))
    with torch.no_grad():
        model.precision[5, 3] += 1e-3
    full, probed = (EASEDowndate(probes=p, tolerance=1.0).unlearn(model, task, split, seed=0).info["residual"] for p in (0, 64))
    live = split.retain_data.alive_items
    left = EASEDowndate(tolerance=1.0).unlearn(model, task, split).model
    product = left.precision @ left.gram(split.retain_data) - torch.eye(7, dtype=torch.double)
    assert full == pytest.approx(float(product[live][:, live].abs().max()), rel=1e-9)
    assert 1e-4 < full <= probed


def test_a_model_of_other_data_is_solved_anew_and_says_so():
    data, task = random_data(4), make_task()
    result = EASEDowndate().unlearn(fitted(task, random_data(5)), task, task.split(data, DeletionRequest.items([1])))
    assert "not fitted to these data" in result.info["refreshed"] and result.info["residual"] < 1e-12
    assert torch.allclose(result.model.precision, refit(task, result).precision, rtol=0, atol=1e-14)
    with torch.no_grad():
        broken = fitted(task, data)
        broken.precision.neg_()
    result = EASEDowndate().unlearn(broken, task, task.split(data, DeletionRequest.items([1])))
    assert "not positive definite" in result.info["refreshed"]
    assert torch.allclose(result.model.precision, refit(task, result).precision, rtol=0, atol=1e-14)


def test_an_ill_conditioned_user_is_solved_anew_and_says_so():
    """With next to no regulariser, a user with an item of its own is all that holds G up."""
    pairs = [[0, 0], [1, 1], [1, 2], [2, 1], [3, 2]]
    data = Interactions.create({"train": pairs}, num_users=4, num_items=3)
    task = make_task(regulariser=1e-10)
    split = task.split(data, DeletionRequest.users([0]))
    result = EASEDowndate(tolerance=1e3).unlearn(fitted(task, data), task, split)
    assert result.info["condition"] is None or result.info["condition"] >= 1
    assert result.info["refreshed"] is None  # a single row has condition number 1
    split = task.split(data, DeletionRequest.users([0, 3]))
    result = EASEDowndate(tolerance=1e3).unlearn(fitted(task, data), task, split)
    assert "condition number" in result.info["refreshed"]
    assert torch.allclose(result.model.precision, refit(task, result).precision, rtol=1e-12)


def test_a_request_of_held_out_interactions_changes_no_weight():
    base = random_data(6)
    held = base.splits["train"][-1:]
    data = Interactions.create({"train": base.splits["train"][:-1], "test": held}, num_users=9, num_items=7)
    task = make_task()
    result = EASEDowndate().unlearn(fitted(task, data), task, task.split(data, DeletionRequest.interactions(held)))
    assert torch.equal(result.model.precision, result.original.precision) and result.info["rows"] == 0


def test_settings_and_models_are_checked():
    with pytest.raises(InputError, match="max_condition must be a number at least 1"):
        EASEDowndate(max_condition=0.5)
    with pytest.raises(InputError, match="tolerance"):
        EASEDowndate(tolerance=0.0)
    with pytest.raises(InputError, match="probes"):
        EASEDowndate(probes=-1)
    with pytest.raises(UnsupportedError, match="the model is a BPRMF"):
        tiny_case("recommendation").unlearn("ease_downdate", "items")


def test_contract():
    case = TinyCase.train(
        make_task(), tiny_data("recommendation"), tiny_requests("recommendation"), tiny_case("recommendation").later
    )
    try:
        report = check_unlearner("ease_downdate", tasks=[case])
    except ContractError as error:
        report = error.report
    # Methods that descend have nothing to move in a model without parameters.
    assert {check.name for check in report.failed} <= {"another method follows"}, report.summary()
    assert {"exact", "sequence", "copies and saves", "every request"} <= {c.name for c in report.executed}


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("content", [False, True])
def test_at_real_size_it_equals_retraining(content):
    from graphforget.datasets import DATASETS

    data = DATASETS["ml_100k"](content=content)
    task = make_task(regulariser=100.0, content_weight=5.0 if content else 0.0)
    model, train = fitted(task, data), data.splits["train"]
    for request in (
        DeletionRequest.items(torch.arange(0, data.num_items, 20)),
        DeletionRequest.users(torch.arange(0, data.num_users, 20)),
        DeletionRequest.interactions(train[::200]),
        DeletionRequest.items([5, 50]) | DeletionRequest.users([9]) | DeletionRequest.interactions(train[-3:]),
    ):
        result = EASEDowndate().unlearn(model, task, task.split(data, request))
        gold = refit(task, result)
        assert float((result.model.precision - gold.precision).abs().max()) < 1e-8 * float(gold.precision.abs().max())
        assert result.info["refreshed"] is None and result.info["residual"] < 1e-8


def test_content_alone_is_taken_out_exactly_and_counted(monkeypatch):
    data, task = random_data(5), make_task(content_weight=0.7)
    model = fitted(task, data)
    split = task.split(data, DeletionRequest.modality("image", [0, 2, 5]) | DeletionRequest.modality("audio", [5, 6]))
    result = EASEDowndate(probes=0).unlearn(model, task, split)
    expected = refit(task, result).precision
    assert torch.allclose(result.model.precision, expected, rtol=0, atol=1e-12)
    assert float((model.precision - expected).abs().max()) > 1e-3  # there was something to take out
    assert (result.info["content"], result.info["items"], result.info["rows"]) == (4, 0, 0) and result.info["condition"] >= 1
    monkeypatch.setattr("graphforget.unlearners.recommendation.ease_downdate._ROWS", 1)  # one item after the other
    again = EASEDowndate(probes=0).unlearn(model, task, split)
    assert torch.allclose(again.model.precision, expected, rtol=0, atol=1e-12) and again.info["refreshed"] is None


def test_content_that_was_never_read_changes_nothing():
    data, task = random_data(5), make_task(content_weight=0.0)
    model = fitted(task, data)
    result = EASEDowndate().unlearn(model, task, task.split(data, DeletionRequest.modality("image", [0, 2])))
    assert torch.equal(result.model.precision, model.precision) and result.info["content"] == 0
    assert torch.equal(refit(task, result).precision, model.precision)


def test_content_of_another_model_is_solved_anew():
    data, task = random_data(5), make_task(content_weight=0.7)
    split = task.split(data, DeletionRequest.modality("image", [0, 2]))
    strict = EASEDowndate(max_condition=1.0).unlearn(fitted(task, data), task, split)
    assert "the condition number of K is" in strict.info["refreshed"]
    other = EASEDowndate().unlearn(fitted(make_task(content_weight=5.0), data), task, split)
    assert torch.allclose(strict.model.precision, refit(task, strict).precision, rtol=0, atol=1e-12)
    expected = refit(make_task(content_weight=5.0), other).precision  # the weight is the model's, not the task's
    assert other.info["refreshed"] is None and torch.allclose(other.model.precision, expected, rtol=0, atol=1e-10)
