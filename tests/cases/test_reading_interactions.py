"""Logs as people have them: ids are text, nothing is dropped in silence, and what cannot be read is refused by its line."""

from __future__ import annotations

import gzip
import warnings

import pandas as pd
import pytest

import graphforget
from graphforget.datasets import from_frame, read_interactions, read_mmrec, read_recbole
from graphforget.exceptions import GraphForgetWarning, InputError
from graphforget.models import BPRMF

LOG = pd.DataFrame({"user_id": list("aaabbbcc"), "item_id": list("xyzxywxz")})


@pytest.fixture
def write(tmp_path):
    def make(name, text, encoding="utf-8"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return tmp_path / name

    return make


def pairs(data, *parts):
    rows = [row for part in parts or data.splits for row in data.splits[part].tolist()]
    return {(data.user_names[u], data.item_names[i]) for u, i in rows}


def said(make):
    """The result, and the warnings that came with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = make()
    found = [str(one.message) for one in caught if issubclass(one.category, GraphForgetWarning)]
    assert all(sentence in data.notes for sentence in found)
    return data, found


# ---- ids are text ------------------------------------------------------------------------------------------
def test_tokens_keep_their_zeros_and_find_their_attributes(write, tmp_path):
    write("music.inter", "user_id:token\titem_id:token\nA1\t0001388703\nA2\t0001388703\nA1\t0001526146\nA2\t0006920055\n")
    write("music.item", "item_id:token\tlabel:token\n0001388703\tUMG\n0001526146\tUMG\n0006920055\tSony\nB00000016W\tSony\n")
    data = read_recbole(tmp_path, "music")
    assert data.item_names == ("0001388703", "0001526146", "0006920055", "B00000016W")
    assert data.items_with("label", "UMG").tolist() == [0, 1] and data.items_with("label", "Sony").tolist() == [2, 3]


@pytest.mark.parametrize("ending", ["csv", "inter"])
def test_texts_that_are_equal_numbers_are_different_names(write, tmp_path, ending):
    rows = ["007,1e5", "007,22", "7,100000", "7,33", "08,22", "09,1.0", "NA,1", "nan,null", "None,1"]
    if ending == "csv":
        data = read_interactions(write("log.csv", "user_id,item_id\n" + "\n".join(rows)))
    else:
        write("log.inter", "user_id:token\titem_id:token\n" + "\n".join(rows).replace(",", "\t"))
        data = read_recbole(tmp_path, "log")
    assert pairs(data) == {tuple(row.split(",")) for row in rows}
    assert set(data.user_names) == {"007", "7", "08", "09", "NA", "nan", "None"}
    request = graphforget.DeletionRequest.users(names=["007"])
    model = BPRMF(data.num_users, data.num_items, 4)
    after = graphforget.unlearn(model, data, request, task="recommendation", method="row_reset").data
    before = data.user_ids("007")
    assert (
        pairs(data) - {(name, item) for name, item in pairs(data) if name == "007"} == pairs(after)
        and not after.alive_users[before]
    )


def test_whole_numbers_are_numbered_as_numbers(write):
    text = "user_id,item_id\n" + "\n".join(f"{u},{i}" for u, i in [(10, 2), (9, 100), (100, 11), (9, 2)])
    assert read_interactions(write("log.csv", text)).user_names == ("9", "10", "100")
    assert from_frame(pd.DataFrame({"user_id": [10, 9, 100], "item_id": [1, 2, 3]})).user_names == ("9", "10", "100")


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (pd.Categorical(list("abca"), categories=list("zabc")), ("a", "b", "c")),
        (pd.array([1, 2, 3, 1], dtype="Int64"), ("1", "2", "3")),
        ([b"a", b"b", b"a", b"c"], ("a", "b", "c")),
        ([1.0, 2.0, 30.0, 1.0], ("1", "2", "30")),
        ([(1, 2), (0, 1), (1, 2), (3, 3)], ("(0, 1)", "(1, 2)", "(3, 3)")),
    ],
    ids=["categories", "nullable", "bytes", "whole decimals", "tuples"],
)
def test_ids_of_other_types_have_names_as_they_are_written(ids, names):
    assert from_frame(pd.DataFrame({"user_id": ids, "item_id": [9, 8, 7, 6]})).user_names == names


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        ([1, "1", "b", 2], "has the user 1 as int and as str"),
        ([1.0, 2.5, 3.0, 1.0], "names users by decimals such as 2.5"),
        ([2.0**60, 1.0, 2.0, 3.0], "names users by decimals"),
        (["a", None, "b", None], "2 of 4 rows have missing values in the column 'user_id'.* row 1 of the interactions"),
        (["a", "", "b", "c"], "1 of 4 rows have missing values"),
        ([b"\xff", b"b", b"c", b"d"], "bytes that are no UTF-8"),
    ],
)
def test_ids_that_are_no_names_are_refused(ids, sentence):
    with pytest.raises(InputError, match=sentence):
        from_frame(pd.DataFrame({"user_id": pd.Series(ids, dtype=object), "item_id": [9, 8, 7, 6]}))


# ---- ratings, weights, repetitions --------------------------------------------------------------------------
def test_numbers_that_look_like_a_weight_are_not_passed_over():
    log = LOG.assign(plays=[1, 40, 2, 1, 0, -3, 1, 1])
    with pytest.raises(InputError, match=r"the column 'plays' has 2 of 8 rows with 0 or below: pass rating='plays'"):
        from_frame(log)
    data, warned = said(lambda: from_frame(log, rating="plays"))
    assert ("b", "y") not in pairs(data) and ("b", "w") not in pairs(data) and len(pairs(data)) == 6
    assert warned == ["2 of 8 rows have a 'plays' of 0 or below, and are no interaction."]
    assert any(note.startswith("Values of 'plays' (1 to 40) are not kept") for note in data.notes)
    assert len(pairs(from_frame(log, ignore=["plays"]))) == 8
    positive, warned = said(lambda: from_frame(log.assign(plays=range(1, 9))))
    assert len(pairs(positive)) == 8 and "the column 'plays' (1 to 8) is not read" in warned[0].lower()


def test_a_lowest_rating_drops_rows_and_no_users():
    data, warned = said(lambda: from_frame(LOG.assign(stars=[5, 5, 5, 5, 5, 1, 2, 1]), rating="stars", min_rating=3))
    assert data.user_names == ("a", "b", "c") and data.item_names == ("w", "x", "y", "z") and not warned
    assert "1 of 3 users have no interaction that counts; they keep their numbers." in data.notes
    assert "1 of 4 items have no interaction that counts; they keep their numbers." in data.notes
    assert "3 of 8 rows have a 'stars' below 3, and are left out." in data.notes


def test_labels_and_negative_ratings_are_no_positives(write, tmp_path):
    write("lab.inter", "user_id:token\titem_id:token\tlabel:float\na\tx\t1\na\ty\t0\nb\ty\t0\nb\tx\t1\n")
    data, warned = said(lambda: read_recbole(tmp_path, "lab"))
    assert pairs(data) == {("a", "x"), ("b", "x")} and warned == [
        "2 of 4 rows have a 'label' of 0 or below, and are no interaction."
    ]
    write("anime.inter", "user_id:token\titem_id:token\trating:float\n1\t20\t-1\n1\t24\t9\n2\t24\t1\n3\t20\t-1\n")
    data, warned = said(lambda: read_recbole(tmp_path, "anime"))
    assert pairs(data) == {("1", "24"), ("2", "24")} and data.user_names == ("1", "2", "3") and "2 of 4 rows" in warned[0]
    assert len(pairs(read_recbole(tmp_path, "anime", min_rating=-1))) == 4
    write("both.inter", "user_id:token\titem_id:token\trating:float\tlabel:float\na\tx\t5\t1\n")
    with pytest.raises(InputError, match="has a rating and a label: say rating="):
        read_recbole(tmp_path, "both")


def test_a_missing_rating_is_refused_with_both_ways_out():
    with pytest.raises(InputError, match=r"1 of 8 rows have missing values in the column 'stars'.*dropna.*or fill them"):
        from_frame(LOG.assign(stars=[5, 5, None, 5, 5, 1, 2, 1]), rating="stars")


def test_repeated_interactions_are_counted():
    data, warned = said(lambda: from_frame(pd.concat([LOG, LOG.iloc[:3]])))
    assert len(pairs(data)) == 8 and warned == ["3 of 11 rows repeat an interaction, which counts once."]
    from graphforget.interactions import Interactions

    assert "1 of 3 given interactions repeat another" in Interactions.create({"train": [[0, 0], [0, 0], [1, 1]]}).notes[0]


# ---- what is known of items ---------------------------------------------------------------------------------
def test_items_that_nobody_took_keep_their_content():
    about = pd.DataFrame({"item_id": list("xyzwkm"), "year": [1994, 1995, None, 2024, 2024, 1994], "label": list("AABBAA")})
    data = from_frame(LOG, items=about)
    assert data.item_names == ("w", "x", "y", "z", "k", "m") and data.alive_items.all()
    assert [data.item_names[i] for i in data.items_with("label", "A").tolist()] == ["x", "y", "k", "m"]
    assert data.items_with("year", "1994").tolist() == data.items_with("year", 1994).tolist() == [1, 5]
    assert any(note.startswith("2 items of the item table have no interaction") for note in data.notes)


def test_a_table_of_other_items_is_refused_and_a_thin_one_is_said():
    with pytest.raises(InputError, match="none of the 4 items of the interactions is in the item table"):
        from_frame(LOG, items=pd.DataFrame({"item_id": ["1", "2"], "label": ["A", "B"]}))
    log = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1388703, 1526146, 1388703]})
    with pytest.raises(InputError, match="where '1388703' seems to be written '0001388703': read both columns 'item_id' as text"):
        from_frame(log, items=pd.DataFrame({"item_id": ["0001388703", "B0"], "label": ["A", "B"]}))
    _, warned = said(lambda: from_frame(LOG, items=pd.DataFrame({"item_id": ["x", "q"], "label": ["A", "B"]})))
    assert warned == ["3 of 4 items of the interactions have no row in the item table, so nothing is known of them."]


def test_several_values_of_an_item_are_all_kept():
    about = pd.DataFrame({"item_id": list("xyzwx"), "genre": ["Action|Sci-Fi", "Drama", "Drama|Action", "", "War"]})
    data = from_frame(LOG, items=about, several={"genre": "|"})
    assert data.items_with("genre", "Action").tolist() == [1, 3] and data.items_with("genre", "War").tolist() == [1]
    assert any("several={'genre': '|'}" in note for note in from_frame(LOG, items=about).notes)
    with pytest.raises(InputError, match="several names the column 'genres', which the item table has not: did you mean 'genre'"):
        from_frame(LOG, items=about, several={"genres": "|"})


def test_feature_sequences_of_items_become_features(write, tmp_path):
    write("art.inter", "user_id:token\titem_id:token\na\tx\nb\ty\n")
    write("art.item", "item_id:token\timage:float_seq\tclass:token_seq\nx\t0.5 1\tnew old\ny\t\told\nz\t2 3\t\n")
    write("art.user", "user_id:token\tage:float\na\t3\n")
    data = read_recbole(tmp_path, "art")
    assert data.features["image"][[0, 2]].tolist() == [[0.5, 1.0], [2.0, 3.0]] and data.features["image"][1].isnan().all()
    assert data.items_with("class", "old").tolist() == [0, 1] and "'art.user' is not read" in data.notes[0]
    write("art.item", "item_id:token\timage:float_seq\nx\t0.5 1\ny\t1\n")
    with pytest.raises(InputError, match="has 1 numbers where others have 2 .line 3 of 'art.item'."):
        read_recbole(tmp_path, "art")


def test_the_order_of_a_model_can_be_given():
    order = ["y", "x", "new", "w", "z"]
    data = from_frame(LOG, item_names=order, user_names=["c", "b", "a"])
    assert data.item_names == tuple(order) and data.user_names == ("c", "b", "a") and pairs(data) == pairs(from_frame(LOG))
    with pytest.raises(InputError, match="'z' of the column 'item_id' is not among the names given in order"):
        from_frame(LOG, item_names=["y", "x", "w"])


# ---- times --------------------------------------------------------------------------------------------------
START = 1_387_670_400


@pytest.mark.parametrize(
    "times",
    [
        [START + k for k in range(5)],
        [float(START + k) for k in range(5)],
        [(START + k) * 1000 + 0.25 for k in range(5)],
        [str(START + k) for k in range(5)],
        pd.date_range("2024-01-01", periods=5, tz="Europe/Vienna"),
        ["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"],
        [START] * 5,
    ],
    ids=["seconds", "decimals", "milliseconds", "text", "zones", "days", "all at once"],
)
def test_the_last_one_is_the_last_by_time_and_by_row(times):
    log = pd.DataFrame({"user_id": [1] * 5, "item_id": [50, 40, 30, 20, 10], "t": times})
    data = from_frame(log, time="t", split="leave_one_out")
    assert pairs(data, "test") == {("1", "10")} and pairs(data, "val") == {("1", "20")}


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (pd.Series([START + k for k in range(5)], dtype="float32"), "as float32, which does not tell seconds apart"),
        (
            ["10/01/2024"] * 5,
            r"neither numbers nor dates written year first, for example '10/01/2024': convert it.*dayfirst=True\)\.$",
        ),
        (["2024-01-01", None, "2024-01-02", "2024-01-03", "2024-01-04"], "1 of 5 rows have missing values in the column 't'"),
        (["1", "2", "x", "4", "5"], "'x' in the column 't' is no number"),
    ],
)
def test_times_that_cannot_be_trusted_are_refused(times, sentence):
    log = pd.DataFrame({"user_id": [1] * 5, "item_id": [50, 40, 30, 20, 10], "t": times})
    with pytest.raises(InputError, match=sentence):
        from_frame(log, time="t", split="leave_one_out")


def test_held_out_interactions_that_are_dropped_are_counted():
    log = pd.DataFrame({"user_id": ["a"] * 8 + ["b", "c"], "item_id": list("qrstuvwxyz"), "t": range(10)})
    data = from_frame(log, time="t", split="time")
    assert "2 held-out interactions of users without a training interaction are dropped." in data.notes


# ---- files --------------------------------------------------------------------------------------------------
ANN = {("ann", "Misérables, Les"), ("bob", "Léon")}


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.csv", 'user_id,item_id\nann,"Misérables, Les"\nbob,Léon\n', {}),
        ("a.csv", 'user_id,item_id\r\nann,"Misérables, Les"\r\n\r\nbob,Léon\r\n', {}),
        ("a.csv", '\ufeffuser_id,item_id\nann,"Misérables, Les"\nbob,Léon', {}),
        ("a.tsv", "item_id\tuser_id\nMisérables, Les\tann\nLéon\tbob\n", {}),
        ("a.dat", "ann::Misérables, Les\nbob::Léon\n", {"separator": "::", "columns": ("user_id", "item_id")}),
        ("a.txt", "ann;Misérables, Les\nbob;Léon\n", {"separator": ";", "header": False, "user": 0, "item": 1}),
        ("a.csv", "who|what\nann|Misérables, Les\nbob|Léon\n", {"separator": "|", "header": True, "user": 0, "item": 1}),
        ("a.csv", "user_id, item_id\nann, Misérables; Les\nbob, Léon\n", {"separator": ", "}),
    ],
    ids=["quoted", "windows", "mark of Excel", "tabs", "two colons", "no header", "by number", "comma and space"],
)
def test_the_same_log_written_otherwise(write, name, text, options):
    expected = {(user, item.replace("; ", ", ")) for user, item in pairs(read_interactions(write(name, text), **options))}
    assert expected == ANN
    encoded = read_interactions(write(name, text.lstrip("\ufeff"), "latin-1"), encoding="latin-1", **options)
    assert {(user, item.replace("; ", ", ")) for user, item in pairs(encoded)} == ANN
    packed = write(name + ".gz", gzip.compress(text.encode()))
    assert pairs(read_interactions(packed, **options)) == pairs(read_interactions(write(name, text), **options))


@pytest.mark.parametrize(
    ("name", "text", "options", "sentence"),
    [
        ("r.dat", "1::2::5\n", {}, r"'r.dat' ends in '.dat', .* pass separator='::'"),
        ("r.csv", "1::2::5\n", {}, "the first line of 'r.csv', '1::2::5', has no ',' between its fields: pass separator='::'"),
        ("s.csv", "user_id;item_id\nann;x\n", {}, "pass separator=';'"),
        ("one.csv", "user_id\nann\n", {}, "has no ',' between its fields: give a file with at least two columns"),
        ("u.tsv", "196\t242\t3\n186\t302\t3\n", {}, "no column 'user_id'.*If it has no header, name its columns with columns="),
        ("u.tsv", "196\t242\t3\n", {"user": 0, "item": 1}, "given by number: say header=False if"),
        ("u.tsv", "u\ti\n196\t242\n", {"user": 0, "item": 7, "header": True}, "columns 0 to 1, and none with the number 7"),
        ("l.csv", b"user_id,item_id\nann,x\nbob,L\xe9on\n", {}, "line 3 of 'l.csv' is no UTF-8 text: pass encoding='latin-1'"),
        ("w.csv", "user_id,item_id\na,b".encode("utf-16"), {}, "mark of UTF-16: pass encoding='utf-16'"),
        ("l.csv", "user_id,item_id\nann,x\n", {"encoding": "latin-11"}, "there is no encoding 'latin-11'"),
        ("e.csv", "", {}, "'e.csv' is empty"),
        ("e.csv", "\n \n", {}, "'e.csv' is empty"),
        ("h.csv", "user_id,item_id\n", {}, "'h.csv' has no rows below its header"),
        ("m.csv", "user_id,item_id\nann,x\nbob\n", {}, "line 3 of 'm.csv' has 1 fields, but there are 2 columns .*fewer"),
        ("m.csv", "user_id,item_id\nann,x\n\nbob,y,z\n", {}, "line 4 of 'm.csv' has 3 fields.*more"),
        ("m.csv", "user_id,item_id\nann,x,1\nbob,y,2\n", {}, "line 2 of 'm.csv' has 3 fields"),
        ("m.csv", 'user_id,item_id\nann,"x\ny"\nbob,y,z\n', {}, "line 4 of 'm.csv' has 3 fields"),
        (
            "m.csv",
            "user_id,item_id\nann,x\nbob,\n",
            {},
            "1 of 2 rows have missing values in the column 'item_id'.* line 3 of 'm.csv'",
        ),
        ("d.csv", "user_id,item_id,item_id\nann,x,y\n", {}, "has two columns named 'item_id'"),
        (
            "q.tsv",
            'user_id\titem_id\nann\t"Vinyl\nbob\tx\n',
            {},
            "line 2 of 'q.tsv' has quotation marks that do not enclose a field",
        ),
        ("q.csv", 'user_id,item_id\nann,"x" y\n', {}, "quotation marks that do not enclose a field"),
        ("c.csv", "user,item_id\nann,x\n", {}, "has no column 'user_id': did you mean 'user'"),
        ("r.csv", "user_id,item_id,rating\nann,x,5\nbob,y,good\n", {"rating": "rating"}, "'good' in the column 'rating'.*line 3"),
        ("o.csv", "user_id,item_id\nann,x\n", {"min_ratings": 3}, "there is no option 'min_ratings': did you mean 'min_rating'"),
        ("o.csv", "user_id,item_id\nann,x\n", {"min_rating": 3}, "min_rating needs the column of the rating"),
    ],
)
def test_files_that_cannot_be_read_are_refused_in_a_sentence(write, name, text, options, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_interactions(write(name, text), **options)
    assert "\n" not in str(caught.value)


def test_quotation_marks_can_be_text(write):
    data = read_interactions(write("q.tsv", 'user_id\titem_id\nann\t"Vinyl\nbob\tx\n'), quote=None)
    assert pairs(data) == {("ann", '"Vinyl'), ("bob", "x")}


def test_films_of_movielens(write):
    ratings = write("ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n")
    films = write(
        "movies.dat", "661::Misérables, Les (1995)::Drama|Musical\n1193::Léon (1994)::Action\n7::Rare (1990)::Drama\n", "latin-1"
    )
    data = read_interactions(
        ratings,
        separator="::",
        encoding="latin-1",
        columns=("user_id", "item_id", "rating", "time"),
        rating="rating",
        min_rating=4,
        time="time",
        split="leave_one_out",
        items=films,
        item_columns=("item_id", "title", "genre"),
        several={"genre": "|"},
    )
    assert pairs(data) == {("1", "1193"), ("2", "1193")} and data.item_names == ("661", "1193", "7")
    assert data.items_with("genre", "Drama").tolist() == [0, 2] and data.items_with("title", "Léon (1994)").tolist() == [1]


def test_benchmark_files_of_recbole_keep_their_parts(write, tmp_path):
    head = "user_id:token\titem_id:token\n"
    write("bm.train.inter", head + "a\tx\na\ty\nb\tx\n")
    write("bm.valid.inter", head + "a\tz\n")
    write("bm.test.inter", head + "b\tz\n")
    data = read_recbole(tmp_path, "bm")
    assert pairs(data, "train") == {("a", "x"), ("a", "y"), ("b", "x")}
    assert (pairs(data, "val"), pairs(data, "test")) == ({("a", "z")}, {("b", "z")})
    write("other.part1.inter", head + "a\tx\n")
    with pytest.raises(InputError, match="but other.part1.inter: name the parts other.train.inter"):
        read_recbole(tmp_path, "other")
    write("comma.inter", "user_id:token,item_id:token\na,x\n")
    with pytest.raises(InputError, match=r"has no '\\t' between its fields: pass separator=','"):
        read_recbole(tmp_path, "comma")
    assert pairs(read_recbole(tmp_path, "comma", separator=",")) == {("a", "x")}


def test_dropped_users_of_mmrec_are_counted(write, tmp_path):
    write("toy.inter", "userID\titemID\tx_label\n0\t0\t0\n0\t1\t0\n1\t2\t0\n2\t0\t1\n")
    assert read_mmrec(tmp_path, "toy").notes == ("1 held-out interactions of users without a training interaction are dropped.",)
    write("toy.inter", "userID\titemID\tx_label\n0\t0.5\t0\n")
    with pytest.raises(InputError, match="must hold whole numbers"):
        read_mmrec(tmp_path, "toy")
    write("toy.inter", "userID\titemID\tx_label\n0\t\t0\n")
    with pytest.raises(InputError, match="missing values in the column 'itemID'.* line 2 of 'toy.inter'"):
        read_mmrec(tmp_path, "toy")
