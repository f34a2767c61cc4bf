"""What must be forgotten (DeletionRequest) and what that means for data (ForgetSplit)."""

from graphforget.requests.keys import show_ids
from graphforget.requests.lineage import Lineage
from graphforget.requests.named import resolve_names
from graphforget.requests.names import OwnNames, as_positions
from graphforget.requests.request import DeletionRequest, union
from graphforget.requests.split import CONTEXTS, Context, ForgetSplit, Part, View
from graphforget.requests.target import KINDS, Target, as_ids, id_width

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
    "id_width",
    "resolve_names",
    "show_ids",
    "union",
]
