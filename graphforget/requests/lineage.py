"""What a data container descends from: the first data and everything deleted since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphforget.requests.request import DeletionRequest


@dataclass(frozen=True, eq=False)
class Lineage:
    """Carried by retained data so that a later request, gold and evaluation know the whole story.

    Attributes:
        data: The first data container, before any deletion.
        request: The union of all requests served since, canonical.
        digests: Digest of each request in the order they were served.
    """

    data: Any
    request: DeletionRequest
    digests: tuple[str, ...] = ()
