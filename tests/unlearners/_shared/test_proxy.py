from __future__ import annotations

import torch

from graphforget.base import Run
from graphforget.seed import generator
from graphforget.testing.tiny import tiny_case
from graphforget.unlearners._shared.proxy import GAP_GROWTH, GAP_SLACK, proxy_targets, repaired_copy, validation_gap


def run_of(name, request):
    case = tiny_case(name)
    split = case.task.split(case.data, case.requests[request])
    return case, Run(case.model(), case.task, split, 0, generator(0), {}, None, _source=case.model())


def test_the_gap_stays_within_its_bound_and_the_original_is_untouched():
    _, run = run_of("link_prediction", "edges")
    before = {k: v.clone() for k, v in run.original.state_dict().items()}
    model, facts = repaired_copy(run, epochs=40, lr=0.05)
    assert 0 <= facts["proxy_epochs"] < 40  # such a rate overfits 60 nodes long before
    first = facts["proxy_gap_before"]
    assert facts["proxy_gap_after"] <= first + GAP_GROWTH * abs(first) + GAP_SLACK
    assert all(torch.equal(before[k], v) for k, v in run.original.state_dict().items())
    if facts["proxy_epochs"] == 0:
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_zero_epochs_gives_the_original_on_the_retained_graph():
    case, run = run_of("link_prediction", "edges")
    batches = list(case.task.batches(run.split.view("forget", on="retained")))
    targets, facts = proxy_targets(run, batches, epochs=0)
    expected = case.task.predict(run.original, run.split.view("forget", on="retained"))
    assert torch.equal(targets[0].outputs, expected) and not targets[0].outputs.requires_grad
    assert facts["proxy_epochs"] == 0 and facts["proxy_gap_before"] == facts["proxy_gap_after"]


def test_gap_is_unseen_minus_seen():
    case, _ = run_of("image_classification", "samples")
    task, data = case.task, case.data
    seen = list(task.batches(task.view(data, "train")))
    unseen = list(task.batches(task.view(data, "test")))
    model = case.model().eval()
    with torch.no_grad():
        losses = [
            float(torch.nn.functional.cross_entropy(model(data.x[data.splits[p]]), data.y[data.splits[p]]))
            for p in ("train", "test")
        ]
    assert abs(validation_gap(task, model, seen, unseen) - (losses[1] - losses[0])) < 1e-5
    assert validation_gap(task, model, seen, []) == 0.0
