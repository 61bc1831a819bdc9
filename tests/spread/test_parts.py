"""Parts of tables: what counts, what is swept away, and what another worker may leave behind."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from supcam.core.types import PixelSize, SupcamError
from supcam.spread.parts import (
    ANALYSIS,
    AREAS,
    CASES,
    ERROR_DOCUMENT,
    ERRORS,
    IMAGES,
    OBJECTS,
    Entry,
    Part,
    as_text,
    keep_only,
    read_entries,
    read_part,
    read_rows,
    sweep,
    write_failures,
    write_part,
    write_table,
)
from supcam.spread.places import Folder, open_folder
from supcam.spread.rows import AREA_COLUMNS, IMAGE_COLUMNS, OBJECT_COLUMNS, Row, area_row, case_rows


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_folder(str(tmp_path / "out"))


def object_row(image: str, *, rejected: bool = False) -> Row:
    values = {"image": image, "type": "rejected" if rejected else "instance", "decision": "accept"}
    shares = {name: "" if rejected else "0.123457" for name in OBJECT_COLUMNS if name.startswith("p_")}
    row: Row = dict.fromkeys(OBJECT_COLUMNS, 1)
    return row | values | shares | {"confidence": "" if rejected else "0.9"}


def part(name: str, *images: str, failed: tuple[str, ...] = ()) -> Part:
    made = Part(name, about="{}")
    for image in images:
        made.objects += [object_row(image), object_row(image, rejected=True)]
        made.images.append({**dict.fromkeys(IMAGE_COLUMNS, 7), "image": image, "decision": "review"})
        made.pictures.append({"image": image})
    made.entries = [Entry(image, fingerprint=f"f-{image}") for image in images]
    made.entries += [Entry(image, fingerprint=f"f-{image}", error="bad") for image in failed]
    return made


def documents_in(folder: Folder) -> list[dict[str, list[dict[str, str]]]]:
    paths = sorted(Path(folder.root, ANALYSIS).iterdir())
    assert all(path.name.endswith(".json.gz") for path in paths)
    return [json.loads(gzip.decompress(path.read_bytes())) for path in paths]


def images_in(folder: Folder) -> list[str]:
    return sorted(row["image"] for row in read_rows(IMAGES, folder=folder, columns=["image"]))


def test_tables_have_the_columns_of_the_csv_and_typed_values(folder: Folder) -> None:
    write_part(part("p", "a"), folder=folder)
    objects = pq.read_table(f"{folder.root}/{OBJECTS}")
    assert tuple(objects.column_names) == OBJECT_COLUMNS
    assert tuple(pq.read_table(f"{folder.root}/{IMAGES}").column_names) == IMAGE_COLUMNS
    kept, rejected = objects.to_pylist()
    assert (kept["image"], kept["top"], kept["p_instance"], kept["confidence"]) == ("a", 1, 0.123457, 0.9)
    assert (rejected["type"], rejected["p_instance"], rejected["confidence"]) == ("rejected", None, None)
    assert objects.schema.metadata[b"supcam"] == b"{}"


def test_a_part_without_a_picture_that_could_be_read_is_a_part(folder: Folder) -> None:
    write_part(part("p", failed=("a",)), folder=folder)
    assert [(entry.image, entry.error) for entry in read_part("p", folder=folder)] == [("a", "bad")]
    assert images_in(folder) == []
    assert tuple(pq.read_table(f"{folder.root}/{OBJECTS}").column_names) == OBJECT_COLUMNS


def test_a_part_written_twice_counts_once(folder: Folder) -> None:
    write_part(part("p", "a", "b"), folder=folder)
    write_part(part("p", "a", "b"), folder=folder)
    assert images_in(folder) == ["a", "a", "b", "b"]
    sweep(folder, parts={entry.part for entry in read_part("p", folder=folder)})
    assert images_in(folder) == ["a", "b"]
    assert len(list(read_rows(OBJECTS, folder=folder, columns=["image"]))) == 4


def test_documents_are_swept_with_the_rows(folder: Folder) -> None:
    write_part(part("p", "a", "b"), folder=folder)
    write_part(part("p", "a", "b"), folder=folder)
    write_part(part("q", "c"), folder=folder)
    assert len(documents_in(folder)) == 3
    write_failures([{"image": "d\udcff", "error": "bad"}], folder=folder, about="{}")
    assert keep_only({"f-a", "f-b"}, folder=folder) == {"f-a", "f-b"}
    (document,) = documents_in(folder)
    assert document["pictures"] == [{"image": "a"}, {"image": "b"}]
    assert document["errors"] == []
    folder.delete(folder.names(ANALYSIS, suffix=".json.gz"))
    assert keep_only({"f-a", "f-b"}, folder=folder) == set()


def test_areas_are_there_only_where_a_picture_says_how_large_a_pixel_is(folder: Folder) -> None:
    write_part(part("p", "a"), folder=folder)
    assert not folder.names(AREAS)
    sized = part("q", "b")
    size = PixelSize(0.1, height_um=0.2, said_by="OME-XML")
    sized.areas = [area_row({**row, "area_px": 50}, size=size) for row in sized.objects]
    write_part(sized, folder=folder)
    areas = pq.read_table(f"{folder.root}/{AREAS}")
    assert tuple(areas.column_names) == AREA_COLUMNS
    row = areas.to_pylist()[0]
    assert (row["image"], row["area_px"], row["area_um2"]) == ("b", 50, 1.0)
    assert (row["pixel_width_um"], row["pixel_height_um"]) == (0.1, 0.2)
    assert row["pixel_size_said_by"] == "OME-XML"
    sweep(folder, parts=())
    assert not folder.names(AREAS)


def test_what_failed_is_a_table_and_a_document(folder: Folder) -> None:
    write_failures([{"image": "d\udcff", "error": "bad"}], folder=folder, about="{}")
    expected = [{"image": "d\\udcff", "error": "bad"}]
    assert pq.read_table(f"{folder.root}/{ERRORS}").to_pylist() == expected
    assert Path(folder.root, ERROR_DOCUMENT).is_file()
    (document,) = documents_in(folder)
    assert (document["pictures"], document["errors"]) == ([], expected)


def test_what_is_still_wanted_is_kept_and_all_else_is_gone(folder: Folder) -> None:
    write_part(part("fine", "a", failed=("x",)), folder=folder)
    write_part(part("stale", "b", "c"), folder=folder)
    write_part(part("bad", failed=("y",)), folder=folder)
    write_part(part("half", "d"), folder=folder)
    folder.delete([name for name in read_entries(folder) if name.endswith("half.parquet")])
    assert keep_only({"f-a", "f-b", "f-d", "f-x"}, folder=folder) == {"f-a"}
    assert images_in(folder) == ["a"]
    assert list(read_entries(folder)) == ["done/fine.parquet"]


def test_a_picture_in_two_parts_is_kept_in_one(folder: Folder) -> None:
    write_part(part("p1", "a", "b"), folder=folder)
    write_part(part("p2", "b", "c"), folder=folder)
    assert keep_only({"f-a", "f-b", "f-c"}, folder=folder) == {"f-a", "f-b"}
    assert images_in(folder) == ["a", "b"]


def test_rows_that_are_gone_or_an_entry_cut_off_are_made_anew(folder: Folder) -> None:
    write_part(part("p1", "a"), folder=folder)
    write_part(part("p2", "b"), folder=folder)
    folder.delete([name for name in folder.names(OBJECTS) if "p1" in name])
    whole = Path(folder.root, "done", "p2.parquet")
    whole.write_bytes(whole.read_bytes()[:50])
    assert keep_only({"f-a", "f-b"}, folder=folder) == set()
    assert images_in(folder) == []
    assert read_entries(folder) == {}


def test_a_broken_part_is_told(folder: Folder) -> None:
    folder.write(f"{IMAGES}/p.parquet", b"no table")
    with pytest.raises(SupcamError, match=r"p\.parquet"):
        images_in(folder)


def test_tables_of_a_single_file(folder: Folder) -> None:
    write_table(CASES, rows=case_rows([]), folder=folder, about="{}")
    assert pq.read_table(f"{folder.root}/{CASES}").num_rows == 0


def test_names_that_are_no_text_are_written_as_their_codes() -> None:
    assert as_text("a\udcff.png") == "a\\udcff.png"


def test_parts_are_read_without_the_scanner_of_data_sets(folder: Folder) -> None:
    """Its threads may abort the process at its end."""
    write_part(part("p", "a"), folder=folder)
    program = (
        "import sys\n"
        "from supcam.spread.parts import IMAGES, read_entries, read_rows\n"
        "from supcam.spread.places import open_folder\n"
        "folder = open_folder(sys.argv[1])\n"
        "assert [*read_rows(IMAGES, folder=folder, columns=['image'])] == [{'image': 'a'}]\n"
        "assert [entry.image for entry, in read_entries(folder).values()] == ['a']\n"
        "assert 'pyarrow.dataset' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder.url], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
