"""Tables say what the records say: intervals, multiples of the floor, ranks, and the benchmarks' earlier form of records."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from graphforget.exceptions import InputError
from graphforget.sweeps import read_records
from graphforget.sweeps.frames import long_frame, question_tables, scores
from graphforget.sweeps.ranks import critical_difference, mean_ranks, rank_figure, save_figure
from graphforget.sweeps.tables import latex, markdown, matrices, overview, percent, render, slug, text_table


def record(role: str, label: str, seed: int, dp: float | None, *, data: str = "cora", **more: Any) -> dict[str, Any]:
    figures = {"accuracy/test": 0.8, "mean_abs_dp/deleted": dp, "mean_abs_dp/retained": dp, "mean_abs_dp/test": dp}
    figures |= {"cpu_seconds/all": 2.0} if role == "unlearned" else {}
    cell = {"data": data, "model": "gcn", "request": "5 % of nodes", "seed": seed}
    facts = {"gold_cpu_seconds": 8.0, "removed": 7}
    return {"cell": cell, "role": role, "label": label, "model_seed": seed, "figures": figures, "entry": None, **facts, **more}


def cell(seed: int, methods: dict[str, float], *, floor: float = 0.1, data: str = "cora") -> list[dict[str, Any]]:
    """Records of one cell: two golds, the floor, and methods by their distance."""
    found = [record("original", "original", seed, 0.5, data=data)]
    found += [record("unlearned", name, seed, dp, data=data, verdict="sufficient") for name, dp in methods.items()]
    found += [record("gold", "gold", seed, dp, data=data) | {"model_seed": number} for number, dp in enumerate((0.1, 0.3))]
    return [*found, record("floor", "floor", seed, floor, data=data)]


def test_a_question_has_means_intervals_multiples_costs_and_verdicts() -> None:
    records = [
        *cell(0, {"near": 0.1, "far": 0.4}),
        *cell(1, {"near": 0.2, "far": 0.8}),
        *cell(2, {"near": 0.3, "far": 0.6}, floor=0.2),
    ]
    (table,) = question_tables(records).values()
    assert list(table.label) == ["original", "near", "far", "gold", "floor"]  # nearest first
    near = table[table.label == "near"].iloc[0]
    assert near["dp deleted"] == pytest.approx(0.2)
    # t(0.975, 2) = 4.3027; s = 0.1; half = 4.3027 * 0.1 / sqrt(3)
    assert near["dp deleted high"] - near["dp deleted"] == pytest.approx(0.24841, abs=1e-5)
    assert near["dp deleted of floor"] == pytest.approx((1 + 2 + 1.5) / 3)
    assert near["cost"] == 0.25 and near["sufficient"] == 3 and near["seeds"] == 3
    gold = table[table.label == "gold"].iloc[0]
    assert gold["dp deleted"] == pytest.approx(0.2) and gold["dp deleted high"] == pytest.approx(
        0.2
    )  # golds of a cell come first
    assert "dp deleted of floor" in table and math.isnan(table[table.label == "floor"].iloc[0]["dp deleted of floor"])
    text = text_table(table)
    row = text[text.model == "near"].iloc[0]
    assert row["dp deleted"] == "0.200 ± 0.248 (1.50x)" and row["cost"] == "25 %" and row["verdict"] == "3 sufficient"
    assert row["accuracy"] == "0.800 ± 0.000" and list(text.model)[-2:] == ["*gold*", "*floor*"]


def test_what_is_missing_is_not_made_up() -> None:
    records = [*cell(0, {"a": 0.1}), *cell(1, {"a": 0.2, "b": 0.3})]
    records.append({"cell": records[0]["cell"], "role": "refused", "label": "b", "entry": "x", "reasons": ["it has no graph"]})
    records.append({"cell": records[0]["cell"], "role": "failed", "label": "c", "entry": "y", "error": "ValueError: no | b"})
    (table,) = question_tables(records).values()
    b, c = (table[table.label == label].iloc[0] for label in "bc")
    assert (b["refused"], b["sufficient"], b["seeds"]) == (1, 1, 2) and math.isnan(b["dp deleted high"])
    assert c["failed"] == 1 and math.isnan(c["dp deleted"])
    text = render(records)
    assert "`b` refuses: it has no graph." in text and "`c` failed: ValueError: no | b." in text
    assert "| c |  |  |  |  |  |  | 1 failed |" in text
    ranks = mean_ranks(records)
    assert list(ranks.method) == ["a", "b", "c"] and ranks["mean rank"].notna().tolist() == [True, False, False]
    assert "Not in every cell and so not ranked: b, c." in overview(records)
    exact = question_tables(cell(0, {"a": 0.0}, floor=0.0))  # golds that agree exactly have no multiple
    assert math.isnan(next(iter(exact.values())).iloc[1]["dp deleted of floor"])


def test_one_seed_has_no_interval() -> None:
    (table,) = question_tables(cell(0, {"a": 0.1})).values()
    assert text_table(table).iloc[1]["dp deleted"] == "0.100 (1.00x)"


def test_columns_can_be_chosen() -> None:
    (table,) = question_tables(cell(0, {"a": 0.1}), {"right": "accuracy/test", "nothing": "accuracy/hop9"}).values()
    assert "right" in table and "nothing" not in table and "dp deleted" not in table


def test_ranks_are_within_cells_and_a_question_counts_once() -> None:
    records = [r for seed in (0, 1, 2) for r in cell(seed, {"a": 0.1, "b": 0.2, "c": 0.3})]
    records += cell(0, {"a": 0.3, "b": 0.1, "c": 0.2}, data="citeseer")
    ranks = mean_ranks(records).set_index("method")
    assert ranks["mean rank"].to_dict() == {"a": 2.0, "b": 1.5, "c": 2.5}
    assert ranks["critical difference"].iloc[0] == pytest.approx(critical_difference(3, 2))
    assert ranks.loc["a", "of"] == 4 and ranks.loc["a", "median score"] == pytest.approx(1.0)
    one = mean_ranks(records[:21])  # a single question: its seeds are the blocks
    assert one["critical difference"].iloc[0] == pytest.approx(critical_difference(3, 3))


def test_methods_against_data_where_a_request_was_made_of_several() -> None:
    records = [*cell(0, {"a": 0.1, "b": 0.2}), *cell(1, {"a": 0.3, "b": 0.2}), *cell(0, {"a": 0.1, "b": 0.4}, data="citeseer")]
    records[1]["verdict"] = "insufficient"
    (table,) = matrices(records).values()
    assert list(table.columns) == ["method", "cora, gcn", "citeseer, gcn"]
    assert table.set_index("method").loc["a"].tolist() == ["2.00x, 1/0/1", "1.00x, 1/0/0"]
    assert table.method.tolist() == ["a", "b"]  # nearest on average first
    assert matrices(cell(0, {"a": 0.1})) == {}
    assert "**5 % of nodes**" in render(records) and "x" not in matrices(records, ["accuracy/test"])["5 % of nodes"].iloc[0, 1]


def test_scores_are_the_largest_multiple_and_can_be_other_figures() -> None:
    records = cell(0, {"a": 0.1, "b": 0.1})
    records[1]["figures"] |= {"mean_abs_dp/test": 0.7, "gap_x/deleted": -0.2}
    records[2]["figures"] |= {"gap_x/deleted": 0.4}
    assert scores(records).iloc[0].to_dict() == pytest.approx({"a": 7.0, "b": 1.0})
    assert scores(records, ["gap_x/deleted"]).iloc[0].to_dict() == pytest.approx({"a": 0.2, "b": 0.4})


def test_the_critical_difference_is_the_published_one() -> None:
    # Demsar 2006, table 5: q at 5 % is 2.343 for 3 classifiers, 2.569 for 4 and 3.164 for 10.
    for k, q in ((3, 2.343), (4, 2.569), (10, 3.164)):
        assert critical_difference(k, 14) == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)
    assert math.isnan(critical_difference(3, 1)) and math.isnan(critical_difference(1, 9))


def test_the_figure_has_a_line_per_ranked_method_and_is_the_same_again(tmp_path) -> None:
    records = [r for seed in (0, 1) for r in cell(seed, {"a method with a rather long name(epochs=3)": 0.1, "retrain": 0.2})]
    figure = rank_figure(mean_ranks(records))
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["a method with a rather long name(epochs=3)", "retrain"]
    files = [save_figure(rank_figure(mean_ranks(records)), tmp_path / f"{n}.svg").read_bytes() for n in range(2)]
    assert files[0] == files[1] and save_figure(figure, tmp_path / "a.png").stat().st_size > 1000
    assert rank_figure(mean_ranks(cell(0, {"a": 0.1}))) is None


def test_forms_escape_what_they_must() -> None:
    (table,) = question_tables([*cell(0, {"a": 0.1}), *cell(1, {"a": 0.2})]).values()
    text = text_table(table.replace({"label": {"a": "a_b|c"}}))
    assert "| a_b\\|c |" in markdown(text) and markdown(text).splitlines()[1].startswith("| --- |")
    tex = latex(text)
    assert r"a\_b|c" in tex and r"\emph{gold}" in tex and r"25 \%" in tex and r"$\pm$" in tex and r"\toprule" in tex
    assert slug("cora, gcn, 0.5 % of edges, outside") == "cora-gcn-0.5-percent-of-edges-outside"
    assert [percent(share) for share in (math.nan, 1e-6, 0.0123, 0.5, 14.0)] == ["", "< 0.1 %", "1.2 %", "50 %", "1,400 %"]


def test_all_figures_as_one_long_table() -> None:
    frame = long_frame(cell(0, {"a": None}))  # type: ignore[dict-item]
    assert list(frame.columns) == ["data", "model", "request", "seed", "role", "label", "model_seed", "figure", "value"]
    assert frame[(frame.label == "a") & (frame.figure == "mean_abs_dp/test")].value.isna().all()


def test_records_of_the_earlier_form_are_read_and_an_older_configuration_is_in_no_mean(tmp_path) -> None:
    def old(seed: int, config: str, recall: float, **cell: Any) -> dict[str, Any]:
        named = {"dataset": "tiktok", "model": "mgcn", "target": "item", "where": "random", "size": 0.05, **cell, "seed": seed}
        return {"cell": named, "config": config, "role": "unlearned", "label": "row_reset", "figures": {"recall@20/test": recall}}

    lines = [old(1, "old", 0.9), old(1, "new", 0.1), old(2, "new", 0.2), old(1, "new", 0.3, part="quality")]
    lines += [old(1, "old", 0.5, target="node_class", label=3), old(1, "old", 0.4, where="publisher", value="Pocket")]
    lines += [{"cell": lines[1]["cell"], "config": "new", "label": "scif", "refused": ["no"]}]
    file = tmp_path / "old.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = read_records(file)
    assert [(r["cell"]["request"], r["cell"]["seed"]) for r in records] == [
        ("5 % of items", 1),
        ("5 % of items", 2),
        ("node class 3", 1),
        ("items of publisher Pocket", 1),
        ("5 % of items", 1),
    ]
    assert records[-1]["role"] == "refused" and records[-1]["reasons"] == ["no"]
    tables = question_tables(records, {"recall@20": "recall@20/test"})
    assert tables["tiktok, mgcn, 5 % of items"].iloc[0]["recall@20"] == pytest.approx(0.15)
    file.write_text('{"cell"\n')
    with pytest.raises(InputError, match="line 1 of '.*old.jsonl' is not JSON"):
        read_records(file)
    with pytest.raises(InputError, match="there are no records in"):
        read_records(tmp_path / "nothing")
