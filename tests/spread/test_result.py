from __future__ import annotations

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.core.types import Decision, PixelSize, SupcamError
from supcam.spread.analyze import analyze
from supcam.spread.objects import Reason
from supcam.spread.result import Analysis, Quality
from supcam.spread.rows import OBJECT_COLUMNS


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    model = tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")
    return analyze(drawn(3, n_nuclei=1).grey, model=model)


def test_labels_are_the_objects_masks(analysis: Analysis) -> None:
    labels = analysis.labels
    assert labels.shape == analysis.size
    for item in analysis.objects:
        np.testing.assert_array_equal(labels[item.box.slices] == item.object_id, item.mask)
    assert set(np.unique(labels)) == {0, *(item.object_id for item in analysis.objects)}
    np.testing.assert_array_equal(analysis.label_rows(100, 180), labels[100:180])


def test_sums_are_those_of_the_objects(analysis: Analysis) -> None:
    assert analysis.count.n == sum(item.n_chromosomes for item in analysis.kept)
    assert sum(analysis.by_type.values()) == len(analysis.kept)
    assert len(analysis.kept) + len(analysis.rejected) == len(analysis.objects)
    clustered = sum(item.n_chromosomes for item in analysis.kept if item.n_chromosomes > 1)
    assert analysis.cluster_share == pytest.approx(clustered / analysis.count.n)


def test_a_picture_is_accepted_when_all_of_it_is(analysis: Analysis) -> None:
    sure = replace(analysis, objects=tuple(replace(item, doubts=()) for item in analysis.objects))
    assert (sure.decision, sure.reasons) == (Decision.ACCEPT, ())
    one = replace(sure, objects=(replace(sure.objects[0], doubts=(Reason.CUT,)), *sure.objects[1:]))
    assert (one.decision, one.reasons) == (Decision.REVIEW, ("1 object: cut by the border of the picture",))
    poor = replace(sure, quality=Quality(width_px=10, contrast=0.01, focus=0.01))
    assert poor.reasons == ("the stain is faint", "the picture is out of focus")


def test_rows_have_the_columns_of_the_table(analysis: Analysis) -> None:
    for row, item in zip(analysis.rows(), analysis.objects, strict=True):
        assert tuple(row) == OBJECT_COLUMNS
        assert row["type"] == ("rejected" if item.rejection else item.type)
        shares = [row[name] for name in OBJECT_COLUMNS if name.startswith("p_")]
        if item.prediction is None:
            assert shares == [""] * 4
        else:
            assert sum(map(float, shares)) == pytest.approx(1, abs=1e-5)


def test_a_table_of_pandas_holds_the_same(analysis: Analysis) -> None:
    frame = analysis.to_dataframe()
    assert list(frame.columns) == list(OBJECT_COLUMNS)
    assert frame["object_id"].tolist() == [item.object_id for item in analysis.objects]


def test_without_pandas_the_extra_is_named(analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SupcamError, match=r"supcam\[measure\]"):
        analysis.to_dataframe()


def test_it_shows_itself_in_a_notebook(analysis: Analysis) -> None:
    with Image.open(io.BytesIO(analysis._repr_png_())) as shown:
        assert shown.size == (analysis.size[1], analysis.size[0])
    html = analysis._repr_html_()
    assert "data:image/jpeg;base64," in html
    assert f"{analysis.count.n} chromosomes" in html


def test_the_picture_is_told_in_one_line(analysis: Analysis) -> None:
    assert analysis.told().startswith(f"picture: {analysis.count.n} chromosomes (")
    assert analysis.told().endswith(analysis.decision.value)


def test_areas_are_in_square_micrometres_where_the_size_of_a_pixel_is_known(analysis: Analysis) -> None:
    assert analysis.areas_um2() is None
    sized = replace(analysis, pixel_size=PixelSize(0.1, height_um=0.2, said_by="OME-XML"))
    areas = sized.areas_um2()
    assert areas is not None
    assert areas == {item.object_id: pytest.approx(0.02 * item.area_px) for item in analysis.objects}
