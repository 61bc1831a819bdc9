"""A karyotype's formula, ``47,XY,+21``, as the chromosomes of one metaphase: numerical abnormalities only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from supcam.core.types import ConfigError
from supcam.data.ideogram import CHROMOSOMES

_SETS = ((34, 1), (57, 2), (80, 3), (103, 4))
"""Most chromosomes of near-haploid, -diploid, -triploid and -tetraploid cells, and their sets (ISCN 2020)."""
_FORM = re.compile(r"(?P<count>\d{1,3}),(?P<sex>[XY]{1,8})(?P<changes>(,[+-]\w+)*)")
_REMEDY = "write it as in 46,XX or 47,XY,+21 or 69,XXX; structural changes, mosaics and markers are not drawn"


@dataclass(frozen=True, slots=True)
class Karyotype:
    """A karyotype's formula and its chromosomes, one name each, in the order of a karyogram."""

    formula: str
    chromosomes: tuple[str, ...]


def parse_karyotype(text: str) -> Karyotype:
    """The chromosomes that a formula names: count, sex chromosomes, then whole chromosomes gained and lost.

    Gains and losses are counted from the number of sets that the count is nearest to (ISCN 2020): 69,XXX has
    three of each autosome. The sex chromosomes are those that are there: a lost one is not among them
    (45,X,-Y), a gained one is (47,XXY), unless it is written as a gain (47,XY,+X). Raises ``ConfigError`` for
    anything else, and when count and list contradict each other.
    """
    formula = "".join(text.split()).upper()
    form = _FORM.fullmatch(formula)
    if form is None:
        raise _wrong(
            f"the karyotype {text!r}", expected="a count, sex chromosomes and whole gains and losses"
        )
    count = int(form["count"])
    found = Counter(form["sex"]) + _autosomes(count, text=text)
    for change in form["changes"].split(",")[1:]:
        _change(found, sign=change[0], name=change[1:], text=text)
    if found.total() != count:
        raise _wrong(
            f"the karyotype {text!r} that lists {found.total()} chromosomes", expected=f"{count}, as it says"
        )
    return Karyotype(formula, tuple(name for name in CHROMOSOMES for _ in range(found[name])))


def _autosomes(count: int, *, text: str) -> Counter[str]:
    """Each autosome once for every set of chromosomes."""
    sets = next((sets for most, sets in _SETS if count <= most), None)
    if sets is None or count < 23:
        raise _wrong(f"the karyotype {text!r} of {count} chromosomes", expected="23 to 103 of them")
    return Counter(dict.fromkeys(CHROMOSOMES[:22], sets))


def _change(found: Counter[str], *, sign: str, name: str, text: str) -> None:
    """Adds a gained chromosome to ``found``, or takes a lost one away."""
    if name not in CHROMOSOMES:
        raise _wrong(f"{sign}{name} in the karyotype {text!r}", expected="chromosomes 1 to 22, X and Y")
    if sign == "+":
        found[name] += 1
    elif name not in "XY":
        found[name] -= 1
        if found[name] < 0:
            raise _wrong(f"more losses of {name} than there are, in {text!r}", expected="fewer")


def _wrong(found: str, *, expected: str) -> ConfigError:
    return ConfigError(found, expected=expected, remedy=_REMEDY, where="karyotype")
