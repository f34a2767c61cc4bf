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
