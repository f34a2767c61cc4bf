"""Item features out of words: near texts are near, empty ones have none, and the seed fixes them."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cosine_similarity

from graphforget.datasets.recommender.text import attribute_features, text_features
from graphforget.exceptions import InputError
from graphforget.interactions import ItemAttribute

TEXTS = [
    "cooking rice and beans",
    "beans and rice, cooking well",
    "the dark forest",
    "a forest so dark",
    "",
    "cooking in the forest",
]


def test_near_texts_are_near():
    x = text_features(TEXTS, dim=3)
    assert x.shape == (6, 3) and x.dtype == torch.float32
    assert cosine_similarity(x[0], x[1], dim=0) > 0.9 > cosine_similarity(x[0], x[2], dim=0)
    assert x[4].isnan().all() and x[[0, 1, 2, 3, 5]].isfinite().all()
    assert torch.equal(x.nan_to_num(), text_features(TEXTS, dim=3).nan_to_num())
    assert not torch.equal(x.nan_to_num(), text_features([t.replace("rice", "forest") for t in TEXTS], dim=3).nan_to_num())


def test_attributes_of_few_items_weigh_more():
    tags = ItemAttribute.of_items([("all", "rare"), ("all", "rare"), ("all", "other"), ("all", "other"), ()])
    x = attribute_features(tags, 5, dim=2)
    assert x[4].isnan().all()
    assert cosine_similarity(x[0], x[1], dim=0) > 0.999 > 0.9 > cosine_similarity(x[0], x[2], dim=0)


def test_texts_without_words_are_refused():
    with pytest.raises(InputError, match="hold no words"):
        text_features(["", " "])
    with pytest.raises(InputError, match="dim must be at least 1"):
        text_features(TEXTS, dim=0)
