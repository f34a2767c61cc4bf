"""The user-item side, beside graphs: containers, edits that keep ids, random requests."""

from __future__ import annotations

from graphforget.interactions.data import Interactions, Positives
from graphforget.interactions.edit import remove_items, remove_pairs, remove_users
from graphforget.interactions.sample_requests import random_interactions, random_items, random_users

__all__ = [
    "Interactions",
    "Positives",
    "random_interactions",
    "random_items",
    "random_users",
    "remove_items",
    "remove_pairs",
    "remove_users",
]
