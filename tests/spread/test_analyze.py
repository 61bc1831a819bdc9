from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.drawn_spreads import KEEPS_ALL, drawn, tiny_spread_model, write_spread

import supcam
from supcam.core import large
from supcam.core.config import ImageConfig
from supcam.core.types import Decision, ImageError, Polarity
from supcam.data.slide import ObjectKind
from supcam.pack.bundle import Model
from supcam.spread import analyze as module
from supcam.spread import picture as picture_module
from supcam.spread.analyze import _analyze, analyze
from supcam.spread.objects import Reason
from supcam.spread.picture import open_picture
from supcam.spread.result import Analysis


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")


def told(analysis: Analysis) -> list[tuple[object, ...]]:
    return [
        (item.object_id, item.box, item.area_px, item.prediction, item.rejection, item.doubts)
        for item in analysis.objects
    ]


def test_every_drawn_object_is_found_and_named(model: Model) -> None:
    one = drawn(0)
    analysis = analyze(one.grey, model=model)
    labels = analysis.labels
    for each in one.objects:
        if each.kind is ObjectKind.CHROMOSOMES:
            inside = labels[each.box.slices][each.masks.any(axis=0)]
            owner = int(np.bincount(inside[inside > 0]).argmax())
            assert np.mean(inside == owner) > 0.6
            assert analysis.objects[owner - 1].is_kept
    assert [item.object_id for item in analysis.objects] == list(range(1, len(analysis.objects) + 1))


def test_every_object_that_was_read_says_what_the_network_saw(model: Model) -> None:
    for item in analyze(drawn(0).grey, model=model).objects:
        assert (item.seen is None) == (item.crop is None)
        if item.seen:
            middle = (item.box.top + item.box.bottom) / 2, (item.box.left + item.box.right) / 2
            centre = np.array([item.seen.top_px, item.seen.left_px]) + item.seen.side_px / 2
            np.testing.assert_allclose(centre, middle, atol=1.5)
            assert item.seen.embedding.ndim == 1


def test_a_nucleus_is_rejected_with_its_reason(model: Model) -> None:
    one = drawn(3, n_nuclei=2)
    analysis = analyze(one.grey, model=model)
    nuclei = [each for each in one.objects if each.kind is ObjectKind.NUCLEUS]
    found = [item for item in analysis.rejected if item.rejection is Reason.NUCLEUS]
    assert len(found) == len(nuclei) == 2
    assert all(item.prediction is None and item.n_chromosomes == 0 for item in found)


def test_letters_are_rejected_with_their_reason(model: Model) -> None:
    grey = drawn(0).grey.copy()
    grey[340:346, 10:70] = 0
    analysis = analyze(grey, model=model)
    assert sum(item.rejection is Reason.MARK for item in analysis.rejected) == 1
    assert len(analysis.kept) == len(analyze(drawn(0).grey, model=model).kept)


@pytest.mark.parametrize("write_px", [90, 200])
def test_tiled_is_untiled(model: Model, write_px: int) -> None:
    with open_picture(drawn(3, n_nuclei=1).grey, config=ImageConfig()) as picture:
        whole = _analyze(picture, model=model, name="p")
        tiled = _analyze(picture, model=model, name="p", write_px=write_px)
    assert [item[:4] for item in told(tiled)] != []
    for one, other in zip(told(whole), told(tiled), strict=True):
        assert one[:3] == other[:3]
        assert one[4:] == other[4:]
    np.testing.assert_array_equal(whole.labels, tiled.labels)
    assert whole.count == tiled.count


def test_a_large_tiff_says_what_a_small_picture_says(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "p.tif", drawn(0).grey, tile=(64, 64))
    small = analyze(tmp_path / "p.tif", model=model)
    monkeypatch.setattr(large, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(picture_module, "PREVIEW_PX", 100)
    reduced = analyze(tmp_path / "p.tif", model=model)
    assert reduced.preview_scale == 0.25
    assert reduced.count == small.count
    np.testing.assert_array_equal(reduced.labels, small.labels)
    assert reduced.overlay().shape == (90, 100, 3)


def test_both_polarities_are_read(model: Model) -> None:
    bright = analyze(drawn(0, polarity=Polarity.FLUORESCENCE).grey, model=model)
    assert bright.polarity is Polarity.FLUORESCENCE
    dark = analyze(drawn(0).grey, model=model)
    assert abs(len(bright.kept) - len(dark.kept)) <= 2


def test_a_model_without_a_threshold_rejects_by_one_half(tmp_path: Path) -> None:
    never = KEEPS_ALL.model_copy(update={"chromosome_threshold": None})
    model = tiny_spread_model(tmp_path / "tiny", calibration=never)
    for item in analyze(drawn(0).grey, model=model).objects:
        if item.prediction is not None:
            chance = item.prediction.chromosome_probability
            assert chance is not None
            assert item.is_kept is (chance >= 0.5)
            assert item.prediction.label is not None


def test_a_threshold_of_one_rejects_everything(tmp_path: Path) -> None:
    all_gone = KEEPS_ALL.model_copy(update={"chromosome_threshold": 1.0})
    analysis = analyze(drawn(0).grey, model=tiny_spread_model(tmp_path / "tiny", calibration=all_gone))
    assert not analysis.kept
    assert analysis.count.n == 0
    assert "no chromosome was found" in analysis.reasons
    assert analysis.decision is Decision.REVIEW


def test_errors_name_the_file(model: Model, tmp_path: Path) -> None:
    path = write_spread(tmp_path / "p.png")
    tifffile.imwrite(tmp_path / "blank.tif", np.full((60, 60), 200, np.uint8))
    with pytest.raises(ImageError, match=r"blank\.tif"):
        analyze(tmp_path / "blank.tif", model=model)
    with pytest.raises(ImageError, match="megapixels"):
        analyze(path, model=model, config=ImageConfig(max_megapixels=0.01))


def test_too_many_objects_for_a_label_picture_are_refused(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_OBJECTS", 3)
    with pytest.raises(ImageError, match="at most 3"):
        analyze(drawn(0).grey, model=model)


def test_the_package_s_own_model_counts_a_drawn_metaphase() -> None:
    analysis = supcam.analyze(drawn(0).grey)
    assert analysis.count.n == pytest.approx(drawn(0).n_chromosomes, abs=3)
    assert analysis.count.low <= analysis.count.n <= analysis.count.high
