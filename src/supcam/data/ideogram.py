"""The human ideogram: lengths, arms and G-bands of the 24 chromosome types at 400, 550 and 850 bands.

``ideogram.csv`` beside this file has one line a band, from the end of the short arm to that of the long one;
``end`` counts in ISCN units, the relative lengths of Francke's drawings: chromosome 1 measures 15,100. The
table is that of NCBI's Genome Data Viewer for GRCh38 (``ideogram_9606_GCF_000001305.14``), at 850 bands that
of UCSC's ``cytoBandIdeo``; taken from ideogram.js 1.53.0 (CC0-1.0). At 550 bands the source leaves out
the first part of eight bands: here a band begins where the one before it ends.

Sources: Francke, Cytogenetics and Cell Genetics 65:206 (1994); Furey and Haussler, Human Molecular Genetics
12:1037 (2003); ISCN (2020).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

Level = Literal[400, 550, 850]
LEVELS: tuple[Level, ...] = get_args(Level)
CHROMOSOMES = (*(str(number) for number in range(1, 23)), "X", "Y")
"""The 24 types in the order of a karyogram."""
LONGEST = 15_100
"""Length of chromosome 1 in ISCN units."""

_TABLE = Path(__file__).with_name("ideogram.csv")


class BandStain(StrEnum):
    """How a band takes Giemsa: not, by a quarter to wholly; the centromere, variable regions, stalks."""

    NEGATIVE = "gneg"
    QUARTER = "gpos25"
    HALF = "gpos50"
    THREE_QUARTERS = "gpos75"
    POSITIVE = "gpos100"
    CENTROMERE = "acen"
    VARIABLE = "gvar"
    STALK = "stalk"


@dataclass(frozen=True, slots=True)
class Band:
    """One band: ``name`` as p36.3, ``start`` and ``end`` in ISCN units from the end of the short arm."""

    name: str
    start: int
    end: int
    stain: BandStain

    @property
    def arm(self) -> str:
        """``p``, the short one, or ``q``."""
        return self.name[0]


@dataclass(frozen=True, slots=True)
class Ideogram:
    """The bands of one chromosome type from end to end, without gaps."""

    chromosome: str
    level: Level
    bands: tuple[Band, ...]

    @property
    def length(self) -> int:
        """Length in ISCN units."""
        return self.bands[-1].end

    @property
    def centromere(self) -> int:
        """Where the short arm meets the long one, in ISCN units."""
        return next(band.start for band in self.bands if band.arm == "q")

    @property
    def centromere_index(self) -> float:
        """Share of the short arm in the length, 0 to 0.5."""
        return self.centromere / self.length

    @property
    def is_acrocentric(self) -> bool:
        """Whether the short arm carries a satellite on a stalk: 13, 14, 15, 21 and 22."""
        return any(band.stain is BandStain.STALK for band in self.bands)


def read_ideogram(chromosome: str, *, level: Level) -> Ideogram:
    """The bands of ``chromosome``, one of ``CHROMOSOMES``, at ``level`` bands in all."""
    return _read_table()[level, chromosome]


@lru_cache(maxsize=1)
def _read_table() -> dict[tuple[int, str], Ideogram]:
    with _TABLE.open(encoding="ascii", newline="") as file:
        rows = [*csv.DictReader(file)]
    bands: dict[tuple[Level, str], list[Band]] = {
        (level, chromosome): [] for level in LEVELS for chromosome in CHROMOSOMES
    }
    by_text: dict[str, Level] = {str(level): level for level in LEVELS}
    for row in rows:
        before = bands[by_text[row["level"]], row["chromosome"]]
        start = before[-1].end if before else 0
        before.append(Band(row["band"], start=start, end=int(row["end"]), stain=BandStain(row["stain"])))
    return {(level, name): Ideogram(name, level, tuple(found)) for (level, name), found in bands.items()}
