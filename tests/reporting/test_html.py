from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from graphforget.metrics import METRICS
from graphforget.reporting import Report, Verdict

VOID = {"meta", "img", "source", "br", "link", "input"}


class Page(HTMLParser):
    """Collects text, tags, and attributes; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href", "srcset", "action", "data")]
        assert not [key for key, _ in attrs if key.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_page_is_self_contained(report):
    text = report.to_html()
    page = Page(text)
    assert "http" not in text and "//" not in re.sub(r"base64,[A-Za-z0-9+/=]*", "", text)
    assert page.links and all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "script" not in page.tags and "link" not in page.tags and "@import" not in text and "url(" not in text
    assert page.tags.count("img") == 3 and page.tags.count("source") == 3


def test_every_role_section_and_metric_is_shown(report):
    text = Page(report.to_html(figures=False)).text
    for word in (
        "What was asked",
        "Result",
        "Checks behind the verdict",
        "Details by subset",
        "Cost",
        "How to read the metrics",
        "Notes",
        "Provenance",
        "original",
        "identity",
        "unlink",
        "unlearned: d2dgn",
        "gold: retrain",
        "mean of 3 seeds",
        "0.036 to 0.044",
        "noise floor",
        "2.0× floor",
        "Neighbours (1 hop)",
        "✖ outside",
        "under-forgotten",
    ):
        assert word in text, word
    for name in {row.metric for row in report.rows}:
        assert METRICS[name].description in text


@pytest.mark.parametrize(("label", "icon"), [("sufficient", "✔"), ("insufficient", "✖"), ("inconclusive", "?")])
def test_banner_has_icon_and_word(report, label, icon):
    text = dataclasses.replace(report, verdict=Verdict(label, ["A plain sentence."])).to_html(figures=False)
    assert Page(text).text.index(icon) < Page(text).text.index("A plain sentence.")
    assert f'class="verdict {label}"' in text and label.capitalize() in text


def test_everything_is_escaped(hostile_report):
    text = hostile_report.to_html(figures=False)
    page = Page(text)
    assert "script" not in page.tags and "<script" not in text
    assert page.text.count("<script>alert('x')</script>") >= 4  # title, heading, sentence, note, provenance: shown as text
    assert not page.links


def test_no_gold_and_no_rows():
    assert "No verdict" in Page(Report([], None, "Empty").to_html()).text
