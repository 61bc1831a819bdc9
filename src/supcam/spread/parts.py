"""What many workers write: tables in Parquet and JSON documents, in parts that count once entered as done."""

from __future__ import annotations

import gzip
import io
import json
import secrets
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from supcam.core.types import SupcamError
from supcam.spread.document import analysis_document
from supcam.spread.places import Folder
from supcam.spread.rows import AREA_COLUMNS, CASE_COLUMNS, IMAGE_COLUMNS, OBJECT_COLUMNS, Row
from supcam.spread.schema import Document

OBJECTS, IMAGES, AREAS, DONE = "objects", "images", "areas", "done"
ANALYSIS = "analysis"
"""Documents as ``supcam schema analysis`` says, one a part."""
CASES, ERRORS = "cases.parquet", "errors.parquet"
ERROR_DOCUMENT = f"{ANALYSIS}/errors.json.gz"
_JSON = ".json.gz"
_TEXT = {"image", "type", "decision", "case", "error", "fingerprint", "part", "pixel_size_said_by"}
_ABOUT = b"supcam"
_AT_ONCE = 64
"""Files asked for together: a bucket answers many questions at once."""


def _schema(columns: Sequence[str]) -> pa.Schema:
    """Names are text, shares, lengths and the like floats (null where a table has a blank), else integers."""
    kinds = {
        name: pa.string() if name in _TEXT else pa.float64() if _is_float(name) else pa.int64()
        for name in columns
    }
    return pa.schema(list(kinds.items()))


def _is_float(name: str) -> bool:
    return name == "confidence" or name.startswith(("p_", "share_")) or name.endswith(("_um", "_um2"))


_SCHEMAS = {
    OBJECTS: _schema(OBJECT_COLUMNS),
    IMAGES: _schema(IMAGE_COLUMNS),
    AREAS: _schema(AREA_COLUMNS),
    DONE: _schema(("image", "fingerprint", "part", "error")),
    CASES: _schema(CASE_COLUMNS),
    ERRORS: _schema(("image", "error")),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of a picture: analysed where ``error`` is blank. ``part`` holds its rows."""

    image: str
    fingerprint: str
    error: str = ""
    part: str = ""


@dataclass(slots=True)
class Part:
    """The rows of a few pictures, on their way to the tables. ``about`` is said of the part as a whole.

    ``pictures`` are entries of the document; ``areas`` are those of pictures that say how large a pixel is.
    """

    name: str
    about: str
    objects: list[Row] = field(default_factory=list)
    images: list[Row] = field(default_factory=list)
    areas: list[Row] = field(default_factory=list)
    pictures: list[Document] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


def write_part(part: Part, *, folder: Folder) -> None:
    """Nothing; the part is in the folder, its entry last.

    Whoever writes the same part again gives its rows another name, and the entry tells whose rows count: a
    worker that is ended half way, or comes back late, leaves nothing that would be read twice. Raises
    ``SupcamError``.
    """
    name = f"{part.name}-{secrets.token_hex(4)}"
    for table, rows in ((OBJECTS, part.objects), (IMAGES, part.images), (AREAS, part.areas)):
        if rows or table != AREAS:
            folder.write(f"{table}/{name}.parquet", _packed(table, rows=rows, about=part.about))
    folder.write(f"{ANALYSIS}/{name}{_JSON}", _document(analysis_document(part.pictures)))
    entries: list[Row] = [
        {"image": each.image, "fingerprint": each.fingerprint, "part": name, "error": each.error}
        for each in part.entries
    ]
    folder.write(f"{DONE}/{part.name}.parquet", _packed(DONE, rows=entries, about=part.about))


def write_table(name: str, *, rows: Sequence[Row], folder: Folder, about: str) -> None:
    """Nothing; the table ``name`` (``CASES`` or ``ERRORS``) is in the folder, of a single file."""
    folder.write(name, _packed(name, rows=rows, about=about))


def write_failures(rows: Sequence[Row], *, folder: Folder, about: str) -> None:
    """Nothing; what failed is in the folder, as a table and as a document without pictures."""
    write_table(ERRORS, rows=rows, folder=folder, about=about)
    errors: list[Document] = [
        {"image": as_text(str(row["image"])), "error": as_text(str(row["error"]))} for row in rows
    ]
    folder.write(ERROR_DOCUMENT, _document(analysis_document([], errors=errors)))


def read_entries(folder: Folder) -> dict[str, list[Entry]]:
    """The entries by the files that hold them; a file that cannot be read has none."""
    names = folder.names(DONE)
    contents = folder.read(names)
    return {name: _entries(contents.get(name, b"")) for name in names}


def read_part(name: str, *, folder: Folder) -> list[Entry]:
    """The entries of a part; none when it is not done."""
    name = f"{DONE}/{name}.parquet"
    return [entry for content in folder.read([name]).values() for entry in _entries(content)]


def keep_only(wanted: Container[str], *, folder: Folder) -> set[str]:
    """The fingerprints of the pictures that need not be analysed again; all else is gone from the folder.

    A part stays when every picture in it that was analysed is still ``wanted`` and is in no other part.
    Pictures that failed are tried again.
    """
    always = [folder.names(OBJECTS), folder.names(IMAGES), folder.names(ANALYSIS, suffix=_JSON)]
    there = set.intersection(*({_stem(name) for name in names} for names in always))
    kept: set[str] = set()
    parts: set[str] = set()
    stale: list[str] = []
    for name, entries in read_entries(folder).items():
        fine = [entry.fingerprint for entry in entries if not entry.error]
        is_whole = {entry.part for entry in entries} <= there
        if fine and is_whole and all(each in wanted and each not in kept for each in fine):
            kept.update(fine)
            parts.update(entry.part for entry in entries)
        else:
            stale.append(name)
    folder.delete(stale)
    sweep(folder, parts=parts)
    return kept


def sweep(folder: Folder, *, parts: Container[str]) -> None:
    """Nothing; what belongs to none of ``parts`` is gone: a worker was ended before it entered it."""
    names = [name for table in (OBJECTS, IMAGES, AREAS) for name in folder.names(table)]
    names += folder.names(ANALYSIS, suffix=_JSON)
    folder.delete([each for each in names if _stem(each) not in parts])


def read_rows(table: str, *, folder: Folder, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of ``OBJECTS``, ``IMAGES`` or ``AREAS``, a few parts at a time. Raises ``SupcamError``."""
    names = folder.names(table)
    for at in range(0, len(names), _AT_ONCE):
        contents = folder.read(names[at : at + _AT_ONCE])
        for name in names[at : at + _AT_ONCE]:
            try:
                content = io.BytesIO(contents.get(name, b""))
                yield from _unpacked(content, columns=columns)
            except pa.ArrowInvalid as error:
                raise SupcamError(
                    f"a broken part {name} ({error})",
                    expected="a Parquet file",
                    remedy="delete it and start again: its pictures will be analysed anew",
                    where=folder.url,
                ) from error


def _packed(table: str, *, rows: Sequence[Row], about: str) -> bytes:
    schema = _SCHEMAS[table].with_metadata({_ABOUT: about.encode()})
    columns = [pa.array([_value(row[f.name], f.type) for row in rows], f.type) for f in schema]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), out, compression="zstd")
    return out.getvalue()


def _document(document: Document) -> bytes:
    """The document, compressed: the same bytes for the same document, whenever it is written."""
    return gzip.compress((json.dumps(document) + "\n").encode(), mtime=0)


def _unpacked(content: io.BytesIO, *, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of a file, read by this thread alone.

    ``pyarrow.parquet.read_table`` would scan it as a data set, whose threads now and then abort a process
    that is ending.
    """
    with pq.ParquetFile(content) as file:
        rows: list[dict[str, Any]] = file.read(columns=columns and [*columns], use_threads=False).to_pylist()
    return rows


def _value(value: str | float, kind: pa.DataType) -> str | int | float | None:
    if kind == pa.float64():
        return None if value == "" else float(value)
    if kind == pa.string():
        return as_text(str(value))
    return int(value)


def as_text(name: str) -> str:
    """``name`` with what cannot be said in UTF-8 (a byte of a file's name that is no text) as its code."""
    return name.encode(errors="backslashreplace").decode()


def _entries(content: bytes) -> list[Entry]:
    """The entries in a file; none where it is broken, as a store without whole writes may leave it."""
    try:
        return [Entry(**row) for row in _unpacked(io.BytesIO(content))]
    except (pa.ArrowInvalid, TypeError):
        return []


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]
