from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.service import (
    free_port,
    picture_bytes,
    post_pictures,
    read_all,
    served,
    service_config,
    serving,
    wait_until,
    workers_of,
)

from supcam.pack.bundle import Model
from supcam.web import workers as module
from supcam.web.client import Client
from supcam.web.config import Limits, ServiceConfig
from supcam.web.database import open_database
from supcam.web.jobs import claim, submit
from supcam.web.store import Upload
from supcam.web.tables import AnalysisRow, Job, PredictionRow
from supcam.web.vault import Vault
from supcam.web.workers import Keeper, Worker


def states(config: ServiceConfig) -> list[str]:
    database = open_database(config.database_url, upgrade=False)
    with database.reading() as session:
        found = list(session.scalars(select(Job.state)))
    database.close()
    return found


def stored_once(config: ServiceConfig) -> bool:
    """One analysis for each job, and each object of it once."""
    database = open_database(config.database_url, upgrade=False)
    with database.reading() as session:
        n_jobs = session.scalar(select(func.count()).select_from(Job))
        n_analyses = session.scalar(select(func.count()).select_from(AnalysisRow))
        twice = select(PredictionRow.object_id).group_by(PredictionRow.object_id).having(func.count() > 1)
        is_once = n_jobs == n_analyses and session.scalar(twice) is None
    database.close()
    return is_once


def write_pictures(folder: Path, n: int) -> list[Path]:
    paths = [folder / f"spread-{seed}.png" for seed in range(n)]
    for seed, path in enumerate(paths):
        path.write_bytes(picture_bytes(seed % 3))
    return paths


def test_killed_without_warning_nothing_accepted_is_lost_or_done_twice(
    tmp_path: Path, model_folder: Path, database_url: str
) -> None:
    """A worker is killed, then the server; two servers go on together. Each picture is a case of its own."""
    config = service_config(tmp_path, model=model_folder, url=database_url, port=free_port(), workers=1)
    other = config.model_copy(update={"port": free_port()})
    paths, extra = write_pictures(tmp_path, 8), ("--config", str(settings(tmp_path)))
    with served(config, extra=extra) as process:
        assert hand_in(config, paths) == len(paths)
        wait_until(lambda: "running" in states(config) or "done" in states(config))
        for pid in workers_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        assert hand_in(config, paths) == 0
        wait_until(lambda: "done" in states(config))
        process.kill()
        process.wait()
    with served(config, extra=extra), served(other, extra=extra):
        assert hand_in(other, paths) == 0
        wait_until(lambda: set(states(config)) == {"done"})
        assert hand_in(config, paths) == 0
    assert states(config) == ["done"] * len(paths)
    assert stored_once(config)


def hand_in(config: ServiceConfig, paths: list[Path]) -> int:
    """The number of jobs that are new."""
    with Client(f"http://127.0.0.1:{config.port}") as client:
        return sum(client.submit([path], case=f"K-{n}").n_new for n, path in enumerate(paths))


def settings(folder: Path) -> Path:
    path = folder / "settings.toml"
    path.write_text("lease_s = 2.0\n")
    return path


def test_a_bad_picture_fails_with_its_reason_and_stops_nothing(tmp_path: Path, model_folder: Path) -> None:
    config = service_config(tmp_path, model=model_folder)
    with serving(config) as client:
        bad = b"\x89PNG\r\n\x1a\n" + b"nothing"
        post_pictures(client, bad, picture_bytes(0))
        assert read_all(config) == 2
        first, second = client.get("/api/v1/jobs").json()["items"]
        by_state = {job["state"]: job for job in (first, second)}
    assert set(by_state) == {"failed", "done"}
    assert "damaged" in by_state["failed"]["reason"]
    assert str(tmp_path) not in by_state["failed"]["reason"]


def test_a_full_disk_costs_no_job(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = service_config(tmp_path, model=model_folder)

    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    with serving(config) as client:
        post_pictures(client, picture_bytes(0))
        with monkeypatch.context() as patch:
            patch.setattr(module, "record_of", full)
            patch.setattr(module, "_TROUBLE_S", 0.0)
            worker = Worker(config, name="here")
            assert worker.work_once()
            worker.database.close()
        assert client.get("/api/v1/jobs").json()["items"][0]["state"] == "queued"
        assert read_all(config) == 1
        assert client.get("/api/v1/jobs").json()["items"][0]["state"] == "done"


def test_a_picture_that_takes_too_long_is_given_up(tmp_path: Path, model_folder: Path, model: Model) -> None:
    """The worker here only holds the job; the keeper sees that it does so for too long."""
    limits = Limits(job_s=0.5)
    config = service_config(tmp_path, model=model_folder, workers=1, limits=limits)
    config.data.mkdir()
    database = open_database(config.database_url)
    keeper = Keeper(config, database=database)
    keeper.start()
    wait_until(lambda: len(keeper.pids) == 1)
    (name,) = keeper._crew
    vault = Vault(config.vault)
    os.kill(keeper.pids[0], signal.SIGSTOP)
    upload = Upload("metaphase", sha256=vault.put(picture_bytes(0)), n_bytes=1, case="", name="")
    submit(database, [upload], model_seal=model.card.seal, limit=9, actor="ann")
    worker = Worker(config, name=name)
    assert claim(database, worker._terms)
    wait_until(lambda: states(config) == ["failed"])
    keeper.stop()
    database.close()
    worker.database.close()
    assert keeper.n_lost == 1
