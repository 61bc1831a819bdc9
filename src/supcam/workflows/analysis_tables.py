"""The records of analysed pictures -> tables over all of them, COCO, and the page that lists them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from supcam.core.disk import write_whole
from supcam.core.types import PixelSize, SupcamError
from supcam.spread.coco import coco_image, finish_table
from supcam.spread.document import analysis_document, picture_entry
from supcam.spread.index import Listing, index_page
from supcam.spread.outputs import CROPS, RECORDS, REPORT, Task, crop_place
from supcam.spread.rows import (
    AREA_COLUMNS,
    CASE_COLUMNS,
    IMAGE_COLUMNS,
    OBJECT_COLUMNS,
    Counted,
    Row,
    area_row,
    case_rows,
)
from supcam.workflows.tables import CsvTable
from supcam.workflows.whole_file import WholeFile, unwritable

Record = Mapping[str, Any]

OBJECTS, IMAGES, CASES, COCO, ERRORS = "objects.csv", "images.csv", "cases.csv", "coco.json", "errors.csv"
ANALYSIS = "analysis.json"
AREAS = "areas.csv"
_ERROR_COLUMNS = ("image", "error")
_CROP_COLUMNS = ("path", "case", "type", "n_chromosomes")


def read_record(task: Task) -> Record:
    """What was written about a picture. Raises ``SupcamError`` when it is gone again."""
    path = task.output / RECORDS / f"{task.stem}.json"
    try:
        record: Record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SupcamError(
            str(error),
            expected="the record of a picture that was just analysed",
            remedy="let one run at a time write to a folder, and start again",
            where=path,
        ) from error
    return record


def write_tables(
    records: Sequence[Record],
    *,
    failures: Sequence[tuple[str, str]],
    expected: int | None,
    output: Path,
) -> None:
    """The tables and the list of pictures in ``output``, all of them whole.

    ``errors.csv`` is there only when something failed, ``crops/labels.csv`` only when crops were cut,
    ``areas.csv`` only when a picture says how large its pixels are. Raises ``SupcamError`` when the folder
    does not let them be written.
    """
    cases = case_rows(_counted(record) for record in records)
    tables: dict[str, tuple[tuple[str, ...], Iterator[Row]]] = {
        OBJECTS: (OBJECT_COLUMNS, (row for record in records for row in record["objects"])),
        IMAGES: (IMAGE_COLUMNS, (record["image"] for record in records)),
        CASES: (CASE_COLUMNS, iter(cases)),
    }
    if failures:
        tables[ERRORS] = (_ERROR_COLUMNS, ({"image": name, "error": why} for name, why in failures))
    sized = [record for record in records if record.get("pixel_size")]
    if sized:
        tables[AREAS] = (AREA_COLUMNS, _area_rows(sized))
    if (output / CROPS).is_dir():
        tables[f"{CROPS}/labels.csv"] = (_CROP_COLUMNS, _crop_rows(records, output=output))
    with ExitStack() as stack:
        files = [stack.enter_context(WholeFile(output / name)) for name in tables]
        for file, (columns, rows) in zip(files, tables.values(), strict=True):
            table = CsvTable(file, columns=columns)
            for row in rows:
                table.add(tuple(row[column] for column in columns))
        document = _document(records, failures=failures, output=output)
        for name, values in {COCO: _coco(records), ANALYSIS: document}.items():
            files.append(stack.enter_context(WholeFile(output / name)))
            files[-1].write(json.dumps(values) + "\n")
        for file in files:
            file.sync()
        for file in files:
            file.keep()
    _write_index(Listing(records, cases=cases, failures=failures, expected=expected), output=output)
    for name in {ERRORS, AREAS} - tables.keys():
        (output / name).unlink(missing_ok=True)  # of an earlier run


def _counted(record: Record) -> Counted:
    image = record["image"]
    return Counted(
        case=record["case"], n_chromosomes=image["n_chromosomes"], to_review=image["decision"] == "review"
    )


def _document(
    records: Sequence[Record], *, failures: Sequence[tuple[str, str]], output: Path
) -> dict[str, object]:
    """All of it for programs in other languages, as ``supcam schema analysis`` says."""
    pictures = [picture_entry(record, output=output) for record in records]
    return analysis_document(pictures, errors=[{"image": name, "error": why} for name, why in failures])


def _coco(records: Sequence[Record]) -> dict[str, object]:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, record in enumerate(records, start=1):
        image = record["image"]
        size = (int(image["height"]), int(image["width"]))
        images.append(coco_image(image["image"], size=size, image_id=image_id))
        annotations += [item | {"image_id": image_id} for item in record["coco"]]
    return finish_table(images, annotations)


def _crop_rows(records: Sequence[Record], *, output: Path) -> Iterator[Row]:
    """The crops as a manifest: the model's reading, to be checked before anything learns from it."""
    for record in records:
        for row in record["objects"]:
            place = crop_place(row["type"], stem=record["stem"], object_id=row["object_id"])
            if (output / place).is_file():
                yield {
                    "path": place.removeprefix(f"{CROPS}/"),
                    "case": record["case"],
                    "type": row["type"],
                    "n_chromosomes": row["n_chromosomes"],
                }


def _area_rows(records: Sequence[Record]) -> Iterator[Row]:
    for record in records:
        size = PixelSize(**record["pixel_size"])
        yield from (area_row(row, size=size) for row in record["objects"])


def _write_index(listing: Listing, *, output: Path) -> None:
    try:
        write_whole(output / REPORT / "index.html", [index_page(listing).encode()])
    except OSError as error:
        raise unwritable(output / REPORT, error, expected="a folder with room") from error
