from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from graphforget.exceptions import ViewError
from graphforget.requests import DeletionRequest, ForgetSplit, Lineage, View

EMPTY = torch.empty(0, dtype=torch.long)


@dataclass(frozen=True, eq=False)
class Slots:
    alive: tuple[int, ...]
    lineage: Lineage | None = None


def make(
    data=None,
    *,
    removed=(1, 3),
    altered=(),
    affected=(),
    retain=(0, 2, 4),
    readable=None,
    request=None,
    unlink="original",
    calls=None,
):
    def forget(lineage):
        if calls is not None:
            calls.append("forget")
        return Slots(tuple(retain), lineage)

    ids = [torch.tensor(part, dtype=torch.long) for part in (removed, altered, affected, retain)]
    return ForgetSplit(
        request=request or DeletionRequest.nodes([1, 3]),
        data=data or Slots((0, 1, 2, 3, 4)),
        unlink=unlink,
        forget=forget,
        removed=ids[0],
        altered=ids[1],
        affected=ids[2],
        retain=ids[3],
        readable=None if readable is None else torch.tensor(readable),
        deny={"node": ids[0]},
    )


def test_data_of_the_other_contexts_is_made_once_and_only_when_asked():
    calls: list[str] = []
    split = make(calls=calls)
    assert calls == []
    assert split.retain_data is split.retain_data and split.data_on("retained") is split.retain_data
    assert calls == ["forget"]


@pytest.mark.parametrize("unlink", ["original", "retained"])
def test_unlinked_data_can_be_another_context(unlink):
    split = make(unlink=unlink)
    assert split.unlinked_data is (split.data if unlink == "original" else split.retain_data)


def test_unlinked_data_can_be_its_own():
    marker = SimpleNamespace(lineage=None)
    assert make(unlink=lambda: marker).view("removed", on="unlinked").data is marker


@pytest.mark.parametrize(
    ("parts", "source", "ids"),
    [
        ({}, "removed", [1, 3]),
        ({"removed": (), "altered": (2,), "affected": (4,)}, "altered", [2]),
        ({"removed": (), "affected": (4,)}, "affected", [4]),
        ({"removed": ()}, "none", []),
    ],
)
def test_forget_means_removed_else_altered_else_affected(parts, source, ids):
    split = make(**parts)
    assert split.forget_source == source and split.index("forget").tolist() == ids


def test_removed_examples_cannot_be_read_where_they_are_gone():
    split = make()
    assert not split.readable("forget", "retained") and split.forget_context == "unlinked"
    with pytest.raises(ViewError, match='2 of the 2 forgotten examples have no content in the retained data; .* on="unlinked"'):
        split.view("forget", on="retained")
    assert split.view("forget", on="original").index.tolist() == [1, 3]


def test_removed_pairs_whose_ends_exist_can_be_read_everywhere():
    split = make(readable=[True, True])
    assert split.forget_context == "retained" and split.view("removed", on="retained").data is split.retain_data


def test_altered_examples_can_be_read_on_the_retained_data():
    split = make(removed=(), altered=(2,))
    assert split.view("forget", on="retained").index.tolist() == [2]


def test_only_retained_views_draw_negatives():
    split = make(affected=(2,))
    assert split.view("retain", on="retained").negatives == "draw"
    assert {split.view(p, on="original").negatives for p in ("forget", "removed", "affected", "altered")} == {"none"}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda s: s.view("forget", on="retain"), "unknown context 'retain': choose one of original, unlinked, retained"),
        (lambda s: s.view("forgot", on="original"), "unknown part 'forgot': choose one of forget, removed"),
        (lambda s: s.index("test"), "unknown part 'test'"),
    ],
)
def test_unknown_names_are_refused(call, sentence):
    with pytest.raises(ViewError, match=sentence):
        call(make())


def test_lineage_adds_up_over_requests():
    first = make()
    second = make(first.retain_data, request=DeletionRequest.nodes([2]), removed=(2,), retain=(0, 4))
    data, total = second.root
    assert data is first.data and total == DeletionRequest.nodes([1, 2, 3])
    assert second.lineage.digests == (first.request.digest(), second.request.digest())
    assert second.retain_data.lineage is second.lineage and first.root == (first.data, first.request)


def test_views_select_rows_and_have_a_length():
    view = View(None, torch.tensor([[0, 1], [2, 3], [4, 5]]), "none")
    assert len(view) == 3 and view.select(torch.tensor([2])).index.tolist() == [[4, 5]]
    assert view.select(torch.tensor([0])).negatives == "none"


def test_repr_counts_the_parts():
    assert repr(make(affected=(2,))) == "ForgetSplit(2 nodes: removed=2, altered=0, affected=1, retain=3)"


def test_parts_given_as_functions_are_found_once_and_only_when_read():
    calls = []

    def found(name):
        def make():
            calls.append(name)
            return torch.tensor([7, 8])

        return make

    data = SimpleNamespace(lineage=None)
    split = ForgetSplit(
        request=DeletionRequest.nodes([0]),
        data=data,
        unlink="original",
        forget=lambda lineage: data,
        removed=torch.tensor([0]),
        altered=found("altered"),
        affected=found("affected"),
        retain=found("retain"),
    )
    assert split.forget_source == "removed" and split.index("forget").tolist() == [0] and calls == []
    assert repr(split) == "ForgetSplit(1 node: removed=1)" and calls == []
    assert split.retain.tolist() == split.index("retain").tolist() == [7, 8] and calls == ["retain"]
    assert "retain=2" in repr(split) and "affected" not in repr(split)
