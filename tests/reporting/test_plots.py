from __future__ import annotations

import dataclasses
import sys

import pytest

from graphforget.exceptions import InputError
from graphforget.reporting import Report
from graphforget.reporting.plots import png_bytes


def test_bars_show_the_values_and_the_floor(report):
    ax = report.plot()["distance_to_gold"].axes[0]
    heights = {round(bar.get_height(), 3) for bar in ax.patches}
    assert {0.16, 0.04, 0.022} <= heights and len(ax.patches) == 6 * 4
    assert [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 2] == [0.02, 0.01, 0.01, 0.015]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "original (retained input)" in labels and "noise floor (gold to gold)" in labels


def test_histograms_are_shares_on_given_edges(report):
    stairs = report.plot()["score_histograms"].axes[0].patches
    assert all(sum(s.get_data().values) == pytest.approx(1.0) for s in stairs) and len(stairs) == 3
    wrong = dataclasses.replace(report, histograms={"deleted": {"edges": [0, 1], "gold": [1, 2]}})
    with pytest.raises(InputError, match="edges"):
        wrong.plot()


def test_bytes_are_repeatable_and_nothing_is_drawn_without_data(report):
    assert png_bytes(report.plot()["curves"]) == png_bytes(report.plot()["curves"])
    assert Report([], None, "t").plot() == {}
    with pytest.raises(InputError, match="theme"):
        report.plot(theme="sepia")


def test_missing_matplotlib_is_one_sentence(report, monkeypatch):
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="pip install matplotlib"):
        report.plot()
    assert report.to_html(figures=False)
