"""Numbers and several labels per node: read, trained on, forgotten and judged; classes elsewhere are not disturbed by them."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Data

import graphforget
from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData, as_graph, remove_nodes, to_pyg
from graphforget.metrics.utility import mean_label_precision, micro_f1, r2
from graphforget.models import GCN
from graphforget.tasks import LinkPrediction, NodeClassification, NodeMultilabel, NodeRegression
from graphforget.testing import tiny_case

RING = torch.stack([torch.arange(30), (torch.arange(30) + 1) % 30])
EDGES = torch.cat([RING, RING.flip(0)], 1)


def pyg(y: torch.Tensor) -> Data:
    g = torch.Generator().manual_seed(0)
    part = torch.arange(30)
    return Data(
        x=torch.randn(30, 5, generator=g),
        edge_index=EDGES,
        y=y,
        train_mask=part < 18,
        val_mask=(part >= 18) & (part < 24),
        test_mask=part >= 24,
    )


@pytest.mark.parametrize("y", [torch.rand(30), torch.rand(30, 1), torch.rand(30, 2)])
def test_numbers_are_read_and_go_with_their_nodes(y):
    data = as_graph(pyg(y))
    assert data.y is None and torch.equal(data.node_data["target"], y)
    assert bool(remove_nodes(data, [3]).node_data["target"][3].isnan().all())
    assert torch.equal(to_pyg(data).y, y)
    task = NodeRegression(build=lambda d: GCN(5, 8, y.view(30, -1).size(1)), recipe=Recipe(epochs=5))
    model = task.new_model(data, seed=0)
    before = task.utility(model, task.view(data, "train"))["rmse"]
    task.fit(model, data, seed=0)
    assert task.utility(model, task.view(data, "train"))["rmse"] < before


def test_nodes_without_a_number_are_no_examples():
    y = torch.rand(30)
    y[[0, 20]] = float("nan")
    task = NodeRegression(build=lambda d: GCN(5, 8, 1))
    data = task.adopt(pyg(y))
    assert len(task.index(data, "train")) == 17 and len(task.index(data, "val")) == 5


def test_the_loss_is_the_squared_error():
    task = NodeRegression(build=lambda d: GCN(5, 8, 2))
    data = task.adopt(pyg(torch.rand(30, 2)))
    model = task.new_model(data, seed=0).eval()
    (batch,) = task.batches(task.view(data, "train"))
    expected = (model(data.x, data.edge_index)[:18] - data.node_data["target"][:18]).square().mean()
    torch.testing.assert_close(task.loss(task.forward(model, batch)[0], batch), expected)


@pytest.mark.parametrize("name", ["node_regression", "node_multilabel"])
def test_a_deletion_is_judged_from_end_to_end(name):
    case = tiny_case(name)
    result = case.unlearn("finetune", "nodes", epochs=2)
    report = graphforget.evaluate(result, gold=2, cache=False)
    assert report.verdict.label in ("sufficient", "insufficient", "inconclusive")
    metrics = {row.metric for row in report.rows}
    assert {"mean_abs_dp", "rmse" if name == "node_regression" else "micro_f1"} <= metrics
    assert report.to_html() and report.to_markdown()


def test_several_labels_of_any_dtype():
    for y in (torch.rand(30, 4).round(), torch.rand(30, 4) > 0.5, torch.randint(2, (30, 4))):
        task = NodeMultilabel(build=lambda d: GCN(5, 8, 4), recipe=Recipe(epochs=3))
        data = task.adopt(pyg(y))
        model = task.new_model(data, seed=0)
        task.fit(model, data, seed=0)
        (batch,) = task.batches(task.view(data, "train"))
        forward = task.forward(model, batch)[0]
        expected = torch.nn.functional.binary_cross_entropy_with_logits(forward.outputs, y[:18].float())
        torch.testing.assert_close(task.loss(forward, batch), expected)


@pytest.mark.parametrize(
    ("task", "y", "words"),
    [
        (NodeClassification, torch.rand(30), r"y holds numbers of shape \[30\]: take task='node_regression' for numbers"),
        (NodeClassification, torch.rand(30, 3).round(), "task='node_multilabel' for several labels"),
        (NodeRegression, torch.randint(3, (30,)), "y of numbers, .* and y holds one class number per node"),
        (NodeMultilabel, torch.rand(30, 3), "y of zeros and ones, and it has others: take task='node_regression'"),
    ],
)
def test_the_wrong_task_says_which_is_right(task, y, words):
    with pytest.raises(InputError, match=words):
        task().adopt(pyg(y))


def test_a_model_of_another_width_is_refused():
    data = pyg(torch.rand(30, 2))
    request = graphforget.DeletionRequest.nodes([1])
    with pytest.raises(InputError, match="GCN returns 3 numbers per node, and y has 2: they must be as many"):
        graphforget.unlearn(GCN(5, 8, 3), data, request, task="node_regression", method="finetune")


def test_links_do_not_mind_what_y_is():
    for y in (torch.rand(30), torch.rand(30, 3).round()):
        data = pyg(y)
        data.train_mask = data.val_mask = data.test_mask = None
        request = graphforget.DeletionRequest.edges(pairs=[[0, 1]])
        result = graphforget.unlearn(GCN(5, 8, 4), data, request, task=LinkPrediction(), method="unlink")
        assert len(result.split.removed) == 1


def test_the_metrics():
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert micro_f1(torch.tensor([[1.0, -1.0], [1.0, 1.0], [1.0, -1.0]]), y) == pytest.approx(0.75)
    assert mean_label_precision(torch.tensor([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0]]), y) == 1.0
    assert r2(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[1.0], [2.0], [3.0]])) == 1.0
    assert GraphData.create(EDGES, 30, y=torch.tensor([True] * 30).long()).num_classes == 2
