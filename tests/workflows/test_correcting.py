"""Correcting an analysis without a viewer, and exporting it for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.csv_rows import rows_of
from tests.drawn_spreads import drawn, tiny_spread_model

from supcam.core.types import SupcamError
from supcam.data.exchange.coco import read_coco_masks
from supcam.spread.analyze import analyze
from supcam.spread.result import Analysis
from supcam.workflows.correcting import KEYS, colours_of, corrected, export, features_of, said_of


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyze(drawn(0).grey, model=tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny"))


def test_features_and_colours_are_those_of_the_objects(analysis: Analysis) -> None:
    said = said_of(analysis)
    features = features_of(said)
    assert features["index"].tolist() == [item.object_id for item in analysis.objects]
    assert features["type"].tolist() == [item.type for item in analysis.objects]
    assert features["n_chromosomes"].tolist() == [item.n_chromosomes for item in analysis.objects]
    assert not features["corrected"].any()
    colours = colours_of(said)
    assert all(len(colours[item.object_id]) == 4 for item in analysis.objects)
    assert len(set(colours.values())) == len({item.type for item in analysis.objects})


def test_one_object_is_corrected_and_the_others_stay(analysis: Analysis) -> None:
    said = said_of(analysis)
    changed = corrected(said, object_id=said[2].object_id, kind="instance")
    assert (changed[2].kind, changed[2].n_chromosomes, changed[2].is_corrected) == ("instance", 1, True)
    assert [*changed[:2], *changed[3:]] == [*said[:2], *said[3:]]
    cluster = corrected(changed, object_id=said[2].object_id, kind="touching")
    assert cluster[2].n_chromosomes == 0
    for object_id, kind in ((0, "instance"), (999, "instance"), (said[0].object_id, "cell")):
        with pytest.raises(SupcamError, match="select an object"):
            corrected(said, object_id=object_id, kind=kind)


def test_the_export_is_what_is_drawn_and_said_now(analysis: Analysis, tmp_path: Path) -> None:
    said = said_of(analysis)
    labels = analysis.labels.copy()
    gone, changed = said[0].object_id, said[1].object_id
    labels[labels == gone] = 0
    said = corrected(said, object_id=changed, kind="overlapping")
    table, coco = export(tmp_path, labels=labels, said=said, name="a.png")
    rows = rows_of(table)
    assert [int(row["object_id"]) for row in rows] == [each.object_id for each in said[1:]]
    assert [row["corrected"] for row in rows[:2]] == ["true", "false"]
    (picture,) = read_coco_masks(coco).pictures
    assert (picture.file_name, picture.height, picture.width) == ("a.png", *analysis.size)
    for item in picture.objects:
        np.testing.assert_array_equal(labels[item.box.slices] == int(item.name), item.mask)
    assert picture.objects[0].kind == "overlapping"
    labels[0, 0] = 60_000
    with pytest.raises(SupcamError, match="nobody typed"):
        export(tmp_path, labels=labels, said=said, name="a.png")


def test_a_folder_that_cannot_be_written_is_said(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SupcamError, match="choose another"):
        export(tmp_path / "file", labels=analysis.labels, said=said_of(analysis), name="a")


def test_every_kind_has_a_key() -> None:
    assert KEYS == {
        "1": "instance", "2": "touching", "3": "overlapping", "4": "touching_overlapping", "5": "rejected",
    }  # fmt: skip
