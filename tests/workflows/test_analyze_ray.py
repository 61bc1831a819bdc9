"""Analysing on a real cluster of two workers: the same numbers, every picture once, whoever is killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import fsspec
import pyarrow.parquet as pq
import pytest
import ray
import tifffile
from tests.commands import run_without
from tests.csv_rows import rows_of
from tests.drawn_spreads import tiny_spread_model, write_spread
from tests.ray_here import analyze_parts_here, no_ray

from supcam.core.config import ImageConfig
from supcam.core.types import ConfigError, SupcamError
from supcam.data.files import Unreadable
from supcam.spread.parts import Part
from supcam.spread.rows import OBJECT_COLUMNS
from supcam.spread.scale import ENDED
from supcam.spread.scale_ray import LOCAL, Analyst, Wanted, analyze_parts, cluster
from supcam.workflows import analyze_ray as module
from supcam.workflows.analyze import AnalyzePlan, analyze
from supcam.workflows.analyze_ray import RayPlan, RaySummary, analyze_on_ray
from supcam.workflows.classify import Listener

WAIT_S = 120
Row = dict[str, Any]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_spread_model(folder)
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two workers on this machine, shut down at the end."""
    with cluster(LOCAL, n_workers=2):
        yield str(ray.get_runtime_context().gcs_address)
    assert not ray.is_initialized()


@pytest.fixture
def plan(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RayPlan:
    """Sixteen pictures of two cases, two of which are none, and an output beside them.

    One of them says how large its pixels are.
    """
    first = [write_spread(tmp_path / "in" / "c1" / f"{seed}.png", seed=seed) for seed in range(4)]
    for number in range(10):
        copy = tmp_path / "in" / "c2" / f"{number}.png"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(first[number % 4].read_bytes())
    grey = cv2.imread(str(copy), cv2.IMREAD_GRAYSCALE)
    copy.unlink()
    tifffile.imwrite(
        copy.with_suffix(".tif"), grey, resolution=(1e5, 5e4), resolutionunit="CENTIMETER", metadata=None
    )
    (tmp_path / "in" / "c1" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "in" / "c2" / "empty.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    work = AnalyzePlan(("in",), output=tmp_path / "csv", model=bundle, cases="parent", processes=2)
    work = replace(work, image=ImageConfig(max_megapixels=400))
    return RayPlan(work, output=str(tmp_path / "out"))


def with_(plan: RayPlan, **changes: object) -> RayPlan:
    return replace(plan, work=replace(plan.work, **cast("dict[str, Any]", changes)))


def table(plan: RayPlan, name: str) -> list[Row]:
    rows: list[Row] = pq.read_table(f"{plan.output}/{name}").to_pylist()
    return rows


def as_csv(row: Row) -> dict[str, str]:
    """The row as ``objects.csv`` writes it."""
    return {
        name: "" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)
        for name, value in row.items()
    }


def in_order(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: (row["image"], int(row.get("object_id", 0))))


def documents(plan: RayPlan) -> dict[str, list[dict[str, Any]]]:
    """The pictures and errors in all documents, sorted by the names of pictures."""
    read = [
        json.loads(gzip.decompress(path.read_bytes()))
        for path in Path(plan.output, "analysis").glob("*.json.gz")
    ]
    return {
        key: sorted((item for each in read for item in each[key]), key=lambda item: str(item["image"]))
        for key in ("pictures", "errors")
    }


def assert_same_documents(plan: RayPlan) -> None:
    """Picture by picture they say what ``analysis.json`` says; there are no files to name."""
    expected = json.loads((plan.work.output / "analysis.json").read_text())
    for picture in expected["pictures"]:
        picture["labels"] = None
    for key, items in documents(plan).items():
        assert items == sorted(expected[key], key=lambda item: str(item["image"]))
    areas = [{key: str(value) for key, value in row.items()} for row in table(plan, "areas")]
    numbers = ("area_um2", "pixel_width_um", "pixel_height_um")
    csv = [
        row | {key: str(float(row[key])) for key in numbers}
        for row in rows_of(plan.work.output / "areas.csv")
    ]
    assert in_order(areas) == in_order(csv)


def assert_same_as_processes(plan: RayPlan) -> None:
    """Tables and documents are those of the other engine, one process, row by row."""
    analyze(replace(plan.work, processes=1))
    for name in ("objects", "images"):
        expected = rows_of(plan.work.output / f"{name}.csv")
        assert in_order([as_csv(row) for row in table(plan, name)]) == in_order(expected)
    assert [as_csv(row)["case"] for row in table(plan, "cases.parquet")] == [
        row["case"] for row in rows_of(plan.work.output / "cases.csv")
    ]
    failed = Path(plan.output, "errors.parquet").exists()
    assert failed is (plan.work.output / "errors.csv").exists()
    if failed:
        assert table(plan, "errors.parquet") == rows_of(plan.work.output / "errors.csv")
    assert_same_documents(plan)


def parts(plan: RayPlan, name: str = "done") -> dict[str, int]:
    folder = Path(plan.output, name)
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def worker_pids() -> list[int]:
    """The processes of this cluster that analyse: grandchildren of this one, by the title Ray gives them."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    own = {pid for pid, parent, _ in rows if parent == str(os.getpid())}
    return [int(pid) for pid, parent, title in rows if "ray::MapWorker" in title and parent in own]


def slow_worker() -> type[Analyst]:
    """A worker that has not done everything before anybody can kill it."""

    class Slow(Analyst):
        def _analyze(self, wanted: Wanted, *, part: Part) -> str:
            time.sleep(0.3)
            return super()._analyze(wanted, part=part)

    return Slow


@pytest.mark.slow
def test_a_killed_worker_loses_no_picture_and_repeats_none(
    plan: RayPlan, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is killed from outside when the first part is done, with most parts still to do."""
    monkeypatch.setattr(module, "analyze_parts", partial(analyze_parts, worker=slow_worker()))
    told: list[Unreadable] = []
    advanced: list[int] = []
    killed: list[int] = []

    def kill_one(count: int) -> None:
        advanced.append(count)
        if not killed and parts(plan):
            killed.append(worker_pids()[0])
            os.kill(killed[0], signal.SIGKILL)
            assert len(parts(plan)) < 17

    named = with_(plan, named=("in", "none.png", "empty-folder"))
    Path("empty-folder").mkdir()
    summary = analyze_on_ray(named, listener=Listener(failed=told.append, advanced=kill_one))
    assert killed
    assert_same_as_processes(named)
    done = [row["image"] for row in table(plan, "done")]
    assert len(done) == len(set(done)) == 17 == sum(advanced)
    assert tuple(pq.read_table(f"{plan.output}/objects").column_names) == OBJECT_COLUMNS
    assert sorted(item.name for item in told) == [
        "empty-folder", "in/c1/bad.png", "in/c2/empty.png", "none.png",
    ]  # fmt: skip
    assert (summary.n_pictures, summary.n_before, len(summary.failures)) == (14, 0, 4)
    assert "4 failed" in summary.told()


def killed_at(*, once: str, always: str, marker: Path) -> type[Analyst]:
    """A worker that is killed amid a picture: the first time at ``once``, every time at ``always``."""

    class Deadly(Analyst):
        def _analyze(self, wanted: Wanted, *, part: Part) -> str:
            answer = super()._analyze(wanted, part=part)
            is_first = wanted.image == once and not marker.exists()
            if is_first or wanted.image == always:
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

    return Deadly


@pytest.mark.slow
def test_only_a_picture_that_ends_every_worker_is_given_up(
    plan: RayPlan, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = killed_at(once="in/c1/3.png", always="in/c1/2.png", marker=tmp_path / "marker")
    monkeypatch.setattr(module, "analyze_parts", partial(analyze_parts, worker=worker))
    told: dict[str, str] = {}
    listener = Listener(failed=lambda item: told.update({item.name: item.reason}))
    analyze_on_ray(with_(plan, named=("in/c1",)), listener=listener)
    assert (tmp_path / "marker").exists()
    assert told.pop("in/c1/2.png") == ENDED
    assert list(told) == ["in/c1/bad.png"]
    assert sorted(row["image"] for row in table(plan, "images")) == [
        "in/c1/0.png", "in/c1/1.png", "in/c1/3.png",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_leaves_what_is_written(plan: RayPlan, address: str) -> None:
    """The command itself is killed, at the address of the cluster; then pictures change and go."""
    command = [sys.executable, "-m", "supcam", "analyze", "in", "--output", plan.output, "--cases", "parent"]
    command += ["--model", str(plan.work.model), "--engine", "ray", "--ray-address", address]
    source = str(Path(module.__file__).parents[2])
    run = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": source})
    until = time.monotonic() + WAIT_S
    while not parts(plan) and time.monotonic() < until and run.poll() is None:
        time.sleep(0.02)
    run.kill()
    _, errors = run.communicate()
    before = parts(plan)
    assert before, errors
    assert not Path(plan.output, "cases.parquet").exists()
    Path("in/c1/bad.png").unlink()
    Path("in/c2/empty.png").unlink()
    assert analyze_on_ray(plan).n_before > 0
    assert_same_as_processes(plan)
    there = parts(plan)
    assert all(there[name] == time for name, time in before.items() if name in there)
    write_spread(Path("in/c1/1.png"), seed=9)
    Path("in/c1/0.png").unlink()
    assert analyze_on_ray(plan).n_before == 12
    assert_same_as_processes(plan)


@pytest.mark.slow
def test_a_run_that_is_broken_off_leaves_no_worker(plan: RayPlan, address: str) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    started = Listener(advanced=lambda count: stop(count) if count and parts(plan) else None)
    with pytest.raises(KeyboardInterrupt):
        analyze_on_ray(plan, listener=started)
    until = time.monotonic() + WAIT_S
    while worker_pids() and time.monotonic() < until:
        time.sleep(0.1)
    assert not worker_pids()


@pytest.mark.slow
def test_urls_and_pseudonyms(plan: RayPlan, address: str, tmp_path: Path) -> None:
    """Pictures in this process' memory reach the workers; no name of a file or case is told."""
    root = f"memory://{tmp_path.name}-Jane-Doe"
    system = fsspec.filesystem("memory")
    for number in range(3):
        system.put_file(f"in/c1/{number}.png", f"/{tmp_path.name}-Jane-Doe/{number}.png")
    far = with_(plan, named=(root, f"{root}/none.png"), pseudonymise=True)
    summary = analyze_on_ray(far)
    assert (summary.n_pictures, len(summary.failures)) == (3, 1)
    analyze(replace(plan.work, named=("in/c1/0.png", "in/c1/1.png", "in/c1/2.png"), pseudonymise=True))
    expected = rows_of(plan.work.output / "objects.csv")
    assert in_order([as_csv(row) for row in table(far, "objects")]) == in_order(expected)
    assert table(far, "errors.parquet")[0]["image"] == "picture-004"
    for path in Path(plan.output).rglob("*.parquet"):
        assert "Jane" not in str(pq.read_table(path).to_pylist())


# ---- without a cluster


def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on anything."""

    def nothing(*_: object, **__: object) -> Iterator[object]:
        yield from ()

    monkeypatch.setattr(module, "analyze_parts", nothing)
    monkeypatch.setattr(module, "cluster", lambda *_, **__: nullcontext(2))


def test_documents_and_areas_follow_pictures_and_cases(
    plan: RayPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single worker in this process: what is still right is kept, and all of it is the other engine's."""
    no_ray(monkeypatch)
    no_cluster(monkeypatch)
    monkeypatch.setattr(module, "analyze_parts", analyze_parts_here)
    few = with_(plan, named=("in/c1", "in/c2/9.tif"))
    assert analyze_on_ray(few).n_before == 0
    assert_same_as_processes(few)
    assert {each["case"] for each in documents(few)["pictures"]} == {"c1", "c2"}
    assert [item["image"] for item in documents(few)["errors"]] == ["in/c1/bad.png"]
    Path("in/c1/bad.png").unlink()
    Path("in/c1/0.png").unlink()
    assert analyze_on_ray(few).n_before == 4
    assert_same_as_processes(few)
    assert documents(few)["errors"] == []
    assert analyze_on_ray(with_(few, cases="stem")).n_before == 0
    assert {each["case"] for each in documents(few)["pictures"]} == {"1", "2", "3", "9"}


def test_pictures_for_people_are_refused(plan: RayPlan) -> None:
    with pytest.raises(ConfigError, match="--crops"):
        analyze_on_ray(with_(plan, crops=True))
    with pytest.raises(ConfigError, match="--expected-count"):
        analyze_on_ray(with_(plan, expected=46))


def test_a_picture_without_a_row_is_found_out(plan: RayPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    no_cluster(monkeypatch)
    with pytest.raises(SupcamError, match="16 pictures without a row"):
        analyze_on_ray(plan)


def test_without_a_picture_that_can_be_read_no_cluster_is_asked_for(plan: RayPlan, tmp_path: Path) -> None:
    (tmp_path / "closed").write_text("")
    nothing = replace(with_(plan, named=("in/*.bmp", "closed/x/*.png")), address="10.255.255.1:1")
    with pytest.raises(SupcamError, match="no picture in"):
        analyze_on_ray(nothing)


def test_a_summary_is_one_line() -> None:
    summary = RaySummary(
        n_pictures=1,
        n_before=1,
        n_chromosomes=46,
        n_to_review=0,
        failures=(),
        model_name="m 1",
        output="s3://b/o",
    )
    assert summary.told() == (
        "1 picture analysed by m 1 -> s3://b/o; 1 of them by an earlier run; "
        "46 chromosomes, 0 of the pictures to review"
    )


def test_without_ray_the_extra_is_named(plan: RayPlan) -> None:
    done = run_without("ray", "analyze", "in", "--output", "out", "--engine", "ray")
    assert done.returncode == 2
    assert 'pip install "supcam[scale]"' in done.stderr
