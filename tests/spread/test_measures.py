"""Measures of a picture: the same from the analysis and from its record, as far as the record goes."""

from pathlib import Path

import pytest
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.pack.reference import MEASURES
from supcam.spread.analyze import analyze
from supcam.spread.measures import measure_analysis, measure_record
from supcam.spread.outputs import make_record


def test_a_record_says_the_same_of_what_it_holds(tmp_path: Path) -> None:
    model = tiny_spread_model(tmp_path / "bundle")
    analysis = analyze(drawn().grey, model=model)
    whole = measure_analysis(analysis, name="a", case="b")
    record = measure_record(make_record(analysis, case="b", stem="a"), case="b")
    assert set(whole.values) == set(MEASURES) - {"embedding_distance"}
    assert set(whole.values) - set(record.values) == {"bright_field", "background", "unevenness"}
    for name, value in record.values.items():
        assert value == pytest.approx(whole.values[name], abs=1e-2)
    assert whole.embeddings is not None
    assert len(whole.embeddings) == len(analysis.kept)
    assert whole.values["bright_field"] == 1
    assert 0.5 < whole.values["background"] < 1
