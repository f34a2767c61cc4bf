"""Users' own interactions: frames, CSV, parquet, MMRec's and RecBole's files."""

from __future__ import annotations

import importlib.util

import numpy as np
import pandas as pd
import pytest
import torch

from graphforget.datasets import from_frame, load, read_interactions, read_mmrec, read_recbole
from graphforget.exceptions import InputError

LOG = pd.DataFrame(
    {
        "who": ["bo", "bo", "bo", "al", "al", "al", "cy"],
        "what": ["x", "y", "z", "y", "z", "w", "x"],
        "when": [1, 2, 3, 4, 5, 6, 7],
        "stars": [5, 1, 5, 5, 5, 5, 5],
    }
)
NAMES = {"user": "who", "item": "what"}


def named(data, part):
    return {(data.user_names[u], data.item_names[i]) for u, i in data.splits[part].tolist()}


def test_names_are_kept_and_numbered_in_order():
    data = from_frame(LOG, **NAMES, name="log")
    assert data.user_names == ("al", "bo", "cy") and data.item_names == ("w", "x", "y", "z") and data.name == "log"
    every = set().union(*(named(data, part) for part in data.splits))
    assert every == set(zip(LOG.who, LOG.what))
    assert from_frame(LOG.iloc[::-1], **NAMES).digest() == data.digest()


def test_splits_and_ratings():
    last = from_frame(LOG, **NAMES, time="when", split="leave_one_out")
    assert named(last, "test") == {("bo", "z"), ("al", "w")} and named(last, "val") == {("bo", "y"), ("al", "z")}
    cut = from_frame(LOG, **NAMES, time="when", split="time")
    assert ("cy", "x") not in named(cut, "test") and named(cut, "train") >= {("bo", "x"), ("al", "y")}
    dates = LOG.assign(when=pd.to_datetime("2020-01-01") + pd.to_timedelta(LOG.when, "D"))
    assert from_frame(dates, **NAMES, time="when", split="time").digest() == cut.digest()
    liked = from_frame(LOG, **NAMES, rating="stars", min_rating=3)
    assert sum(len(p) for p in liked.splits.values()) == 6


def test_what_is_known_of_items_becomes_attributes():
    items = pd.DataFrame({"what": ["z", "x", "q"], "maker": ["acme", "zeta", "acme"]})
    data = from_frame(LOG, **NAMES, items=items)
    assert data.item_names == ("w", "x", "y", "z", "q")  # what only the table knows comes last
    assert data.items_with("maker", "acme").tolist() == [3, 4] and data.attributes["maker"].counts() == {"acme": 2, "zeta": 1}


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"user": "whom", "item": "what"}, "no column 'whom': did you mean 'who'"),
        ({**NAMES, "split": "global"}, "unknown split 'global'"),
        ({**NAMES, "split": "time"}, "needs the column of the time"),
        ({**NAMES, "rating": "stars", "min_rating": 9}, "no interaction is left"),
        ({**NAMES, "time": "what", "split": "time"}, "neither numbers nor dates"),
    ],
)
def test_bad_frames_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        from_frame(LOG, **options)


def test_missing_values_are_refused():
    with pytest.raises(InputError, match="missing values"):
        from_frame(LOG.assign(what=[None, *LOG.what[1:]]), **NAMES)


def test_files(tmp_path):
    LOG.to_csv(tmp_path / "log.csv", index=False)
    expected = from_frame(LOG, **NAMES)
    data = read_interactions(tmp_path / "log.csv", **NAMES)
    assert data.digest() == expected.digest() and data.name == "log"
    if importlib.util.find_spec("pyarrow") is not None:
        LOG.to_parquet(tmp_path / "log.parquet")
        assert read_interactions(tmp_path / "log.parquet", **NAMES).digest() == expected.digest()
    else:
        (tmp_path / "log.parquet").write_bytes(b"PAR1")
        with pytest.raises(InputError, match="needs pyarrow"):
            read_interactions(tmp_path / "log.parquet", **NAMES)
    (tmp_path / "log.xlsx").write_text("who,what")
    for name, sentence in (("none.csv", "there is no file"), ("log.xlsx", "give a .csv, .tsv or .parquet file")):
        with pytest.raises(InputError, match=sentence):
            read_interactions(tmp_path / name)


def test_mmrec(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    rows = [(0, 0, 0), (0, 1, 0), (1, 2, 0), (0, 2, 1), (2, 0, 1), (1, 3, 2)]
    (folder / "toy.inter").write_text("userID\titemID\tx_label\n" + "\n".join("\t".join(map(str, r)) for r in rows))
    np.save(folder / "image_feat.npy", np.arange(10, dtype="float64").reshape(5, 2))
    data = read_mmrec(folder)
    assert {part: p.tolist() for part, p in data.splits.items()} == {
        "train": [[0, 0], [0, 1], [1, 2]],
        "val": [[0, 2]],  # training does not know user 2
        "test": [[1, 3]],
    }
    assert (data.num_users, data.num_items) == (3, 5) and data.features["image"][4].tolist() == [8.0, 9.0]
    np.save(folder / "text_feat.npy", np.array([{}], dtype=object))
    with pytest.raises(InputError, match="text_feat.npy' is not a readable array"):
        read_mmrec(folder)
    (folder / "toy.inter").write_text("userID\titemID\tx_label\n0\t0\t7\n")
    with pytest.raises(InputError, match="must hold 0 .train., 1 .val. or 2 .test."):
        read_mmrec(folder)


def test_recbole(tmp_path):
    (tmp_path / "toy.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "7\ta\t5\t3\n7\tb\t5\t2\n7\tc\t5\t1\n9\ta\t5\t1\n9\tb\t2\t1\n"
    )
    (tmp_path / "toy.item").write_text(
        "item_id:token\ttitle:token\tclass:token_seq\na\tThe A\tnew old\nb\tThe B\t\nc\tThe C\told\n"
    )
    data = read_recbole(tmp_path, "toy", min_rating=3, split="leave_one_out")
    assert data.splits["test"].tolist() == [[0, 0]] and data.splits["val"].tolist() == [[0, 1]]
    assert data.items_with("class", "old").tolist() == [0, 2] and data.items_with("title", "The B").tolist() == [1]
    (tmp_path / "bad.inter").write_text("user\titem\n1\t2\n")
    with pytest.raises(InputError, match="must be named field:type"):
        read_recbole(tmp_path, "bad")


def test_names_of_forgotten_users_and_items_go():
    from graphforget.interactions import remove_items, remove_users

    data = from_frame(LOG, **NAMES)
    assert remove_users(data, [1]).user_names == ("al", "", "cy") and remove_items(data, [0]).item_names == ("", "x", "y", "z")


def test_hyphens_count_as_underscores():
    with pytest.raises(InputError, match="unknown dataset 'amazon_babies': did you mean 'amazon_baby'"):
        load("amazon-babies")
    assert torch.equal(load("tastes").splits["test"], load("tastes").splits["test"])
