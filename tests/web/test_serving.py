from __future__ import annotations

import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.service import free_port, picture_bytes, post_pictures, read_all, served, serving
from tests.service import service_config as settings_of

from supcam.core.types import ConfigError, SupcamError
from supcam.web.client import Client
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
