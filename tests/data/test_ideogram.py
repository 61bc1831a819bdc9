"""The band table against what every textbook says of human chromosomes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from supcam.data.ideogram import CHROMOSOMES, LEVELS, LONGEST, BandStain, Ideogram, Level, read_ideogram

ACROCENTRIC = {"13", "14", "15", "21", "22"}
METACENTRIC = {"1", "3", "16", "19", "20"}
BANDS = {400: 393, 550: 553, 850: 862}


def all_types(level: Level) -> list[Ideogram]:
    return [read_ideogram(name, level=level) for name in CHROMOSOMES]


@pytest.mark.parametrize("level", LEVELS)
def test_there_are_24_types_with_about_as_many_bands_as_the_level_says(level: Level) -> None:
    types = all_types(level)
    assert len({one.chromosome for one in types}) == 24
    n_bands = sum(len(one.bands) for one in types)
    assert n_bands == BANDS[level]
    assert n_bands == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("level", LEVELS)
def test_bands_follow_each_other_from_end_to_end(level: Level) -> None:
    for one in all_types(level):
        assert one.bands[0].start == 0
        assert all(band.end > band.start for band in one.bands)
        assert all(band.end == after.start for band, after in pairwise(one.bands))
        arms = "".join(band.arm for band in one.bands)
        assert arms == "p" * arms.count("p") + "q" * arms.count("q")
        assert len({band.name for band in one.bands}) == len(one.bands)


@pytest.mark.parametrize("level", LEVELS)
def test_centromere_lies_between_its_two_bands(level: Level) -> None:
    for one in all_types(level):
        left, right = (band for band in one.bands if band.stain is BandStain.CENTROMERE)
        assert (left.arm, right.arm) == ("p", "q")
        assert left.end == one.centromere == right.start


@pytest.mark.parametrize("level", LEVELS)
def test_lengths_fall_from_1_to_22_but_for_the_known_exceptions(level: Level) -> None:
    """11 is longer than 10 and 22 than 21 in some measure or other; X lies among the C group, Y by G."""
    length = {one.chromosome: one.length for one in all_types(level)}
    assert length["1"] == LONGEST == max(length.values())
    for longer, shorter in pairwise(CHROMOSOMES[:22]):
        if (longer, shorter) in {("9", "10"), ("21", "22")}:
            continue
        assert length[longer] > length[shorter]
    assert length["7"] > length["X"] > length["8"]
    assert length["20"] > length["Y"] > length["21"]
    assert length["22"] / length["1"] == pytest.approx(0.21, abs=0.03)


@pytest.mark.parametrize("level", LEVELS)
def test_centromeres_lie_where_the_groups_say(level: Level) -> None:
    index = {one.chromosome: one.centromere_index for one in all_types(level)}
    assert {one.chromosome for one in all_types(level) if one.is_acrocentric} == ACROCENTRIC
    assert all(0.37 < index[name] <= 0.5 for name in METACENTRIC)
    assert all(0.24 < index[name] < 0.29 for name in ("4", "5"))
    assert all(index[name] < 0.24 for name in ("13", "14", "15"))
    assert index["1"] == pytest.approx(0.48, abs=0.02)  # Paris Conference (1971): 48.0
    assert index["2"] == pytest.approx(0.38, abs=0.02)  # 38.1


def test_landmark_bands_are_where_a_cytogeneticist_looks_for_them() -> None:
    def stain(name: str, band: str, level: Level = 550) -> BandStain:
        return next(one.stain for one in read_ideogram(name, level=level).bands if one.name == band)

    assert stain("1", "q12") is BandStain.VARIABLE
    assert stain("9", "q12") is BandStain.VARIABLE
    assert stain("Y", "q12") is BandStain.VARIABLE
    assert stain("9", "p21") is BandStain.POSITIVE
    assert stain("21", "q21") is BandStain.POSITIVE
    assert stain("X", "p21.1") is BandStain.POSITIVE
    assert stain("21", "p12") is BandStain.STALK
    assert stain("19", "q13.3", 400) is BandStain.NEGATIVE
    assert stain("22", "q13", 400) is BandStain.NEGATIVE


@pytest.mark.parametrize("level", [400, 550])
def test_more_bands_are_seen_at_a_higher_level(level: Level) -> None:
    for name in CHROMOSOMES:
        coarse, fine = read_ideogram(name, level=level), read_ideogram(name, level=850)
        assert len(coarse.bands) <= len(fine.bands)
        assert coarse.length == fine.length
