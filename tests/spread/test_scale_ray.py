"""What a worker does with a part, and what is agreed on between workers; a cluster is in the workflow."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import ray
import tifffile
from ray.exceptions import RayError
from tests.drawn_spreads import tiny_spread_model, write_spread
from tests.ray_here import Handle, no_ray

import supcam
from supcam.core.config import ImageConfig
from supcam.core.types import SupcamError
from supcam.pack.terms import Terms
from supcam.spread import scale_ray as module
from supcam.spread.analyze import analyze
from supcam.spread.parts import ANALYSIS, AREAS, IMAGES, OBJECTS, read_entries, read_part, read_rows
from supcam.spread.places import local_place, open_folder
from supcam.spread.scale import ENDED
from supcam.spread.scale_ray import Analyst, Foreman, Job, Wanted, cluster


@pytest.fixture(autouse=True)
def answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    no_ray(monkeypatch)


@pytest.fixture
def foreman(tmp_path: Path) -> Foreman:
    tiny_spread_model(tmp_path / "tiny")
    return Foreman(module._packed(tmp_path / "tiny"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        str(tmp_path / "out"), image=ImageConfig(), about="{}", version=supcam.__version__, terms=Terms()
    )


@pytest.fixture
def part(tmp_path: Path) -> list[Wanted]:
    """A picture, and a file that is none."""
    paths = [write_spread(tmp_path / "a.png"), tmp_path / "b.png"]
    paths[1].write_bytes(b"no picture")
    return [Wanted(path.name, fingerprint=path.name, place=local_place(str(path))) for path in paths]


def told(analyst: Analyst, part: list[Wanted]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = analyst(module._rows(part)).to_pylist()
    return rows


def test_a_part_is_written_and_told(foreman: Foreman, job: Job, part: list[Wanted]) -> None:
    good, bad = told(Analyst(job, Handle(foreman)), part)
    assert good == {"image": "a.png", "error": "", "is_fatal": False}
    assert bad["image"] == "b.png"
    assert "found text" in bad["error"]
    folder = open_folder(job.output)
    assert [row["image"] for row in read_rows(IMAGES, folder=folder, columns=["image"])] == ["a.png"]


def test_a_picture_gives_its_areas_and_its_entry_of_the_document(
    foreman: Foreman, job: Job, part: list[Wanted], tmp_path: Path
) -> None:
    sized = tmp_path / "c.tif"
    grey = cv2.imread(part[0].place.url, cv2.IMREAD_GRAYSCALE)
    tifffile.imwrite(sized, grey, resolution=(100_000, 50_000), resolutionunit="CENTIMETER", metadata=None)
    wanted = Wanted("c.tif", fingerprint="c", place=local_place(str(sized)), case="K1")
    analyst = Analyst(job, Handle(foreman))
    told(analyst, [part[0], wanted])
    folder = open_folder(job.output)
    areas = list(read_rows(AREAS, folder=folder, columns=["image", "area_px", "area_um2"]))
    objects = list(read_rows(OBJECTS, folder=folder, columns=["image", "area_px"]))
    assert [row["image"] for row in areas] == [row["image"] for row in objects if row["image"] == "c.tif"]
    assert len(areas) > 3
    assert all(row["area_um2"] == pytest.approx(row["area_px"] * 0.02, abs=1e-3) for row in areas)
    (path,) = Path(job.output, ANALYSIS).iterdir()
    document = json.loads(gzip.decompress(path.read_bytes()))
    expected = json.loads(json.dumps(analyze(part[0].place.url, model=analyst._model).to_json()))
    assert document["schema"] == expected["schema"]
    first, second = document["pictures"]
    same = {"image": "a.png", "case": ""}
    assert first | same == expected["pictures"][0] | same
    assert (second["image"], second["case"]) == ("c.tif", "K1")


def test_a_part_that_is_done_is_not_analysed_again(foreman: Foreman, job: Job, part: list[Wanted]) -> None:
    first = told(Analyst(job, Handle(foreman)), part)
    Path(part[0].place.url).unlink()
    assert told(Analyst(job, Handle(foreman)), part) == first
    assert len(read_entries(open_folder(job.output))) == 1


def test_a_picture_at_which_workers_were_ended_is_given_up(
    foreman: Foreman, job: Job, part: list[Wanted]
) -> None:
    for _ in range(module._TRIES):
        foreman.begins(part[0].place.url)
    given_up, bad = told(Analyst(job, Handle(foreman)), part)
    assert given_up["error"] == ENDED
    assert "found text" in bad["error"]
    entries = read_part(module._part_name(part), folder=open_folder(job.output))
    assert [entry.error for entry in entries] == [ENDED, bad["error"]]


def test_an_answer_clears_a_picture() -> None:
    foreman = Foreman({})
    assert [foreman.begins("a"), foreman.begins("a"), foreman.begins("b")] == [1, 2, 1]
    foreman.ends("a")
    assert foreman.begins("a") == 1


def test_an_output_that_cannot_be_written_to_stops_the_run(
    foreman: Foreman, job: Job, part: list[Wanted]
) -> None:
    Path(job.output).write_text("")
    (row,) = told(Analyst(job, Handle(foreman)), part)
    assert row["is_fatal"]
    assert "cannot be used" in row["error"]


def test_a_worker_of_another_version_refuses(foreman: Foreman, job: Job, part: list[Wanted]) -> None:
    (row,) = told(Analyst(replace(job, version="0.0.0"), Handle(foreman)), part)
    assert row["is_fatal"]
    assert "same version" in row["error"]


def test_names_that_are_no_text_reach_the_worker(
    foreman: Foreman, job: Job, part: list[Wanted], tmp_path: Path
) -> None:
    odd = tmp_path / "odd\udcff.png"
    Path(part[0].place.url).rename(odd)
    (row,) = told(Analyst(job, Handle(foreman)), [replace(part[0], place=local_place(str(odd)))])
    assert row["error"] == ""


@pytest.mark.parametrize(
    ("n", "workers", "sizes"),
    [(1, 2, {1}), (7, 2, {1}), (100, 2, {12, 4}), (10_000, 4, {128, 16})],
)
def test_parts_hold_every_picture_once(part: list[Wanted], *, n: int, workers: int, sizes: set[int]) -> None:
    many = [replace(part[0], fingerprint=str(number)) for number in range(n)]
    parts = module._split(many, n_workers=workers)
    assert [each for one in parts for each in one] == many
    assert {len(each) for each in parts} == sizes
    assert len({module._part_name(each) for each in parts}) == len(parts)


def test_an_address_without_a_cluster_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(SupcamError, match="nobody there"), cluster("auto", n_workers=2):
        pass
    for address in ("127.0.0.1:9", "no-port:x", "ray://127.0.0.1:9"):
        with pytest.raises(SupcamError, match="that no cluster answers"), cluster(address, n_workers=2):
            pass


def test_an_error_of_ray_itself_is_told_in_a_line() -> None:
    error = module._unable(RayError("The actor died.\nfor want of memory"))
    assert "(for want of memory)" in str(error)
    assert "can go on" in str(error)
