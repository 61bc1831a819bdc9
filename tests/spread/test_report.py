from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.spread import report as module
from supcam.spread.analyze import analyze
from supcam.spread.report import MOST_BYTES, PageWords, page
from supcam.spread.result import Analysis


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    model = tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")
    return analyze(drawn(3, n_nuclei=1).grey, model=model)


class Elements(HTMLParser):
    """The elements of a page as (name, attributes), and that every one is closed."""

    EMPTY = frozenset({"meta", "input", "img", "br", "path", "image"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY - {"path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [values for name, values in self.found if name == tag]


def test_a_page_is_well_formed_and_loads_nothing(analysis: Analysis) -> None:
    elements = Elements(page(analysis))
    assert not elements.open
    for tag, values in elements.found:
        for name in ("src", "href"):
            target = values.get(name)
            assert target is None or tag == "a" or target.startswith("data:image/")
    assert "default-src 'none'" in page(analysis)
    assert not re.search(r"(?<!www\.w3\.org)https?://", page(analysis))


def test_every_object_is_in_the_picture_and_the_table(analysis: Analysis) -> None:
    elements = Elements(page(analysis))
    ids = {str(item.object_id) for item in analysis.objects}
    assert {values["data-id"] for values in elements.of("path")} == ids
    assert {values["data-id"] for values in elements.of("tr") if "data-id" in values} == ids
    doubtful = {str(item.object_id) for item in analysis.objects if item.doubts}
    assert {values["data-id"] for values in elements.of("button")} == doubtful


def test_the_picture_comes_before_the_table(analysis: Analysis) -> None:
    html = page(analysis)
    assert html.index("<svg") < html.index("To look at") < html.index("<table")


def test_names_from_outside_cannot_become_part_of_the_page(analysis: Analysis) -> None:
    evil = replace(analysis, name='<script>alert("x")</script>', notes=("<b>bold</b>",))
    html = page(evil)
    assert "<script>alert" not in html
    assert "<b>bold" not in html


def test_an_expected_number_is_only_said_to_differ(analysis: Analysis) -> None:
    n = analysis.count.n
    assert "expected" not in page(analysis, words=PageWords(expected=n)).replace("unexpected", "")
    differs = page(analysis, words=PageWords(expected=n + 1))
    assert f"{n + 1} were expected" in differs
    for word in ("abnormal", "normal", "diagnos", "patholog", "aneuploid", "trisom"):
        assert word not in differs.lower()
    assert "not a medical device" in differs


def test_a_page_stays_small(analysis: Analysis) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3000, 3000)).astype(np.uint8)
    html = page(replace(analysis, preview=noise, preview_scale=1.0))
    assert len(html) <= MOST_BYTES


def test_too_many_objects_are_left_to_the_table_file(
    analysis: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OBJECTS", 5)
    elements = Elements(page(analysis))
    assert len(elements.of("path")) == 5
    assert f"{len(analysis.objects) - 5} rejected objects are in objects.csv alone" in page(analysis)
