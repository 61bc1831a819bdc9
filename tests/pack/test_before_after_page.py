from __future__ import annotations

from tests.pack.test_before_after import comparison

from supcam.pack.before_after_page import to_html, to_markdown


def test_both_pages_hold_verdict_and_figures_and_run_nothing() -> None:
    made = comparison()
    html, text = to_html(made), to_markdown(made)
    assert made.words in text
    assert "It helped." in html
    assert "| 0.500 | 0.750 | +0.250 |" in text
    assert "accuracy &lt;b&gt;" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
