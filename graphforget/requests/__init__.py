"""What must be forgotten (DeletionRequest) and what that means for data (ForgetSplit)."""

from graphforget.requests.lineage import Lineage
from graphforget.requests.names import OwnNames, as_positions, resolve_names
from graphforget.requests.request import KINDS, DeletionRequest, Target, as_ids, show_ids, union
from graphforget.requests.split import CONTEXTS, Context, ForgetSplit, Part, View

__all__ = [
    "CONTEXTS",
    "KINDS",
    "Context",
    "DeletionRequest",
    "ForgetSplit",
    "Lineage",
    "OwnNames",
    "Part",
    "Target",
    "View",
    "as_ids",
    "as_positions",
    "resolve_names",
    "show_ids",
    "union",
]
