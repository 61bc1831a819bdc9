"""An export of decisions -> crops with what people said of them, split by case; too few are refused.

The export (``GET /api/v1/export/decisions.zip``, or its unpacked folder) holds ``labels.csv`` for crops with
a type, ``rejected.csv`` for those that are no chromosome, and ``decisions.csv`` with who decided, and on
which model's word.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from supcam.core.types import ManifestError, Sample
from supcam.data.csv_table import read_table
from supcam.data.files import hash_file
from supcam.data.layout import TABLE_NAME
from supcam.data.manifest import ManifestOptions, read_manifest

REJECTED_TABLE = "rejected.csv"
DECISIONS_TABLE = "decisions.csv"
DECISIONS_COLUMNS = (
    "path", "object_id", "case", "type", "n_chromosomes", "reviewer", "decided_at", "model_version",
    "model_sha256",
)  # fmt: skip
SOURCE = "decisions"
LEAST_CASES, LEAST_LEARNT, LEAST_HELD_OUT = 4, 20, 10
"""Fewer cases, objects to learn from or held-out objects are refused: nothing could be said of them."""
_LEAST_ON_A_SIDE = 2
_MOST_MEMBER_BYTES, _MOST_BYTES = 50_000_000, 20_000_000_000
_TABLES = (TABLE_NAME, REJECTED_TABLE, DECISIONS_TABLE)


@dataclass(frozen=True, slots=True)
class DecidedSet:
    """Decided objects: ``typed`` with type and number, ``rejected`` as no chromosome; each with its case.

    ``n_reviewers`` and ``models`` (version and SHA-256 of whatever they decided on) are blank for an export
    that does not say them. ``notes`` are what a person should know.
    """

    typed: tuple[Sample, ...]
    rejected: tuple[Sample, ...]
    n_reviewers: int = 0
    models: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All of them."""
        return (*self.typed, *self.rejected)

    @property
    def cases(self) -> tuple[str, ...]:
        """The names of the cases, sorted."""
        return tuple(sorted({sample.case for sample in self.samples}))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all pictures and all that is said of them, wherever they lie and in whatever order."""
        lines = [f"{s.sha256} {s.case!r} {s.type!r} {s.n_chromosomes}" for s in self.samples]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def of_cases(self, cases: Sequence[str]) -> DecidedSet:
        """What was decided in ``cases`` alone."""
        chosen = {*cases}
        return DecidedSet(
            typed=tuple(sample for sample in self.typed if sample.case in chosen),
            rejected=tuple(sample for sample in self.rejected if sample.case in chosen),
            n_reviewers=self.n_reviewers,
            models=self.models,
        )

    def without(self, sha256s: set[str]) -> DecidedSet:
        """The same without the pictures of those contents."""
        return DecidedSet(
            typed=tuple(sample for sample in self.typed if sample.sha256 not in sha256s),
            rejected=tuple(sample for sample in self.rejected if sample.sha256 not in sha256s),
            n_reviewers=self.n_reviewers,
            models=self.models,
        )


@dataclass(frozen=True, slots=True)
class Halves:
    """Cases to learn from and cases held out; ``notes`` say what the split did beyond its rule."""

    learning: DecidedSet
    held_out: DecidedSet
    notes: tuple[str, ...] = ()


@contextmanager
def unpacked(export: Path) -> Iterator[Path]:
    """The folder of an export: ``export`` itself, or a passing one for a ZIP. Raises ``ManifestError``."""
    if export.is_dir():
        yield export
        return
    with TemporaryDirectory(prefix="supcam-decisions-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(export) as archive:
                _extract(archive, folder=folder, where=export)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise _no_export(str(error), where=export) from error
        yield folder


def _extract(archive: zipfile.ZipFile, *, folder: Path, where: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if sum(member.file_size for member in members) > _MOST_BYTES:
        raise _no_export(f"more than {_MOST_BYTES} bytes", where=where)
    for member in members:
        place = PurePosixPath(member.filename)
        is_ours = member.filename in _TABLES or (len(place.parts) == 2 and place.suffix == ".png")
        if not is_ours or ".." in place.parts or place.is_absolute() or "\\" in member.filename:
            raise _no_export("a file that no export has", where=where)
        if member.file_size > _MOST_MEMBER_BYTES and member.filename not in _TABLES:
            raise _no_export(f"a crop of more than {_MOST_MEMBER_BYTES} bytes", where=where)
        archive.extract(member, folder)


def read_decided(folder: Path) -> DecidedSet:
    """What the export in ``folder`` says. Raises ``ManifestError`` for one that cannot be used."""
    if not (folder / TABLE_NAME).is_file():
        raise _no_export(f"no {TABLE_NAME}", where=folder)
    manifest = read_manifest(folder, layout="csv", options=ManifestOptions(source=SOURCE))
    rejected = _read_rejected(folder)
    notes = (
        [f"{len(manifest.unreadable)} crops could not be opened and are left out"]
        if manifest.unreadable
        else []
    )
    typed = tuple(sample for sample in manifest.samples if sample.type is not None)
    contradicted = _contradicted((*typed, *rejected))
    if contradicted:
        notes.append(
            f"{len(contradicted)} pictures were decided in two ways (the same bytes twice) and are left out"
        )
    reviewers, models = _read_origin(folder)
    found = DecidedSet(typed, rejected=rejected, n_reviewers=reviewers, models=models)
    return DecidedSet(
        **{name: getattr(found.without(contradicted), name) for name in ("typed", "rejected")},
        n_reviewers=reviewers,
        models=models,
        notes=tuple(notes),
    )


def _read_rejected(folder: Path) -> tuple[Sample, ...]:
    table = folder / REJECTED_TABLE
    if not table.is_file():
        return ()
    rows = read_table(table, required=("path", "case"), optional=("reviewer",))
    try:
        return tuple(
            Sample(path, case=row["case"], source=SOURCE, sha256=hash_file(path))
            for row in rows
            for path in [folder / row["path"]]
        )
    except (OSError, ValueError) as error:
        raise _no_export(str(error), where=table) from error


def _read_origin(folder: Path) -> tuple[int, tuple[tuple[str, str], ...]]:
    """The number of reviewers, and version and hash of the models whose word they looked at."""
    table = folder / DECISIONS_TABLE
    if not table.is_file():
        return 0, ()
    rows = read_table(table, required=DECISIONS_COLUMNS)
    models = {(row["model_version"], row["model_sha256"]) for row in rows}
    return len({row["reviewer"] for row in rows}), tuple(sorted(models))


def _contradicted(samples: Sequence[Sample]) -> set[str]:
    said: dict[str, set[tuple[object, object]]] = {}
    for sample in samples:
        said.setdefault(sample.sha256, set()).add((sample.type, sample.n_chromosomes))
    return {sha256 for sha256, words in said.items() if len(words) > 1}


def split_by_case(decided: DecidedSet, *, share: float, seed: int) -> Halves:
    """Both sides; no case is on two, and none changes sides when more decisions come.

    A case is held out when the number that follows from ``seed`` and its name alone, 0..1, is below
    ``share``. Only where fewer than two cases would be on a side, the nearest ones change over. Pictures of
    held-out cases that lie on the other side too are left out there. Raises ``ManifestError`` when there is
    too little to learn from or to judge by.
    """
    cases = sorted(decided.cases, key=lambda case: _place(case, seed=seed))
    if len(cases) < LEAST_CASES:
        raise _too_few(f"{len(cases)} cases", expected=f"{LEAST_CASES} cases at least")
    wanted = sum(_place(case, seed=seed) < share for case in cases)
    n_held_out = min(max(wanted, _LEAST_ON_A_SIDE), len(cases) - _LEAST_ON_A_SIDE)
    notes = []
    if n_held_out != wanted:
        notes.append(
            "too few cases for the rule: the nearest changed sides, and may change back when more come"
        )
    learning, held_out = decided.of_cases(cases[n_held_out:]), decided.of_cases(cases[:n_held_out])
    shared = {s.sha256 for s in learning.samples} & {s.sha256 for s in held_out.samples}
    if shared:
        notes.append(f"{len(shared)} pictures lie in cases of both sides and are not held out")
    halves = Halves(learning, held_out=held_out.without(shared), notes=tuple(notes))
    _require_enough(halves)
    return halves


def _place(case: str, *, seed: int) -> float:
    digest = hashlib.sha256(f"{seed} {case}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _require_enough(halves: Halves) -> None:
    learnt, judged = len(halves.learning.typed), len(halves.held_out.typed)
    if learnt < LEAST_LEARNT or judged < LEAST_HELD_OUT:
        raise _too_few(
            f"{learnt} typed objects to learn from and {judged} held out",
            expected=f"{LEAST_LEARNT} and {LEAST_HELD_OUT} at least",
        )
    kinds = Counter(sample.type for sample in halves.learning.typed)
    if len(kinds) < 2:
        raise _too_few("decisions of one type alone", expected="several types to tell apart")


def _too_few(found: str, *, expected: str) -> ManifestError:
    return ManifestError(
        found, expected=expected, remedy="decide on more objects of more cases, then export again"
    )


def _no_export(found: str, *, where: Path) -> ManifestError:
    return ManifestError(
        found,
        expected="the export of a service's decisions: its ZIP, or the folder it was unpacked to",
        remedy="fetch it again: GET /api/v1/export/decisions.zip",
        where=where,
    )
