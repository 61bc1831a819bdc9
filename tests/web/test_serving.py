from __future__ import annotations

import itertools
import re
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from tests.hostile import BROKEN, FILES, HARMLESS, NAMES, STRANGERS, corpus
from tests.measured import resident_bytes
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

from supcam.core.types import ConfigError, SupcamError
from supcam.web.client import Client
from supcam.web.config import ServiceConfig
from supcam.web.serving import opened, purge_now, service_config
from supcam.web.tokens import create_token, list_tokens
from supcam.web.vault import Vault


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


def test_a_client_gone_in_mid_upload_leaves_nothing(tmp_path: Path, model_folder: Path) -> None:
    config = settings_of(tmp_path, model=model_folder, port=free_port())
    with served(config):
        head = (
            f"POST /api/v1/metaphases HTTP/1.1\r\nHost: 127.0.0.1:{config.port}\r\nContent-Length: 90000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            '--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        )
        with socket.create_connection(("127.0.0.1", config.port)) as gone:
            gone.sendall(head.encode() + picture_bytes(0)[:20_000])
        with Client(f"http://127.0.0.1:{config.port}") as client:
            assert client.images().items == ()
        assert not [path for path in config.vault.rglob("*") if path.is_file()]


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
        text = client.export("objects.csv").decode()
    assert outside(config) == before
    assert all(re.fullmatch(r"[0-9a-f]{64}", each.name) for each in config.vault.rglob("*") if each.is_file())
    assert "evil" not in log_of(config).read_text()
    assert "=cmd" not in re.sub(r"'=cmd", "", text)
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
