from __future__ import annotations

import itertools
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.hostile import BROKEN, FILES, HARMLESS, NAMES, STRANGERS, corpus
from tests.measured import resident_bytes
from tests.postgres import Postgres, postgres
from tests.service import (
    free_port,
    log_of,
    picture_bytes,
    post_pictures,
    read_all,
    served,
    serving,
    wait_until,
    workers_of,
)
from tests.service import service_config as settings_of
from tests.soak.crops import endure
from tests.soak.faults import fill_disk, leave, small_disk, stop_database
from tests.soak.load import measure, too_much

from supcam.core.types import ConfigError, SupcamError
from supcam.web.client import Client
from supcam.web.config import ServiceConfig
from supcam.web.serving import opened, purge_now, service_config
from supcam.web.tokens import create_token, list_tokens
from supcam.web.vault import Vault


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A PostgreSQL that may be stopped."""
    with postgres() as cluster:
        yield cluster


def test_a_file_adds_what_the_command_line_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("lease_s = 5.0\n[limits]\nqueue = 7\n")
    config = service_config({"port": 9}, toml=path)
    assert (config.port, config.lease_s, config.limits.queue) == (9, 5.0, 7)
    with pytest.raises(ConfigError, match="lease_s in the file"):
        service_config({"lease_s": 1.0}, toml=path)
    path.write_text("quue = 7\n")
    with pytest.raises(ConfigError, match="quue"):
        service_config({}, toml=path)


def test_a_store_is_opened_for_a_moment(tmp_path: Path) -> None:
    with opened(data=tmp_path / "data", database="") as store:
        create_token(store, name="ann", role="reader", actor="terminal")
    with opened(data=tmp_path / "data", database="") as store:
        assert len(list_tokens(store)) == 1


def test_a_purge_says_what_it_did(tmp_path: Path) -> None:
    Vault(tmp_path / "vault").put(picture_bytes(0))
    told = purge_now(case=None, older_than_days=0.0, data=tmp_path, database="")
    assert told == "0 pictures purged, 0 files removed; 0 decisions stay"
    with pytest.raises(SupcamError, match="one of them"):
        purge_now(case="a", older_than_days=1.0, data=tmp_path, database="")


def test_a_backup_is_restored_by_putting_it_back(tmp_path: Path, model_folder: Path) -> None:
    """Rows by SQLite's own backup while the service runs, then the files, as docs/service.md says."""
    config = settings_of(tmp_path / "first", model=model_folder)
    with serving(config) as client:
        post_pictures(client, picture_bytes(0), case="K-1")
        read_all(config)
        item = client.get("/api/v1/objects").json()["items"][0]
        client.post(f"/api/v1/objects/{item['id']}/decisions", json={"type": "instance"})
        post_pictures(client, picture_bytes(1), case="K-2")
        expected = client.get("/api/v1/export/objects.csv").text
        (tmp_path / "again" / "data").mkdir(parents=True)
        with (
            closing(sqlite3.connect(config.data / "supcam.sqlite")) as rows,
            closing(sqlite3.connect(tmp_path / "again" / "data" / "supcam.sqlite")) as copy,
        ):
            rows.backup(copy)
        shutil.copytree(config.vault, tmp_path / "again" / "data" / "vault")
    restored = settings_of(tmp_path / "again", model=model_folder)
    with serving(restored) as client:
        assert client.get("/api/v1/export/objects.csv").text == expected
        assert read_all(restored) == 1
        images = client.get("/api/v1/images").json()["items"]
        for image in images:
            assert client.get(f"/api/v1/images/{image['id']}/picture.png").status_code == 200


def test_a_dump_of_postgresql_is_restored_elsewhere(
    cluster: Postgres, tmp_path: Path, model_folder: Path
) -> None:
    """Rows by ``pg_dump`` while the service runs, then the files, as docs/service.md says."""
    cluster.run("createdb", "first")
    config = settings_of(tmp_path / "first", model=model_folder, url=cluster.url_of("first"))
    with serving(config) as client:
        post_pictures(client, picture_bytes(0), case="K-1")
        read_all(config)
        item = client.get("/api/v1/objects").json()["items"][0]
        client.post(f"/api/v1/objects/{item['id']}/decisions", json={"type": "instance"})
        post_pictures(client, picture_bytes(1), case="K-2")
        expected = client.get("/api/v1/export/objects.csv").text
        cluster.run("pg_dump", "--format=custom", f"--file={tmp_path / 'supcam.dump'}", "first")
        shutil.copytree(config.vault, tmp_path / "again" / "data" / "vault")
    cluster.run("createdb", "again")
    cluster.run("pg_restore", "--exit-on-error", "--dbname=again", str(tmp_path / "supcam.dump"))
    restored = settings_of(tmp_path / "again", model=model_folder, url=cluster.url_of("again"))
    with serving(restored) as client:
        assert client.get("/api/v1/export/objects.csv").text == expected
        assert read_all(restored) == 1
        database = client.app.state.service.database  # type: ignore[attr-defined]
        with pytest.raises(DBAPIError, match="append-only"), database.writing() as session:
            session.execute(text("DELETE FROM decisions"))


def test_a_database_that_was_stopped_costs_nothing(
    cluster: Postgres, tmp_path: Path, model_folder: Path
) -> None:
    """While PostgreSQL is down clients are told to come back; then all that was accepted is read."""
    config = ServiceConfig(data=tmp_path / "x" / "data", model=model_folder, port=free_port(), workers=1)
    done = stop_database(config, cluster=cluster, n_crops=12, n_stops=2, down_s=0.3)
    assert done.is_whole, done
    assert done.told["503 while down"] == done.told["readyz 503 while down"] == 2


def test_a_disk_that_was_full_costs_nothing(tmp_path: Path, model_folder: Path) -> None:
    """A real one of three megabytes: what does not fit is refused (507), made larger everything is read."""
    config = ServiceConfig(data=tmp_path / "disk" / "data", model=model_folder, port=free_port(), workers=1)
    try:
        with small_disk(config.data.parent, megabytes=3) as enlarge:
            done = fill_disk(config, megabytes=3, enlarge=enlarge)
    except OSError:
        pytest.skip("no disk may be mounted here")
    assert done.is_whole, done
    assert done.told["507"] >= 20


def test_clients_gone_in_mid_upload_leave_nothing(tmp_path: Path, model_folder: Path) -> None:
    """Each at another place of the upload: no picture, no file, no open connection, hardly any memory."""
    config = ServiceConfig(data=tmp_path / "x" / "data", model=model_folder, port=free_port(), workers=1)
    gone = leave(config, n_clients=40)
    assert (gone.n_pictures, gone.n_files_left) == (0, 0)
    assert gone.after.n_files <= gone.before.n_files + 2
    assert gone.after.server_mb < gone.before.server_mb + 30


def test_a_small_load_is_borne_without_an_error(tmp_path: Path, model_folder: Path) -> None:
    """Four clients that never pause, for a moment; scripts/soak measures more of them for longer."""
    config = ServiceConfig(data=tmp_path / "x" / "data", model=model_folder, port=free_port(), workers=1)
    (found,) = measure(config, n_clients=[4], seconds=2)
    assert found.all.n >= 4
    assert found.all.n_failed == 0
    assert sum(each.n for each in found.by_kind.values()) == found.all.n
    assert found.server_ms_each > 0
    assert found.all.median_ms <= found.all.p95_ms <= found.all.p99_ms <= found.all.worst_ms
    assert found.use.server_mb < 600


def test_what_is_beyond_the_limits_is_refused_and_nothing_is_lost(tmp_path: Path, model_folder: Path) -> None:
    config = ServiceConfig(data=tmp_path / "x" / "data", model=model_folder, port=free_port(), workers=1)
    done = too_much(config, n_crops=70)
    assert done.by_status.keys() == {"202", "429"}
    assert done.all_tell_when
    assert done.n_accepted == done.n_done == 70
    assert done.is_ready


def test_many_crops_are_read_once_each_in_flat_memory(tmp_path: Path, model_folder: Path) -> None:
    """Sixty of them, then sixty more: a run that goes on hands nothing in twice."""
    config = ServiceConfig(data=tmp_path / "x" / "data", model=model_folder, port=free_port(), workers=1)
    first = endure(config, n_crops=60, every=20, notes=tmp_path / "samples.jsonl")
    assert (first.n_done, first.n_failed, first.n_twice) == (60, 0, 0)
    more = endure(config, n_crops=120, every=15, notes=tmp_path / "samples.jsonl")
    assert (more.n_done, more.n_failed, more.n_twice) == (120, 0, 0)
    assert more.n_decisions > first.n_decisions > 0
    kept = [sample.use for sample in more.samples]
    assert kept[-1].server_mb < kept[1].server_mb + 25
    assert kept[-1].worker_mb < kept[1].worker_mb + 25


def test_hostile_files_harm_neither_service_nor_folders(tmp_path: Path, model_folder: Path) -> None:
    """Bombs, polyglots, broken headers under names like paths: refused or failed, each for its reason.

    No worker dies of them, memory stays bounded, nothing is written outside the data folder, and pictures in
    disguise are read as pictures.
    """
    config = settings_of(tmp_path, model=model_folder, port=free_port(), workers=1)
    with served(config) as server, Client(f"http://127.0.0.1:{config.port}") as client:
        wait_until(lambda: len(workers_of(server.pid)) == 1)
        crew, before = workers_of(server.pid), outside(config)
        images = send_all(f"http://127.0.0.1:{config.port}")
        wait_until(lambda: not {"queued", "running"} & set(client_states(client)))
        assert workers_of(server.pid) == crew
        assert all(resident_bytes(pid, peak=True) < 1_000_000_000 for pid in (server.pid, *crew))
        assert server.poll() is None
        jobs = {job.image_id: job for job in client.jobs(limit=500).items}
        table = client.export("objects.csv").decode()
        meters = httpx2.get(f"http://127.0.0.1:{config.port}/metrics").text
    assert outside(config) == before
    assert all(re.fullmatch(r"[0-9a-f]{64}", each.name) for each in config.vault.rglob("*") if each.is_file())
    assert not re.search("evil|passwd|script", log_of(config).read_text() + meters)
    assert "=cmd" not in re.sub(r"'=cmd", "", table)
    assert set(images) == set(HARMLESS) | set(BROKEN)
    assert {name for name, image in images.items() if jobs[image].state == "done"} == set(HARMLESS)
    assert all(len(jobs[images[name]].reason) > 10 for name in BROKEN)


def send_all(url: str) -> dict[str, str]:
    """The ids of the pictures made of hostile files, those that were let in."""
    images, names = {}, itertools.cycle(NAMES)
    with httpx2.Client(base_url=url, timeout=60.0) as http:
        for (file, content), kind in zip(corpus(), itertools.cycle(["metaphases", "clusters"]), strict=False):
            answer = http.post(f"/api/v1/{kind}", files=[("files", (next(names) or "blank", content))])
            assert answer.status_code == (415 if file in STRANGERS else 202), file
            if answer.status_code == 202:
                images[file] = answer.json()["jobs"][0]["image_id"]
            else:
                assert answer.headers["content-type"] == "application/problem+json"
    assert len(images) == len(FILES) - len(STRANGERS)
    return images


def client_states(client: Client) -> list[str]:
    return [job.state for job in client.jobs(limit=500).items]


def outside(config: ServiceConfig) -> set[Path]:
    """All that lies beside the data folder."""
    return {path for path in config.data.parent.rglob("*") if config.data not in (path, *path.parents)}
