"""Features and attributes of items: checked, part of the digest, and gone with the item."""

from __future__ import annotations

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.interactions import Interactions, ItemAttribute, remove_items, remove_users

X = torch.arange(8.0).view(4, 2)


def make(**content) -> Interactions:
    return Interactions.create({"train": [[0, 0], [0, 1], [1, 3]]}, num_items=4, **content)


def test_features_belong_to_the_digest_and_to_the_container():
    x = X.clone()
    data, plain, other = make(features={"image": x}), make(), make(features={"image": X + 1})
    renamed = make(features={"sound": X})
    assert len({data.digest(), plain.digest(), other.digest(), renamed.digest()}) == 4
    x.zero_()
    assert torch.equal(data.features["image"], X)  # the caller's tensor is not shared
    assert make(features={"image": X.half().numpy()}).features["image"].dtype == torch.float32


def test_an_item_may_lack_a_modality_but_not_half_of_it():
    x = X.clone()
    x[2] = float("nan")
    assert bool(make(features={"image": x}).features["image"][2].isnan().all())
    x[1, 0] = float("nan")
    with pytest.raises(InputError, match="features\\['image'\\] has NaN or infinite values in items 1"):
        make(features={"image": x})


@pytest.mark.parametrize(
    "content, sentence",
    [
        ({"features": {"image": X[:3]}}, r"one row per item, shape \[4, F\]; got shape \[3, 2\]"),
        ({"features": {"image": X > 1}}, "must hold real numbers"),
        ({"features": {"image": ["a"] * 4}}, "must be an array of numbers"),
        ({"attributes": {"maker": ["a"]}}, "has 1 values, but there are 4 items"),
        ({"attributes": {"maker": ItemAttribute(torch.tensor([[9, 0]]), ("a",))}}, "names item 9"),
        ({"item_names": ["a"]}, "item_names has 1 names, but there are 4 items"),
    ],
)
def test_content_that_does_not_fit_is_refused(content, sentence):
    with pytest.raises(InputError, match=sentence):
        make(**content)


def test_everything_known_of_a_forgotten_item_goes():
    data = make(features={"image": X}, attributes={"maker": ["acme", "zeta", "acme", None], "tag": [("a", "b"), (), "b", "c"]})
    assert data.items_with("maker", "acme").tolist() == [0, 2] and data.items_with("tag", "b").tolist() == [0, 2]
    after = remove_items(data, [1, 2])
    assert after.features["image"].isnan().all(1).tolist() == [False, True, True, False]
    assert after.items_with("maker", "acme").tolist() == [0] and after.attributes["maker"].values == ("acme",)
    assert after.attributes["tag"].counts() == {"a": 1, "b": 1, "c": 1}
    assert torch.equal(data.features["image"], X) and data.attributes["maker"].values == ("acme", "zeta")
    assert remove_users(data, [0]).features["image"] is data.features["image"]
    assert remove_items(remove_items(data, [1]), [2]).digest() == after.digest()
    with pytest.raises(InputError, match="no item attribute 'makr': did you mean 'maker'"):
        data.items_with("makr", "acme")
    with pytest.raises(InputError, match="no item has the value 'acne': did you mean 'acme'"):
        data.items_with("maker", "acne")


def test_a_value_that_does_not_exist_is_refused():
    broken = ItemAttribute(torch.tensor([[0, 2]]), ("a", "b"))
    with pytest.raises(InputError, match="names value 2, but there are 2 values"):
        make(attributes={"brand": broken})
