from __future__ import annotations

import pytest
import torch
from torch import nn

import graphforget
from graphforget.base import weights_digest
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.testing import tiny_case
from graphforget.unlearners import FineTune


class Plain(nn.Module):
    """A user's module: nothing but forward(x, edge_index)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, x, edge_index):
        out = self.linear(x)
        return out + torch.zeros_like(out).index_add(0, edge_index[1], out[edge_index[0]])


def graph():
    from torch_geometric.data import Data

    draws = torch.Generator().manual_seed(0)
    edges = torch.randint(20, (2, 60), generator=draws)
    return Data(
        x=torch.randn(20, 4, generator=draws),
        edge_index=torch.cat([edges, edges.flip(0)], 1),
        y=torch.arange(20) % 3,
        train_mask=torch.arange(20) < 12,
        val_mask=(torch.arange(20) >= 12) & (torch.arange(20) < 16),
        test_mask=torch.arange(20) >= 16,
    )


def test_the_newcomers_path_with_ones_own_module_and_pyg_data(tmp_path, monkeypatch):
    monkeypatch.setenv("GRAPHFORGET_HOME", str(tmp_path))
    torch.manual_seed(0)
    model, data = Plain(4, 3), graph()
    before = weights_digest(model)
    request = graphforget.DeletionRequest.nodes([2, 5])
    result = graphforget.unlearn(model, data, request, task="node_classification", method="finetune", epochs=3)
    assert weights_digest(model) == before and result.changed_parameters
    report = graphforget.evaluate(result, gold=2)
    assert report.verdict is not None and "Unlearning report" in str(report)
    assert graphforget.evaluate(result, gold=2).meta["gold"]["from_cache"] == 2


def test_a_named_task_takes_the_models_depth_as_its_reach():
    case = tiny_case("node_classification")
    task = graphforget.make_task("node_classification", case.model())
    assert task.num_hops == len(case.task.layer_names(case.model())) and task.template is not None


def test_auto_chooses_and_says_what():
    case = tiny_case("link_prediction")
    result = graphforget.unlearn(case.model(), case.data, case.requests["edges"], task=case.task, shadow_epochs=2, epochs=1)
    assert result.method == "shadow_distill"


def test_methods_by_name_class_and_instance_agree():
    case = tiny_case("node_classification")
    request = case.requests["nodes"]
    results = [
        graphforget.unlearn(case.model(), case.data, request, task=case.task, method="finetune", epochs=2),
        graphforget.unlearn(case.model(), case.data, request, task=case.task, method=FineTune, epochs=2),
        graphforget.unlearn(case.model(), case.data, request, task=case.task, method=FineTune(epochs=2)),
    ]
    assert len({weights_digest(r.model) for r in results}) == 1


def test_list_methods_is_complete():
    listed = {entry["key"]: entry for entry in graphforget.list_methods()}
    assert {"retrain", "identity", "unlink", "d2dgn", "gnndelete", "shadow_distill"} <= set(listed)
    assert all(entry["summary"] and entry["citation"] for entry in listed.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "gcn"}, "model must be a torch.nn.Module, got str"),
        ({"request": [1, 2]}, "request must be a DeletionRequest"),
        ({"task": "node_clasification"}, "did you mean 'node_classification'"),
        ({"method": "finetun"}, "did you mean 'finetune'"),
        ({"method": 3}, "method must be a name"),
        ({"lrr": 0.1, "method": "finetune"}, "no parameter 'lrr': did you mean 'lr'"),
        ({"data": 7}, "int"),
    ],
)
def test_wrong_arguments_get_a_sentence(change, message):
    case = tiny_case("node_classification")
    arguments = {
        "model": case.model(),
        "data": case.data,
        "request": case.requests["nodes"],
        "task": case.task,
        "method": "finetune",
    } | change
    with pytest.raises(InputError, match=message):
        graphforget.unlearn(arguments.pop("model"), arguments.pop("data"), arguments.pop("request"), **arguments)


def test_a_method_that_cannot_says_why():
    case = tiny_case("image_classification")
    with pytest.raises(UnsupportedError, match="this task has no input graph"):
        graphforget.unlearn(case.model(), case.data, case.requests["samples"], task=case.task, method="unlink")


# ---- operators of recommenders ------------------------------------------------------------------------------------
def places(task, model, data, pairs):
    """Mean share of the items that rank below the item of each pair for its user."""
    from graphforget.metrics.recommendation import pair_ranks, rank_percentile

    scores = task.score_all(model, data, pairs[:, 0])
    rows = torch.stack([torch.arange(len(pairs)), pairs[:, 1]], 1)
    return float(rank_percentile(*pair_ranks(scores, rows)).mean())


def test_suspend_changes_what_is_served_and_can_be_lifted():
    from graphforget.api import recommend, suspend

    case = tiny_case("recommendation")
    model = case.model()
    result = suspend(model, case.data, case.requests["items"], task=case.task)
    assert result.method == "mask" and result.serving.deny["item"].tolist() == [2, 9] and result.changed_parameters == ()
    assert weights_digest(result.original) == weights_digest(model) and result.split.data is case.data
    served = recommend(result, range(24), top_k=5)
    assert served.shape == (24, 5) and not torch.isin(served, torch.tensor([2, 9])).any()
    with pytest.raises(InputError, match="recommend ranks items"):
        recommend(tiny_case("link_prediction").unlearn("unlink", "nodes"), [0])
    forgotten = graphforget.unlearn(result.original, case.data, case.requests["items"], task=case.task, method="row_reset")
    assert forgotten.changed_parameters


def test_a_restored_item_ranks_like_one_that_was_never_seen():
    from graphforget.api import restore

    case = tiny_case("recommendation")
    result = case.unlearn("row_reset", "items")
    takers = result.split.removed[result.split.removed[:, 1] == 9]
    before = places(case.task, case.model(), case.data, takers)
    after = []
    for seed in range(20):
        restored = restore(result, [9], seed=seed)
        assert restored.new_ids == {9: 20} and not restored.data.alive_items[9] and restored.data.alive_items[20]
        new = torch.stack([takers[:, 0], torch.full((len(takers),), 20)], 1)
        after.append(places(restored.task, restored.model, restored.data, new))
    assert before > 0.9 and abs(sum(after) / 20 - 0.5) < 0.15
    assert torch.equal(restored.model.item_embedding.weight[:20], result.model.item_embedding.weight)
    assert not (restored.data.splits["train"][:, 1] == 20).any()


def test_restored_data_can_be_trained_on_and_forgotten_again():
    from graphforget.api import restore
    from graphforget.interactions import Interactions
    from graphforget.models import VBPR
    from graphforget.requests import DeletionRequest
    from graphforget.tasks import Recommendation

    tiny = tiny_case("recommendation").data
    data = Interactions.create(
        tiny.splits,
        num_users=24,
        num_items=20,
        features={"text": torch.eye(20)},
        attributes={"owner": [f"o{item % 3}" for item in range(20)]},
        item_names=[f"name {item}" for item in range(20)],
    )
    task = Recommendation(template=VBPR(24, 20, data.modalities, dim=4))
    model = task.new_model(data, seed=0)
    result = graphforget.unlearn(
        model, data, DeletionRequest.items(data.items_with("owner", "o1")), task=task, method="row_reset"
    )
    restored = restore(result, [1, 4])
    assert restored.new_ids == {1: 20, 4: 21} and restored.data.item_names[20:] == ("name 1", "name 4")
    assert restored.data.items_with("owner", "o1").tolist() == [20, 21]
    assert torch.equal(restored.data.features["text"][20:], torch.eye(20)[[1, 4]])
    again = graphforget.unlearn(restored.model, restored.data, DeletionRequest.items([21]), task=restored.task, method="retrain")
    assert again.model.num_items == 22 and not again.data.alive_items[21]
    assert task.template.num_items == 20  # the caller's task is as it was


def test_a_modality_that_was_forgotten_by_name_does_not_come_back_with_its_item():
    from graphforget.api import restore
    from graphforget.requests import DeletionRequest
    from graphforget.unlearners import RowReset

    case = tiny_case("recommendation/mgcn")
    modality, item = DeletionRequest.modality("image", [3]), DeletionRequest.items([3, 5])
    first = graphforget.unlearn(case.model(), case.data, modality, task=case.task, method="row_reset")
    both = graphforget.unlearn(case.model(), case.data, modality | item, task=case.task, method="row_reset")
    for result in (first.then(item, method=RowReset()), both):
        image, text = restore(result, [3, 5]).data.features.values()
        assert bool(image[20].isnan().all()) and torch.equal(image[21], case.data.features["image"][5])
        assert torch.equal(text[20:], case.data.features["text"][[3, 5]])
    assert not case.data.features["image"][3].isnan().any()


def test_what_was_forgotten_before_a_restoration_has_no_content_to_come_back_with():
    from graphforget.api import restore
    from graphforget.requests import DeletionRequest

    case = tiny_case("recommendation")
    back = restore(case.unlearn("row_reset", "items"), [9])
    result = graphforget.unlearn(back.model, back.data, DeletionRequest.items([20]), task=back.task, method="row_reset")
    assert restore(result, [20]).new_ids == {20: 21}
    with pytest.raises(InputError, match="items 2, 9 were forgotten before .* nothing says what they were"):
        restore(result, [2, 9, 20])


def test_restore_refuses_what_was_not_forgotten_and_models_that_cannot_grow():
    from graphforget.api import restore
    from graphforget.models import EASE
    from graphforget.tasks import Recommendation

    case = tiny_case("recommendation")
    result = case.unlearn("row_reset", "items")
    with pytest.raises(InputError, match="items 3 were not forgotten"):
        restore(result, [2, 3])
    with pytest.raises(InputError, match="items 77 were not forgotten"):
        restore(result, [77])
    with pytest.raises(InputError, match="only suspended"):
        restore(case.unlearn("mask", "items"), [2])
    with pytest.raises(InputError, match="restore takes back items"):
        restore(tiny_case("link_prediction").unlearn("unlink", "nodes"), [2])
    task = Recommendation(build=lambda d: EASE(d.num_users, d.num_items))
    ease = task.new_model(case.data, seed=0)
    task.fit(ease, case.data, seed=0)
    with pytest.raises(InputError, match="EASE cannot grow"):
        restore(graphforget.unlearn(ease, case.data, case.requests["items"], task=task, method="retrain"), [2])
