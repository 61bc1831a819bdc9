"""How pictures and labels lie on disk: ChrCluster folders, CSV, plain folders, Pascal VOC and COCO boxes.

Each layout is read into claims: what it says of a file, before that file was opened.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from supcam.core.types import ClusterType, ManifestError
from supcam.data.annotation import Annotation, AnnotationError, NamedBox, read_coco, read_voc
from supcam.data.csv_table import LineProblem, TableRow, read_table, refuse_lines
from supcam.data.files import Unreadable, find_named_picture, list_pictures

Layout = Literal["auto", "chrcluster", "csv", "folder", "voc", "coco"]
"""The layouts that can be read; ``auto`` looks which it is."""

TABLE_NAME = "labels.csv"
"""A folder that holds a file of this name is read through it."""


def _types_by_value() -> dict[int, ClusterType]:
    return {int(member): member for member in ClusterType}


def parse_label_map(text: str) -> dict[int, ClusterType]:
    """The type of each numbered folder, from ``0=instance,1=touching,...``. Raises ``ManifestError``."""
    found: dict[int, ClusterType] = {}
    try:
        for entry in text.split(","):
            number, _, label = entry.partition("=")
            kind = ClusterType.from_label(label)
            if not _is_number(number.strip()) or found.setdefault(int(number), kind) is not kind:
                raise ValueError(f"the entry {entry.strip()!r}")
    except ValueError as error:
        raise ManifestError(
            f"the label map {text!r}: {error}",
            expected="one type for each folder, as in 0=instance,1=touching,2=overlapping",
            remedy="correct the label map",
        ) from error
    return found


@dataclass(frozen=True)
class ManifestOptions:
    """What the files alone do not say.

    - ``source``: where the pictures come from; blank: the folder's name.
    - ``case_rule``: ``column`` (of the CSV), ``parent`` (name of the folder), ``stem`` (name of the file
      without its ending), ``path`` (place within the root: every picture its own case), or a regular
      expression with one group, searched in the place within the root without its ending. Blank: ``column``
      for a CSV, else ``path``.
    - ``label_map``: the type in each numbered folder of ChrCluster. No public text says which it is: the
      default is 0 instance, 1 touching, 2 overlapping, 3 touching_overlapping, an assumption to check.
    - ``pattern``: only files of such names (``*`` and ``?``) count, in a plain folder.
    - ``pictures_folder``: where annotated pictures lie, if not where the layout would have them.
    """

    source: str = ""
    case_rule: str = ""
    label_map: dict[int, ClusterType] = field(default_factory=_types_by_value)
    pattern: str = "*"
    pictures_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a layout says of one file. ``place`` is its path in the root; blank texts are left to the options.

    ``objects`` are the boxes of an annotated picture, ``None`` for a picture that is a sample itself.
    """

    path: Path
    place: str
    case: str = ""
    source: str = ""
    type: ClusterType | None = None
    n_chromosomes: int | None = None
    objects: tuple[NamedBox, ...] | None = None


@dataclass(frozen=True)
class Claims:
    """All claims of a layout, the files that it could not use, and assumptions that a person should see."""

    claims: tuple[Claim, ...]
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()
    label_map: dict[int, ClusterType] = field(default_factory=dict)


def read_claims(path: Path, *, layout: Layout, options: ManifestOptions) -> Claims:
    """The claims of the table or folder at ``path``, read in a layout other than ``auto``."""
    readers: dict[str, Callable[..., Claims]] = {
        "chrcluster": _read_numbered_folders,
        "csv": _read_csv,
        "folder": _read_folder,
        "voc": _read_voc_folder,
        "coco": _read_coco_table,
    }
    if layout != "csv" and options.case_rule == "column":
        raise ManifestError(
            f"the case rule 'column' with the layout {layout!r}",
            expected="parent, stem, path or a regular expression",
            remedy="choose another case rule",
            where=path,
        )
    return readers[layout](path, options=options)


def find_layout(path: Path) -> Layout:
    """The layout at ``path``: a file by its ending, a folder by what it holds. Raises ``ManifestError``."""
    if path.is_dir():
        return _find_folder_layout(path)
    by_ending: dict[str, Layout] = {".csv": "csv", ".json": "coco"}
    if path.suffix.lower() not in by_ending:
        raise ManifestError(
            f"a file that ends in {path.suffix!r}",
            expected="a .csv or .json table, or a folder",
            remedy="name the layout, or the folder that holds the pictures",
            where=path,
        )
    return by_ending[path.suffix.lower()]


def _find_folder_layout(path: Path) -> Layout:
    if (path / TABLE_NAME).is_file():
        return "csv"
    if any(_voc_folder(path).glob("*.xml")):
        return "voc"
    places = [picture.relative_to(path) for picture in list_pictures(path).paths]
    if places and all(len(place.parts) > 1 and _is_number(place.parts[0]) for place in places):
        return "chrcluster"
    return "folder"


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()


# Folders ----------------------------------------------------------------------------------------------------


def _read_folder(path: Path, *, options: ManifestOptions) -> Claims:
    listing = list_pictures(path, pattern=options.pattern)
    claims = tuple(Claim(picture, picture.relative_to(path).as_posix()) for picture in listing.paths)
    return Claims(claims, unreadable=listing.unreadable)


def _read_numbered_folders(path: Path, *, options: ManifestOptions) -> Claims:
    listing = list_pictures(path)
    claims = tuple(_numbered_claim(picture, root=path, options=options) for picture in listing.paths)
    says = ", ".join(f"{number} = {kind.label}" for number, kind in sorted(options.label_map.items()))
    note = f"folder numbers were read as {says}: check this against a few pictures of each folder"
    return Claims(claims, listing.unreadable, notes=(note,), label_map=dict(options.label_map))


def _numbered_claim(picture: Path, *, root: Path, options: ManifestOptions) -> Claim:
    place = picture.relative_to(root)
    number = place.parts[0]
    if len(place.parts) < 2 or not _is_number(number) or int(number) not in options.label_map:
        raise ManifestError(
            f"the picture {place.as_posix()!r}",
            expected=f"every picture in a folder named by one of the numbers {sorted(options.label_map)}",
            remedy="give the label map of this data set, or move the picture away",
            where=root,
        )
    kind = options.label_map[int(number)]
    count = 1 if kind is ClusterType.INSTANCE else None
    return Claim(picture, place.as_posix(), type=kind, n_chromosomes=count)


# CSV --------------------------------------------------------------------------------------------------------


def _read_csv(path: Path, *, options: ManifestOptions) -> Claims:
    table = path / TABLE_NAME if path.is_dir() else path
    cases_in_column = options.case_rule in {"", "column"}
    required = ("path", "case") if cases_in_column else ("path",)
    optional = ("type", "n_chromosomes", "source", *(() if cases_in_column else ("case",)))
    rows = read_table(table, required=required, optional=optional)
    problems = [LineProblem(row.line, text) for row in rows for text in _row_problems(row, required=required)]
    problems += _repeated_paths(rows)
    expected = (
        "a path, its case, one of the four types or a blank, and a count that is 1 exactly for instance"
    )
    refuse_lines(sorted(problems, key=lambda problem: problem.line), expected=expected, path=table)
    return Claims(tuple(_row_claim(row, table=table, takes_case=cases_in_column) for row in rows))


def _row_problems(row: TableRow, *, required: Sequence[str]) -> Iterator[str]:
    yield from (f"no {column}" for column in required if not row[column])
    try:
        kind, count = _row_type(row), _row_count(row)
    except ValueError as error:
        yield str(error)
        return
    if kind is not None and count is not None and (kind is ClusterType.INSTANCE) != (count == 1):
        yield f"{kind.label} with {count} chromosome{'s' if count > 1 else ''}"


def _row_type(row: TableRow) -> ClusterType | None:
    return ClusterType.from_label(row["type"]) if row["type"] else None


def _row_count(row: TableRow) -> int | None:
    """A blank count is unknown, but for an instance; pandas writes ``2.0`` in a column with blanks."""
    text = row["n_chromosomes"]
    if not text:
        return 1 if _row_type(row) is ClusterType.INSTANCE else None
    if not re.fullmatch(r"0*[1-9][0-9]{0,3}(\.0*)?", text, flags=re.ASCII):
        raise ValueError(f"{text!r} is no number of chromosomes")
    return int(text.partition(".")[0])


def _repeated_paths(rows: Sequence[TableRow]) -> list[LineProblem]:
    first: dict[str, int] = {}
    problems = []
    for row in rows:
        line = first.setdefault(os.path.normpath(row["path"]), row.line)
        if line != row.line:
            problems.append(LineProblem(row.line, f"the same path as line {line}"))
    return problems


def _row_claim(row: TableRow, *, table: Path, takes_case: bool) -> Claim:
    return Claim(
        path=table.parent / row["path"],
        place=row["path"],
        case=row["case"] if takes_case else "",
        source=row["source"],
        type=_row_type(row),
        n_chromosomes=_row_count(row),
    )


# Boxes ------------------------------------------------------------------------------------------------------


def _first_folder(root: Path, *, names: Sequence[str]) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root)


def _voc_folder(path: Path) -> Path:
    return path if any(path.glob("*.xml")) else _first_folder(path, names=("annotations", "Annotations"))


def _voc_pictures_folder(path: Path) -> Path:
    names = ("images", "JPEGImages")
    found = _first_folder(path, names=names)
    beside = path.name in {"annotations", "Annotations"} and found == path
    return _first_folder(path.absolute().parent, names=names) if beside else found


def _read_voc_folder(path: Path, *, options: ManifestOptions) -> Claims:
    folder = options.pictures_folder or _voc_pictures_folder(path)
    by_stem: dict[str, list[Path]] = {}
    for picture in list_pictures(folder).paths:
        by_stem.setdefault(picture.stem, []).append(picture)
    claims: dict[Path, Claim] = {}
    unreadable = []
    for xml in sorted(_voc_folder(path).glob("*.xml"), key=str):
        try:
            claim = _voc_claim(xml, by_stem=by_stem, folder=folder)
            if claims.setdefault(claim.path, claim) is not claim:
                raise AnnotationError(f"a second annotation of {claim.path.name!r}")
        except (OSError, ValueError) as error:
            unreadable.append(Unreadable.from_error(xml, error))
    return Claims(tuple(claims.values()), unreadable=tuple(unreadable))


def _voc_claim(xml: Path, *, by_stem: dict[str, list[Path]], folder: Path) -> Claim:
    annotation = read_voc(xml)
    picture = find_named_picture(by_stem, stem=xml.stem, file_name=annotation.file_name)
    return Claim(picture, picture.relative_to(folder).as_posix(), objects=annotation.objects)


def _read_coco_table(path: Path, *, options: ManifestOptions) -> Claims:
    folder = options.pictures_folder or path.parent
    annotations = read_coco(path)
    unreadable = tuple(
        Unreadable(folder / each.file_name, each.reason) for each in annotations if each.reason
    )
    claims = tuple(_coco_claim(each, folder=folder) for each in annotations if not each.reason)
    return Claims(claims, unreadable=unreadable)


def _coco_claim(annotation: Annotation, *, folder: Path) -> Claim:
    return Claim(folder / annotation.file_name, annotation.file_name, objects=annotation.objects)
