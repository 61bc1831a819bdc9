"""What an analysis calls its pictures, their files and their cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import ManifestError
from supcam.data.csv_table import read_table
from supcam.data.files import check_case_rule, find_case


@dataclass(frozen=True, slots=True)
class Names:
    """By a picture's path as it was given: the name that is shown, its case, and the stem of its files."""

    shown: Mapping[str, str]
    cases: Mapping[str, str]
    stems: Mapping[str, str]


def name_pictures(names: Sequence[str], *, cases: str, pseudonymise: bool) -> Names:
    """The names of pictures, in their order; pseudonyms count them and tell nothing of file or folder.

    ``cases`` is a case rule, a CSV with the columns ``image`` and ``case``, or blank: every picture is a case
    of its own. Raises ``ManifestError`` where that leaves a picture without a case.
    """
    found = _cases(names, rule=cases)
    if not pseudonymise:
        return Names(shown={name: name for name in names}, cases=found, stems=_stems(names))
    digits = max(3, len(str(len(names))))
    shown = {name: f"picture-{n:0{digits}d}" for n, name in enumerate(names, start=1)}
    distinct = dict.fromkeys(found[name] for name in names)
    hidden = {case: f"case-{n:0{digits}d}" for n, case in enumerate(distinct, start=1)}
    return Names(shown=shown, cases={name: hidden[found[name]] for name in names}, stems=shown)


def _stems(names: Sequence[str]) -> dict[str, str]:
    """A stem for the files of each picture: its own, or where several share it, the folder's before it."""
    seen = Counter(Path(name).stem.casefold() for name in names)
    taken: set[str] = set()
    stems: dict[str, str] = {}
    for name in names:
        path = Path(name)
        stem = path.stem if seen[path.stem.casefold()] == 1 else f"{path.absolute().parent.name}_{path.stem}"
        n, free = 1, stem
        while free.casefold() in taken:
            n += 1
            free = f"{stem}_{n}"
        taken.add(free.casefold())
        stems[name] = free
    return stems


def _cases(names: Sequence[str], *, rule: str) -> dict[str, str]:
    """The case of each picture. Raises ``ManifestError`` for a rule or table that does not name it."""
    if rule.lower().endswith(".csv"):
        return _listed_cases(names, table=Path(rule))
    check_case_rule(rule)
    try:
        return {
            name: find_case(Path(name).as_posix(), path=Path(name), rule=rule or "path") for name in names
        }
    except ValueError as error:
        raise ManifestError(
            str(error),
            expected="a rule that finds a case in every name",
            remedy="correct --cases, or give a CSV with the columns image and case",
        ) from error


def _listed_cases(names: Sequence[str], *, table: Path) -> dict[str, str]:
    """The cases in a CSV, by the pictures' names as they were given, or by the names of their files."""
    listed = {row["image"]: row["case"] for row in read_table(table, required=("image", "case"))}
    cases = {name: listed.get(name) or listed.get(Path(name).name, "") for name in names}
    missing = [name for name, case in cases.items() if not case]
    if missing:
        raise ManifestError(
            f"no case for {len(missing)} pictures, the first of them {missing[0]!r}",
            expected="a row with image and case for every picture",
            remedy="add the missing rows",
            where=table,
        )
    return cases
