from __future__ import annotations

from pathlib import Path

import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.spread.analyze import analyze
from supcam.spread.index import Listing, Record, index_page
from supcam.spread.outputs import make_record
from supcam.spread.rows import Counted, case_rows


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    model = tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")
    return make_record(analyze(drawn(0).grey, model=model), case="<c & d>", stem="a b#1")


def test_pictures_come_first_and_link_to_their_pages(record: Record) -> None:
    cases = case_rows([Counted("<c & d>", 12, to_review=True)])
    html = index_page(Listing([record], cases=cases, failures=[("x.png", "no <file>")]))
    assert html.index("thumbnails/a%20b%231.jpg") < html.index("<h2>Cases") < html.index("Could not be read")
    assert 'href="a%20b%231.html"' in html
    assert "&lt;c &amp; d&gt;" in html
    assert "no &lt;file&gt;" in html
    assert "not a medical device" in html


def test_an_expected_number_highlights(record: Record) -> None:
    n = record["image"]["n_chromosomes"]
    assert "were expected" not in index_page(Listing([record], cases=[], failures=[], expected=n))
    assert f"{n + 2} were expected" in index_page(Listing([record], cases=[], failures=[], expected=n + 2))


def test_nothing_found_is_a_page_too(tmp_path: Path) -> None:
    assert "<b>0</b> pictures" in index_page(Listing([], cases=[], failures=[]))
