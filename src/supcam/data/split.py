"""Roles by case, never by picture: drawn once, written to a file, reloaded ever after; or Lin's split."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from jaxtyping import Int64

from supcam.core.types import ManifestError
from supcam.data.csv_table import LineProblem, read_table, refuse_lines
from supcam.data.manifest import Manifest
from supcam.data.shuffle import shuffle_in_classes

ROLES = ("fold1", "fold2", "fold3", "fold4", "fold5", "train", "select", "report", "left_out")
"""Every role: five folds that are scored in turn, or training, choosing, reporting; or no part at all."""

_COLUMNS = ("source", "case", "role")


class Cased(Protocol):
    """Anything that comes from a case of a source: a sample, an annotated picture, a region."""

    @property
    def case(self) -> str: ...  # noqa: D102

    @property
    def source(self) -> str: ...  # noqa: D102


CasedItem = TypeVar("CasedItem", bound=Cased)


@dataclass(frozen=True, slots=True, order=True)
class CaseRole:
    """One row of ``experiments/roles.csv``: the one role that a case plays."""

    source: str
    case: str
    role: str


@dataclass(frozen=True)
class Roles:
    """Which case plays which role. Raises ``ManifestError`` when a case occurs twice."""

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

    def sides_of(self, items: Iterable[Cased]) -> tuple[str, ...]:
        """The role of each item's case, in the order of ``items``. Raises as ``role_of`` does."""
        return tuple(self.role_of(source=item.source, case=item.case) for item in items)

    def pick(self, items: Sequence[CasedItem], *, roles: Sequence[str]) -> tuple[CasedItem, ...]:
        """The items whose case plays one of ``roles``, in their order. Raises as ``role_of`` does."""
        return tuple(item for item, side in zip(items, self.sides_of(items), strict=True) if side in roles)

    def cases(self, *, source: str, role: str) -> tuple[str, ...]:
        """The cases of one source that play one role, sorted; empty when there are none."""
        return tuple(sorted(row.case for row in self.rows if row.source == source and row.role == role))


def _refuse_second_roles(rows: Iterable[CaseRole]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in rows:
        if (row.source, row.case) in seen:
            raise ManifestError(
                f"case {row.case!r} of {row.source!r} as {seen[row.source, row.case]} and as {row.role}",
                expected="every case once, in one role",
                remedy="leave one of the two rows",
            )
        seen[row.source, row.case] = row.role


def read_roles(path: Path) -> Roles:
    """The roles written in a CSV with the columns ``source,case,role``.

    Raises ``ManifestError`` when the file cannot be read, and, naming the lines, for a blank field, an
    unknown role and a repeated case.
    """
    table = read_table(path, required=_COLUMNS)
    problems: list[LineProblem] = []
    seen: dict[tuple[str, str], int] = {}
    for row in table:
        first = seen.setdefault((row["source"], row["case"]), row.line)
        if not all(row.values.values()):
            problems.append(LineProblem(row.line, "a blank field"))
        elif row["role"] not in ROLES:
            problems.append(LineProblem(row.line, f"the role {row['role']!r}"))
        elif first != row.line:
            problems.append(LineProblem(row.line, f"the same case as line {first}"))
    refuse_lines(problems, expected=f"every case once, in a role of {', '.join(ROLES)}", path=path)
    return Roles(tuple(sorted(CaseRole(row["source"], row["case"], row["role"]) for row in table)))


def write_roles(roles: Roles, *, path: Path) -> None:
    """A new roles file, whole or not at all.

    Raises ``ManifestError`` when ``path`` exists (roles are reloaded, never redrawn) or cannot be written.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((row.source, row.case, row.role) for row in roles.rows)
    try:
        _write_new(path, content=table.getvalue().encode())
    except FileExistsError as error:
        raise ManifestError(
            "a roles file already",
            expected="a new path",
            remedy="read that file; redrawn roles would let pictures that were trained on into the score",
            where=path,
        ) from error
    except (OSError, UnicodeEncodeError) as error:
        raise ManifestError(
            str(error),
            expected="cases in UTF-8 and a place to write",
            remedy="choose another path",
            where=path,
        ) from error


def _write_new(path: Path, *, content: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            path.unlink()
            raise


# Lin's published split --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LinSplit:
    """Row numbers of the three sides, and those left out as copies of a picture on a later side."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]
    left_out: Int64[np.ndarray, " left_out"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def lin_split(labels: Sequence[int], *, hashes: Sequence[str] | None = None) -> LinSplit:
    """The split of Lin et al. (2021), by picture and not by case: 5273 / 659 / 660 of 6,592 rows.

    It is what their ``StratifiedShuffleSplit(train 0.8, test 0.2, random_state=42)`` returns, with the 20 %
    halved by a second one of the same seed: the first half validates, the second tests. Rows are counted in
    the order of ``labels``, so that their very pictures come out only in the order in which they were
    listed (a manifest's: by folder, then by name). With ``hashes``, one a row, exact copies of a test
    picture leave validation and training, and copies of a validation picture leave training. Raises
    ``ManifestError`` when a class has less than two rows in what is to be divided.
    """
    classes = np.asarray(labels, dtype=np.int64)
    train, held = shuffle_in_classes(classes, n_first=len(classes) * 4 // 5, seed=42)
    first, second = shuffle_in_classes(classes[held], n_first=len(held) // 2, seed=42)
    split = LinSplit(train=train, validation=held[first], test=held[second])
    return split if hashes is None else _without_copies(split, hashes=hashes)


def _without_copies(split: LinSplit, *, hashes: Sequence[str]) -> LinSplit:
    in_test = {hashes[row] for row in split.test}
    validation_copies = np.array([hashes[row] in in_test for row in split.validation], dtype=np.bool_)
    later = in_test | {hashes[row] for row in split.validation}
    train_copies = np.array([hashes[row] in later for row in split.train], dtype=np.bool_)
    return LinSplit(
        train=split.train[~train_copies],
        validation=split.validation[~validation_copies],
        test=split.test,
        left_out=np.sort(np.concatenate([split.train[train_copies], split.validation[validation_copies]])),
    )


def lin_roles(manifest: Manifest, *, as_published: bool = False) -> Roles:
    """Lin's split of a ChrCluster manifest as roles, to be written and reloaded: train, select and report.

    Every picture is its own case there. Exact copies that would be on two sides are ``left_out`` of the
    earlier one, unless the split is wanted ``as_published``. Classes are taken by folder number, as they
    must be for the authors' own draw. Raises ``ManifestError`` for another layout, and when pictures share
    a case.
    """
    samples = manifest.samples
    if manifest.layout != "chrcluster" or len({sample.case for sample in samples}) < len(samples):
        raise ManifestError(
            f"{len(samples)} pictures in the layout {manifest.layout!r}",
            expected="numbered folders, and every picture as its own case",
            remedy="read ChrCluster with the case rule 'path', or draw roles by case",
        )
    number_of = {kind: number for number, kind in manifest.label_map.items()}
    labels = [number_of[sample.type] for sample in samples if sample.type is not None]
    split = lin_split(labels, hashes=None if as_published else [sample.sha256 for sample in samples])
    sides = {
        "train": split.train,
        "select": split.validation,
        "report": split.test,
        "left_out": split.left_out,
    }
    rows = [
        CaseRole(samples[row].source, samples[row].case, role) for role, side in sides.items() for row in side
    ]
    return Roles(tuple(sorted(rows)))
