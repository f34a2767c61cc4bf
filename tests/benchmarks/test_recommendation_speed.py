"""The plain recommenders that ours are timed against are the same models, trained the same way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graphforget.datasets import load
from graphforget.interactions import Interactions
from graphforget.models import MGCN, LightGCN
from graphforget.tasks import Recommendation


@pytest.fixture(scope="module")
def data() -> Interactions:
    return load("tastes", task="recommendation", seed=0)


def pair(name: str, data: Interactions) -> tuple[Any, Any, Recommendation]:
    """Our model with weights that training could have left, the plain one, and the task."""
    from plain_lightgcn import PlainLightGCN
    from plain_mgcn import PlainMGCN

    torch.manual_seed(1)
    sizes = (data.num_users, data.num_items)
    ours = MGCN(*sizes, data.modalities, dim=12, cl_weight=0.5) if name == "mgcn" else LightGCN(*sizes, dim=12, num_layers=3)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    # The regulariser and the contrast weigh as much as the ranking loss, so that a difference in either would show.
    task = Recommendation(template=ours, l2=0.5, negatives="seen")
    plain: nn.Module = (PlainMGCN if name == "mgcn" else PlainLightGCN)(ours, data, l2=task.l2)
    return ours, plain, task


def one_batch(task: Recommendation, data: Interactions) -> Any:
    generator = torch.Generator().manual_seed(2)
    return next(iter(task.batches(task.view(data, "train"), batch_size=300, shuffle=True, generator=generator)))


def our_loss(task: Recommendation, model: nn.Module, batch: Any) -> Tensor:
    forward = task.forward(model, batch)[0]
    return task.loss(forward, batch) + task.penalty(model, forward, batch)


def plain_loss(plain: Any, batch: Any) -> Tensor:
    return plain.loss(batch.index[:, 0], batch.index[:, 1], batch.extra["negatives"])


@pytest.mark.parametrize("name", ["mgcn", "lightgcn"])
def test_final_vectors_are_equal(name: str, data: Interactions) -> None:
    ours, plain, task = pair(name, data)
    encoded = ours(task.context(data))
    users, items = sum(plain()).split(plain.cut) if name == "mgcn" else plain()
    torch.testing.assert_close(encoded.users, users, atol=1e-4, rtol=0)
    torch.testing.assert_close(encoded.items, items, atol=1e-4, rtol=0)
    assert float(users.detach().abs().mean()) > 0.01  # far above the tolerance


@pytest.mark.parametrize("name", ["mgcn", "lightgcn"])
def test_loss_and_gradients_of_a_batch_are_equal(name: str, data: Interactions) -> None:
    ours, plain, task = pair(name, data)
    batch = one_batch(task, data)
    assert len(torch.unique(batch.index[:, 0])) < len(batch)  # users repeat, as the contrast must count them
    mine, theirs = our_loss(task, ours, batch), plain_loss(plain, batch)
    assert mine.item() == pytest.approx(theirs.item(), abs=1e-4)
    mine.backward()
    theirs.backward()
    known = {key.replace("features.", "offsets."): value.grad for key, value in plain.named_parameters()}
    assert set(known) == {key for key, _ in ours.named_parameters()}
    for key, parameter in ours.named_parameters():
        scale = float(parameter.grad.abs().max())
        assert scale > 0  # relative to itself: what moves the loss little, as the attention does, must be equal too
        torch.testing.assert_close(known[key], parameter.grad, atol=1e-4 * scale, rtol=1e-3, msg=key)


def test_negatives_are_items_that_the_user_has_not_taken(data: Interactions) -> None:
    from plain_training import PlainTraining

    _, plain, _ = pair("lightgcn", data)
    train = data.splits["train"]
    training = PlainTraining(plain, train, lr=1e-3, batch_size=500, seed=0)
    draws = [torch.cat(columns) for columns in zip(*training.batches(), strict=True)]
    user, item, other = draws
    epoch = torch.stack([user, item], 1)
    assert torch.equal(epoch[data.keys(epoch).argsort()], train[data.keys(train).argsort()])
    assert not torch.isin(data.keys(torch.stack([user, other], 1)), data.keys(train)).any()
    assert len(torch.unique(other)) > len(torch.unique(item)) // 2


def test_both_learn(data: Interactions) -> None:
    from plain_training import PlainTraining

    ours, plain, task = pair("mgcn", data)
    batch = one_batch(task, data)
    before = plain_loss(plain, batch).item()
    training = PlainTraining(plain, data.splits["train"], lr=5e-3, batch_size=500, seed=0)
    for _ in range(3):
        training.epoch()
    task.fit(ours, data, seed=0, epochs=3, lr=5e-3)
    after, mine = plain_loss(plain, batch).item(), our_loss(task, ours, batch).item()
    assert after < 0.9 * before and mine < 0.9 * before


def test_a_record_and_its_table() -> None:
    from run import run
    from tables import parts_of

    records = run("rec_speed", only={"model": ["mgcn"]}, quiet=True, smoke=True)
    assert [record["cell"]["model"] for record in records] == ["mgcn"]
    (record,) = records
    assert (
        record["ratio"]["cpu_seconds"]
        == record["median"]["cpu_seconds"]["plain"] / record["median"]["cpu_seconds"]["graphforget"]
    )
    assert {len(values) for by_name in record["all"].values() for values in by_name.values()} == {record["repeats"] + 1}
    assert f"{record['ratio']['cpu_seconds']:.1f}x" in parts_of("rec_speed", records)["all"]


def test_a_different_model_is_refused(data: Interactions) -> None:
    from recommendation_speed import TOLERANCE, loss_difference

    ours, plain, task = pair("mgcn", data)
    assert loss_difference(task, ours, plain, data) < TOLERANCE
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(1.5)
    assert loss_difference(task, ours, plain, data) > TOLERANCE
