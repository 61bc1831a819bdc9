"""Roles by case, never by picture: drawn once, written to a file, reloaded ever after. Also Lin's published split."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from supcam.core.types import ManifestError

ROLES = ("fold1", "fold2", "fold3", "fold4", "fold5", "train", "select", "report")
"""Every role a case can play: five folds that are scored in turn, or training, choosing and reporting."""

_COLUMNS = ("source", "case", "role")


@dataclass(frozen=True, slots=True, order=True)
class CaseRole:
    """One row of ``experiments/roles.csv``: the one role that a case plays."""

    source: str
    case: str
    role: str


@dataclass(frozen=True)
class Roles:
    """Which case plays which role; rows are sorted and no case occurs twice (``ManifestError``)."""

    rows: tuple[CaseRole, ...]

    def __post_init__(self) -> None:
        _refuse_second_roles(self.rows)

    @cached_property
    def _table(self) -> dict[tuple[str, str], str]:
        return {(row.source, row.case): row.role for row in self.rows}

    def role_of(self, *, source: str, case: str) -> str:
        """The role of one case. Raises ``ManifestError`` for a case without one: it may not be used."""
        role = self._table.get((source, case))
        if role is None:
            raise ManifestError(
                f"case {case!r} of source {source!r} without a role",
                expected="every case to have one",
                remedy="add the case to the roles file, or correct the case rule of the manifest",
            )
        return role

    def cases(self, *, source: str, role: str) -> tuple[str, ...]:
        """The cases of one source that play one role, sorted; empty when there are none."""
        return tuple(row.case for row in self.rows if row.source == source and row.role == role)


def _refuse_second_roles(rows: Iterable[CaseRole]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        first = seen.setdefault((row.source, row.case), row.role)
        if first != row.role:
            raise ManifestError(
                f"case {row.case!r} of source {row.source!r} as {first} and as {row.role}",
                expected="one role for a case",
                remedy="leave one of the two rows",
            )


def read_roles(path: Path) -> Roles:
    """The roles written in a CSV with the columns ``source,case,role``.

    Raises ``ManifestError`` naming the line for a blank field, an unknown role, a repeated case, and for a file
    that cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = tuple(_parse_rows(csv.DictReader(file), path=path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(
            str(error), expected="a readable CSV in UTF-8", remedy="check the path", where=path
        ) from error
    return Roles(tuple(sorted(rows)))


def _parse_rows(reader: csv.DictReader[str], *, path: Path) -> Iterator[CaseRole]:
    if tuple(reader.fieldnames or ()) != _COLUMNS:
        raise _wrong_line(path, 1, f"the columns {reader.fieldnames}", expected=",".join(_COLUMNS))
    seen: set[tuple[str, str]] = set()
    for fields in reader:
        values = [(fields[name] or "").strip() for name in _COLUMNS]
        row = CaseRole(*values)
        if None in fields or not all(values):
            raise _wrong_line(path, reader.line_num, "a blank or surplus field", expected="three fields")
        if row.role not in ROLES:
            raise _wrong_line(path, reader.line_num, f"the role {row.role!r}", expected=", ".join(ROLES))
        if (row.source, row.case) in seen:
            raise _wrong_line(
                path, reader.line_num, f"case {row.case!r} again", expected="every case of a source once"
            )
        seen.add((row.source, row.case))
        yield row


def _wrong_line(path: Path, line: int, found: str, *, expected: str) -> ManifestError:
    return ManifestError(found, expected=expected, remedy="correct the line", where=f"{path}, line {line}")


def write_roles(roles: Roles, *, path: Path) -> None:
    """A new roles file. Raises ``ManifestError`` when ``path`` exists: roles are reloaded, never redrawn."""
    try:
        with path.open("x", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows((row.source, row.case, row.role) for row in roles.rows)
    except FileExistsError as error:
        raise ManifestError(
            "a roles file already",
            expected="a new path",
            remedy="read that file; redrawn roles would let pictures that were trained on into the score",
            where=path,
        ) from error


# ------------------------------------------------------------------------------------------------ drawing roles


@dataclass(frozen=True, slots=True)
class CaseCensus:
    """What the drawing of roles may know of a case: its pictures and its typed clusters, no pixels."""

    source: str
    case: str
    n_pictures: int
    n_by_type: Mapping[str, int]

    @property
    def is_typed(self) -> bool:
        """Whether anybody has typed a crop of this case."""
        return sum(self.n_by_type.values()) > 0


def draw_roles(census: Sequence[CaseCensus], *, seed: int, n_extra_pictures: int = 25) -> Roles:
    """The roles of ``experiments/roles.csv``, as they were drawn once (seed 1109269).

    - ``cci``: five folds, equal in cases and balanced in clusters of every type;
    - ``tseng24``: typed cases go half to ``select`` and half to ``report``, balanced by type; of the others,
      each of the two gets cases until it has ``n_extra_pictures`` more metaphases; the rest is ``train``. The
      ``unknow*`` files, whose patients nobody knows, are never taken for the extra metaphases;
    - every other source (``adir``): ``report`` only.

    A case's place in the draw is the SHA-256 of seed, source and case, so that neither the order of the
    listing nor the version of a library matters.
    """
    rows: list[CaseRole] = []
    for source in sorted({case.source for case in census}):
        cases = [case for case in census if case.source == source]
        if source == "cci":
            rows += deal_evenly(cases, sides=ROLES[:5], seed=seed)
        elif source == "tseng24":
            rows += _draw_metaphase_roles(cases, seed=seed, n_extra_pictures=n_extra_pictures)
        else:
            rows += [CaseRole(source, case.case, "report") for case in cases]
    return Roles(tuple(sorted(rows)))


def _draw_metaphase_roles(cases: Sequence[CaseCensus], *, seed: int, n_extra_pictures: int) -> list[CaseRole]:
    rows = deal_evenly([case for case in cases if case.is_typed], sides=("select", "report"), seed=seed)
    waiting = _shuffled([case for case in cases if not case.is_typed], seed=seed)
    for role in ("select", "report"):
        taken = _take_pictures(
            [c for c in waiting if not c.case.startswith("unknow")], n_pictures=n_extra_pictures
        )
        rows += [CaseRole(case.source, case.case, role) for case in taken]
        waiting = [case for case in waiting if case not in taken]
    return rows + [CaseRole(case.source, case.case, "train") for case in waiting]


def _take_pictures(cases: Sequence[CaseCensus], *, n_pictures: int) -> list[CaseCensus]:
    taken: list[CaseCensus] = []
    for case in cases:
        if sum(each.n_pictures for each in taken) >= n_pictures:
            break
        taken.append(case)
    return taken


def deal_evenly(cases: Sequence[CaseCensus], *, sides: Sequence[str], seed: int) -> list[CaseRole]:
    """Every case on one of ``sides``: sides differ by one case at most, and types are balanced greedily.

    Cases with the most of the rarest types are dealt first, equal ones in the order of the seed; each goes to
    the side, among those with room, where the sum of squares of the shares of all types grows least.
    """
    totals = Counter[str]()
    for case in cases:
        totals.update(case.n_by_type)
    held = {side: Counter[str]() for side in sides}
    n_cases = dict.fromkeys(sides, 0)
    rows: list[CaseRole] = []
    for case in sorted(_shuffled(cases, seed=seed), key=lambda each: -_rarity(each.n_by_type, totals)):
        fewest = min(n_cases.values())
        open_sides = [s for s in sides if n_cases[s] < -(-len(cases) // len(sides)) or n_cases[s] == fewest]
        side = min(open_sides, key=lambda s: (_growth(case.n_by_type, held[s], totals), n_cases[s]))
        held[side].update(case.n_by_type)
        n_cases[side] += 1
        rows.append(CaseRole(case.source, case.case, side))
    return rows


def _rarity(counts: Mapping[str, int], totals: Mapping[str, int]) -> float:
    return sum(count / totals[name] for name, count in counts.items() if count)


def _growth(counts: Mapping[str, int], held: Mapping[str, int], totals: Mapping[str, int]) -> float:
    return sum(
        count * (count + 2 * held.get(name, 0)) / totals[name] ** 2 for name, count in counts.items() if count
    )


def _shuffled(cases: Sequence[CaseCensus], *, seed: int) -> list[CaseCensus]:
    def place(case: CaseCensus) -> str:
        return hashlib.sha256(f"{seed}/{case.source}/{case.case}".encode()).hexdigest()

    return sorted(cases, key=place)
