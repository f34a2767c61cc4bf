from __future__ import annotations

import pytest
import torch

from graphforget.base import evaluating
from graphforget.exceptions import InputError, UnsupportedError
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners import D2DGN
from graphforget.unlearners.graph import d2dgn

CASES = [
    ("link_prediction", "edges"),
    ("link_prediction", "nodes"),
    ("node_classification", "nodes"),
    ("node_classification", "edges"),
    ("node_classification", "features"),
    ("image_classification", "samples"),
    ("recommendation", "interactions"),
]


def split_of(name, request):
    case = tiny_case(name)
    return case, case.task.split(case.data, case.requests[request])


def test_alpha_one_warm_start_has_no_gradient_on_an_unchanged_graph():
    case, split = split_of("link_prediction", "edges")
    gradients = []
    original_descend = d2dgn.descend

    def spy(optimizer, loss):
        value = original_descend(optimizer, loss)
        gradients.append(max(float(p.grad.abs().max()) for group in optimizer.param_groups for p in group["params"]))
        return value

    method = D2DGN(alpha=1.0, epochs=1, message_graph="original", destroyer="random", lambda_feat=1.0, lr=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(d2dgn, "descend", spy)
        result = method.unlearn(case.model(), case.task, split)
    assert len(gradients) == 1 and gradients[0] < 1e-7
    assert result.curve[0]["retain_loss"] < 1e-7
    for before, after in zip(case.trained.parameters(), result.model.parameters(), strict=True):
        assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("name, request_name", CASES)
@pytest.mark.parametrize("destroyer", ["random", "proxy"])
def test_alpha_zero_moves_forgotten_elements_towards_the_destroyer(name, request_name, destroyer):
    case, split = split_of(name, request_name)
    params = {"destroyer": destroyer, "destroyer_epochs": 5, "alpha": 0.0}
    result = D2DGN(epochs=30, lr=5e-3, **params).unlearn(case.model(), case.task, split)
    assert result.curve[-1]["forget_loss"] < 0.5 * result.curve[0]["forget_loss"] + 1e-4


def test_negative_graph_is_made_of_non_edges():
    case, split = split_of("link_prediction", "edges")
    data = split.retain_data
    made = d2dgn.negative_graph(data, torch.Generator().manual_seed(0))
    old = {tuple(p) for p in data.pairs().tolist()}
    new = {tuple(p) for p in made.pairs().tolist()}
    assert not old & new and 0.5 * len(old) < len(new) <= len(old)
    assert made.undirected and made.edge_index.size(1) == 2 * len(new)
    result = D2DGN(destroyer="negative_graph", epochs=2, destroyer_epochs=2).unlearn(case.model(), case.task, split)
    assert result.changed_parameters


def test_the_forget_term_reads_forgotten_elements_only():
    case, split = split_of("link_prediction", "edges")
    seen = []

    class Watched(D2DGN):
        def _destroy(self, run, batches, *rest):
            seen.extend(batches)
            return super()._destroy(run, batches, *rest)

    Watched(epochs=1, destroyer="random").unlearn(case.model(), case.task, split)
    assert len(seen) == 1 and torch.equal(seen[0].index, split.removed)
    assert seen[0].data is split.retain_data  # the deleted edges carry no messages either


def test_retained_elements_are_kept_better_with_a_larger_alpha():
    case, split = split_of("node_classification", "nodes")
    view = split.view("retain", on="retained")
    with evaluating(case.trained):
        before = case.task.predict(case.trained, view).softmax(1)
    moved = []
    for alpha in (0.1, 0.9):
        result = D2DGN(alpha=alpha, destroyer="random", epochs=30).unlearn(case.model(), case.task, split)
        moved.append(float((case.task.predict(result.model, view).softmax(1) - before).abs().mean()))
    assert moved[1] < moved[0]


def test_scratch_starts_from_fresh_weights():
    case, split = split_of("link_prediction", "edges")
    cold = D2DGN(init="scratch", epochs=0).unlearn(case.model(), case.task, split)
    assert set(cold.changed_parameters) >= {"convs.0.lin.weight", "convs.1.lin.weight"}
    warm = D2DGN(epochs=0).unlearn(case.model(), case.task, split)
    assert warm.changed_parameters == ()


def test_temperature_leaves_the_size_of_small_gradients():
    """T^2 KL at temperature T: near agreement the first record at T = 1 and T = 4 is of one order."""
    case, split = split_of("node_classification", "edges")
    values = [
        D2DGN(temperature=t, epochs=1, destroyer="random").unlearn(case.model(), case.task, split).curve[0]["forget_loss"]
        for t in (1.0, 4.0)
    ]
    assert 0.2 < values[1] / values[0] < 5


def test_refusals():
    case, split = split_of("image_classification", "samples")
    with pytest.raises(UnsupportedError, match="negative_graph"):
        D2DGN(destroyer="negative_graph").unlearn(case.model(), case.task, split)
    for params in (
        {"destroyer": "prox"},
        {"alpha": 1.1},
        {"temperature": 0},
        {"init": "hot"},
        {"message_graph": "full"},
        {"lambda_feat": -1},
    ):
        with pytest.raises(InputError, match=next(iter(params))):
            D2DGN(**params)
