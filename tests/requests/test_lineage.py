from __future__ import annotations

import dataclasses

import pytest

from graphforget.requests import DeletionRequest, Lineage


def test_lineage_is_read_only_and_compares_by_identity():
    lineage = Lineage("first data", DeletionRequest.nodes([1]), ("abc",))
    assert lineage != Lineage("first data", DeletionRequest.nodes([1]), ("abc",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        lineage.digests = ()
