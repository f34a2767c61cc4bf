from __future__ import annotations

import torch

from graphforget.base import counting
from graphforget.evaluation.judged import Judged, make_subsets, score
from graphforget.testing import tiny_case


def setting(name: str, request: str):
    case = tiny_case(name)
    return case, case.task.split(case.data, case.requests[request])


def test_link_subsets_hold_positives_only_and_near_ones_partition_the_retained():
    case, split = setting("link_prediction", "edges")
    subsets = make_subsets(case.task, split)
    assert all(bool((s.y == 1).all()) for s in subsets.values())
    assert len(subsets["deleted"]) == len(split.removed) and len(subsets["retained"]) == len(split.retain)
    assert sum(len(subsets[n]) for n in ("hop1", "hop2", "far") if n in subsets) == len(split.retain)


def test_deleted_nodes_are_read_unlinked_and_deleted_edges_on_the_retained_graph():
    case, split = setting("node_classification", "nodes")
    assert make_subsets(case.task, split)["deleted"].context == "unlinked"
    case, split = setting("link_prediction", "edges")
    assert make_subsets(case.task, split)["deleted"].context == "retained"


def test_scoring_every_subset_costs_one_encoding_per_context():
    case, split = setting("link_prediction", "edges")
    judged = Judged("gold", "retained", 0, case.model())
    with counting() as work:
        score(case.task, split, make_subsets(case.task, split), judged)
    assert work.encodings == 1


def test_ranking_margins_of_two_models_use_the_same_negatives():
    case, split = setting("recommendation", "interactions")
    subsets = make_subsets(case.task, split)
    one, two = (Judged(role, "retained", 0, case.model()) for role in ("gold", "unlearned"))
    score(case.task, split, subsets, one)
    score(case.task, split, subsets, two)
    assert all(torch.equal(one.outputs[n], two.outputs[n]) for n in subsets)


def test_the_original_is_read_on_the_original_graph():
    case, split = setting("link_prediction", "edges")
    subsets = make_subsets(case.task, split)
    full, edited = Judged("original", "original", None, case.model()), Judged("unlink", "retained", None, case.model())
    for one in (full, edited):
        score(case.task, split, subsets, one)
    assert not torch.allclose(full.outputs["deleted"], edited.outputs["deleted"])


def test_twins_are_validation_links_beside_the_deletion():
    case, split = setting("link_prediction", "edges")
    twins = case.task.twins(split)
    hops = split.region["distance"][twins]
    val = {tuple(p) for p in split.retain_data.splits["val"].tolist()}
    assert len(twins) and {tuple(p) for p in twins.tolist()} <= val
    assert bool(((hops >= 0) & (hops <= 1)).any(1).all())
    assert len(make_subsets(case.task, split)["twins"]) == len(twins)
    assert tiny_case("node_classification").task.twins(split) is None
