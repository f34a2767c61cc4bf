"""The user-item side, beside graphs: containers, edits that keep ids, random requests."""

from __future__ import annotations

from graphforget.interactions.canaries import CANARY, with_canaries
from graphforget.interactions.content import ItemAttribute
from graphforget.interactions.convert import from_hetero, to_hetero
from graphforget.interactions.data import Interactions
from graphforget.interactions.edit import remove_items, remove_modality, remove_pairs, remove_users
from graphforget.interactions.graph import InteractionGraph
from graphforget.interactions.knn import NearestItems, nearest_items
from graphforget.interactions.positives import Positives
from graphforget.interactions.resize import Slots, add_items, add_users, compact
from graphforget.interactions.sample_requests import random_interactions, random_items, random_users

__all__ = [
    "CANARY",
    "InteractionGraph",
    "Interactions",
    "ItemAttribute",
    "NearestItems",
    "Positives",
    "Slots",
    "add_items",
    "add_users",
    "compact",
    "from_hetero",
    "nearest_items",
    "random_interactions",
    "random_items",
    "random_users",
    "remove_items",
    "remove_modality",
    "remove_pairs",
    "remove_users",
    "to_hetero",
    "with_canaries",
]
