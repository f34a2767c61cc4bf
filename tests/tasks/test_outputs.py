"""Outputs are read for what they are: logits, probabilities, one logit, a tensor among others; or refused in a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch_geometric.nn import GAE, VGAE, GCNConv

import graphforget
from graphforget.base import Recipe
from graphforget.exceptions import InputError
from graphforget.graphs import GraphData
from graphforget.tasks import LinkPrediction, NodeClassification
from graphforget.tasks.outputs import binary_logits, class_logits, meaning, tensor_of

N, F = 40, 6


def graph(classes: int = 3, seed: int = 0) -> GraphData:
    g = torch.Generator().manual_seed(seed)
    pairs = torch.randint(N, (80, 2), generator=g)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    edges = torch.unique(torch.cat([pairs, pairs.flip(1)]), dim=0).t()
    y = torch.randint(classes, (N,), generator=g)
    splits = {"train": torch.arange(24), "val": torch.arange(24, 30), "test": torch.arange(30, N)}
    return GraphData.create(edges, N, x=torch.randn(N, F, generator=g), y=y, splits=splits, num_classes=classes)


class Net(nn.Module):
    def __init__(self, end=lambda z: z, width: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.end = GCNConv(F, 16), GCNConv(16, width), end

    def forward(self, x, edge_index):
        return self.end(self.b(self.a(x, edge_index).relu(), edge_index))


def predicted(model: nn.Module, data: GraphData, **options) -> torch.Tensor:
    task = NodeClassification(template=model, **options)
    return task.predict(model, task.view(data, "test"))


def test_the_same_network_ends_in_logits_log_softmax_or_declared_softmax():
    data = graph()
    plain = predicted(Net(), data).softmax(1)
    torch.testing.assert_close(predicted(Net(lambda z: z.log_softmax(1)), data).softmax(1), plain)
    torch.testing.assert_close(predicted(Net(lambda z: z.softmax(1)), data, outputs="probabilities").softmax(1), plain)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda z: z.softmax(1), r"the outputs of Net are probabilities \(rows that sum to one\).*outputs='probabilities'"),
        (lambda z: z.sigmoid(), r"the outputs of Net are between 0 and 1, as a sigmoid gives them.*one column per class"),
    ],
)
def test_undeclared_probabilities_are_refused_before_anything_is_trained(end, words):
    request = graphforget.DeletionRequest.nodes([1])
    with pytest.raises(InputError, match=words):
        graphforget.unlearn(Net(end), graph(), request, task="node_classification", method="finetune", epochs=1)


def test_one_logit_is_a_binary_outcome():
    data = graph(classes=2)
    one = Net(width=1)
    z = one.eval()(data.x, data.edge_index).detach()[data.splits["test"], 0]
    torch.testing.assert_close(predicted(one, data).softmax(1)[:, 1], z.sigmoid())
    torch.testing.assert_close(predicted(Net(lambda z: z.view(-1), width=1), data).softmax(1)[:, 1], z.sigmoid())
    torch.testing.assert_close(predicted(Net(torch.sigmoid, width=1), data, outputs="probabilities").softmax(1)[:, 1], z.sigmoid())
    task = NodeClassification(template=one, recipe=Recipe(epochs=2))
    assert task.fit(task.new_model(data, seed=0), data, seed=0).epochs == 2
    with pytest.raises(InputError, match="returns one number per example, and the data has 3 classes"):
        predicted(Net(width=1), graph(classes=3))


def test_fewer_columns_than_classes_are_refused():
    with pytest.raises(InputError, match=r"Net returns 2 columns, and y has classes up to 2: give y=-1 where the class is not known"):
        predicted(Net(width=2), graph(classes=3))
    assert predicted(Net(width=5), graph(classes=3)).shape == (10, 5)


@pytest.mark.parametrize(
    "end",
    [
        lambda z: SimpleNamespace(logits=z, loss=None),
        lambda z: {"logits": z, "hidden": z},
        lambda z: {"scores": z},
        lambda z: (z, z.square().mean()),
        lambda z: [z],
    ],
)
def test_the_outputs_are_found_among_what_is_returned(end):
    data = graph()
    torch.testing.assert_close(predicted(Net(end), data), predicted(Net(), data))


def test_several_that_could_be_meant_are_refused():
    with pytest.raises(InputError, match=r"Net\.forward\(x, edge_index\) returns tuple with 2 tensors of 40 rows"):
        predicted(Net(lambda z: (z, z)), graph())
    with pytest.raises(InputError, match="must return a tensor"):
        predicted(Net(lambda z: "logits"), graph())


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = GCNConv(F, 8), GCNConv(8, 4)

    def forward(self, x, edge_index):
        return self.b(self.a(x, edge_index).relu(), edge_index)


class Variational(Encoder):
    def forward(self, x, edge_index):
        z = self.b(self.a(x, edge_index).relu(), edge_index)
        return z, z.mul(0.1)


@pytest.mark.parametrize("model", [GAE(Encoder()), VGAE(Variational())])
def test_autoencoders_are_asked_for_logits(model):
    data = graph()
    task = LinkPrediction(template=model)
    view = task.view(data, "train")
    pairs = view.index.t()
    model.eval()
    with torch.no_grad():
        own = model.decode(model.encode(data.x, data.edge_index), pairs)  # probabilities
    torch.testing.assert_close(task.predict(model, view)[: len(view)].sigmoid(), own)
    request = graphforget.DeletionRequest.edges(pairs=data.pairs()[:2])
    result = graphforget.unlearn(model, data, request, task=task, method="finetune", epochs=2)
    assert result.changed_parameters


class Own(Encoder):
    """encode and decode, and no forward."""

    forward = nn.Module.forward

    def encode(self, x, edge_index):
        return Encoder.forward(self, x, edge_index)

    def decode(self, z, edge_label_index):
        return torch.sigmoid((z[edge_label_index[0]] * z[edge_label_index[1]]).sum(-1, keepdim=True))


def test_a_decoder_of_probabilities_is_declared_or_refused():
    data, model = graph(), Own()
    view = LinkPrediction(template=model).view(data, "train")
    with pytest.raises(InputError, match=r"Own\.decode\(z, edge_label_index\) are between 0 and 1"):
        LinkPrediction(template=model).predict(model, view)
    task = LinkPrediction(template=model, outputs="probabilities")
    with torch.no_grad():
        own = model.eval().decode(model.encode(data.x, data.edge_index), view.index.t()).view(-1)
    torch.testing.assert_close(task.predict(model, view)[: len(view)].sigmoid(), own)


def test_the_pieces():
    assert meaning(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)), None, "m") == "logits"
    assert meaning(torch.tensor([[0.2, 0.8]]), None, "m") == "logits"  # too few numbers to tell
    with pytest.raises(InputError, match="do not sum to one"):
        meaning(torch.full((4, 3), 0.5), "probabilities", "m")
    with pytest.raises(InputError, match="not between 0 and 1"):
        meaning(torch.full((4, 3), 5.0), "probabilities", "m")
    assert meaning(torch.full((8, 3), 1 / 3), "logits", "m") == "logits"
    torch.testing.assert_close(class_logits(torch.tensor([0.0, 2.0]), "logits", 2, "m"), torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    torch.testing.assert_close(binary_logits(torch.tensor([[0.5], [0.25]]), "probabilities").sigmoid(), torch.tensor([0.5, 0.25]))
    assert tensor_of((torch.ones(3, 2), torch.tensor(1.0)), 3, "f").shape == (3, 2)
    with pytest.raises(InputError, match="outputs='logit' is unknown: did you mean 'logits'"):
        NodeClassification(outputs="logit")
