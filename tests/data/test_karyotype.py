from __future__ import annotations

from collections import Counter

import pytest

from supcam.core.types import ConfigError
from supcam.data.ideogram import CHROMOSOMES
from supcam.data.karyotype import parse_karyotype

AUTOSOMES = CHROMOSOMES[:22]


def counted(formula: str, *, sets: int = 2) -> dict[str, int]:
    """What differs from ``sets`` of each autosome, with the sex chromosomes."""
    found = Counter(parse_karyotype(formula).chromosomes)
    usual = Counter(dict.fromkeys(AUTOSOMES, sets))
    return {name: found[name] - usual[name] for name in CHROMOSOMES if found[name] != usual[name]}


@pytest.mark.parametrize(
    ("formula", "differs"),
    [
        ("46,XX", {"X": 2}),
        ("46,XY", {"X": 1, "Y": 1}),
        ("45,X", {"X": 1}),
        ("47,XXY", {"X": 2, "Y": 1}),
        ("47,XYY", {"X": 1, "Y": 2}),
        ("47,XY,+21", {"X": 1, "Y": 1, "21": 1}),
        ("48,XX,+8,+21", {"X": 2, "8": 1, "21": 1}),
        ("48,XY,+21,+21", {"X": 1, "Y": 1, "21": 2}),
        ("45,XX,-7", {"X": 2, "7": -1}),
        ("46,XY,+8,-20", {"X": 1, "Y": 1, "8": 1, "20": -1}),
        ("45,X,-Y", {"X": 1}),
        ("47,XY,+X", {"X": 2, "Y": 1}),
        (" 47, xy, +13 ", {"X": 1, "Y": 1, "13": 1}),
    ],
)
def test_formula_names_its_chromosomes(formula: str, differs: dict[str, int]) -> None:
    assert counted(formula) == differs


@pytest.mark.parametrize(
    ("formula", "sets", "differs"),
    [
        ("23,X", 1, {"X": 1}),
        ("69,XXX", 3, {"X": 3}),
        ("69,XXY", 3, {"X": 2, "Y": 1}),
        ("70,XXX,+5", 3, {"X": 3, "5": 1}),
        ("92,XXYY", 4, {"X": 2, "Y": 2}),
    ],
)
def test_other_numbers_of_sets_are_known_from_the_count(
    formula: str, sets: int, differs: dict[str, int]
) -> None:
    assert counted(formula, sets=sets) == differs


def test_chromosomes_come_in_the_order_of_a_karyogram() -> None:
    found = parse_karyotype("47,XY,+21").chromosomes
    assert len(found) == 47
    assert list(found) == sorted(found, key=CHROMOSOMES.index)
    assert parse_karyotype(" 47,xy,+21").formula == "47,XY,+21"


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        ("46,XY,t(9;22)(q34;q11)", "t\\(9;22\\)"),
        ("46,XX,del(5p)", "del"),
        ("47,XX,+mar", "\\+MAR"),
        ("mos 45,X/46,XX", "mos"),
        ("46,XX[20]", "20"),
        ("47,XY,+23", "\\+23"),
        ("47,XY", "lists 46"),
        ("46,XY,+21", "lists 47"),
        ("45,XXY", "lists 47"),
        ("46", "46"),
        ("", "''"),
        ("46,AB", "AB"),
        ("12,X", "of 12"),
        ("120,XX", "of 120"),
        ("43,XX,-7,-7,-7", "losses of 7"),
        ("46;XX", "46;XX"),
    ],
)
def test_anything_else_is_refused_and_said(formula: str, found: str) -> None:
    with pytest.raises(ConfigError, match=found) as caught:
        parse_karyotype(formula)
    assert "47,XY,+21" in str(caught.value)
