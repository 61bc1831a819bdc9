from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from supcam.core.types import ClusterType, ManifestError
from supcam.data.sources import read_adir, read_cci, read_tseng_crops, read_tseng_metaphases, tseng_case


@pytest.mark.parametrize(
    ("stem", "case"),
    [
        ("1055903", "105590"),
        ("103072", "10307"),
        ("1055903_1", "105590"),
        ("unknow394", "unknow394"),
        ("unknow394_1", "unknow394_1"),
    ],
)
def test_the_last_digit_names_the_cell(stem: str, case: str) -> None:
    assert tseng_case(stem) == case


@pytest.mark.parametrize("stem", ["", "7", "a1055903", "1055903_2", "1055903_33"])
def test_other_names_have_no_case(stem: str) -> None:
    with pytest.raises(ManifestError, match="the name"):
        tseng_case(stem)


def test_cci_is_what_its_authors_say(real_data: Path) -> None:
    manifest = read_cci(real_data)
    kinds = Counter(sample.type for sample in manifest.samples)
    assert [kinds[kind] for kind in (*ClusterType, None)] == [321, 29, 19, 6, 9]
    assert {sample.source for sample in manifest.samples} == {"cci"}
    assert len({sample.case for sample in manifest.samples}) == 10


def test_tseng_crops_and_metaphases_name_the_same_cases(real_data: Path) -> None:
    crops = read_tseng_crops(real_data).samples
    pictures = {picture.path.stem: picture for picture in read_tseng_metaphases(real_data).pictures}
    assert len(crops) == 115
    for crop in crops:
        metaphase = pictures[crop.path.stem.rpartition("_")[0]]
        assert crop.case == metaphase.case == tseng_case(metaphase.path.stem)


def test_tseng_metaphases_hold_a_box_a_chromosome(real_data: Path) -> None:
    manifest = read_tseng_metaphases(real_data)
    n_boxes = Counter(len(picture.boxes) for picture in manifest.pictures)
    assert len(manifest.pictures) == 392
    assert n_boxes.most_common(1)[0][0] == 46
    assert len(manifest.samples) == sum(len(picture.boxes) for picture in manifest.pictures) == 18_024
    assert len({name for picture in manifest.pictures for name in picture.names}) == 24
    assert manifest.unreadable == ()


def test_adir_gives_its_pictures_and_not_its_masks(real_data: Path) -> None:
    manifest = read_adir(real_data)
    assert len(manifest.samples) == 60
    assert all(sample.path.name.endswith("_dapi.png") for sample in manifest.samples)
    assert all(sample.case == sample.path.name[:3] for sample in manifest.samples)
    assert len({sample.case for sample in manifest.samples}) == 20


def test_a_missing_source_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nothing there"):
        read_adir(tmp_path)
