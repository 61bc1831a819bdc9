from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.drawn_crops import write_crop
from tests.service import picture_bytes, post_pictures, read_all, service_config, serving

from supcam.core.disk import write_whole
from supcam.web.config import Limits, ServiceConfig


@pytest.fixture
def config(tmp_path: Path, model_folder: Path) -> ServiceConfig:
    limits = Limits(
        max_file_bytes=200_000,
        max_request_bytes=400_000,
        max_files=3,
        queue=3,
        burst=10_000,
        min_free_bytes=0,
    )
    return service_config(tmp_path, model=model_folder, limits=limits)


@pytest.fixture
def client(config: ServiceConfig) -> Iterator[TestClient]:
    with serving(config) as client:
        yield client


def test_accepted_is_committed(config: ServiceConfig, client: TestClient) -> None:
    answer = post_pictures(client, picture_bytes(0), picture_bytes(1))
    assert answer.status_code == 202
    assert answer.json()["n_new"] == 2
    jobs = answer.json()["jobs"]
    assert [job["state"] for job in jobs] == ["queued", "queued"]
    assert client.get(f"/api/v1/jobs/{jobs[0]['id']}").json() == jobs[0]
    assert read_all(config) == 2
    assert client.get(f"/api/v1/jobs/{jobs[1]['id']}").json()["state"] == "done"
    assert client.get("/api/v1/jobs?state=queued").json()["items"] == []


def test_the_same_picture_again_is_the_same_job(client: TestClient) -> None:
    first = post_pictures(client, picture_bytes(0)).json()
    again = post_pictures(client, picture_bytes(0)).json()
    assert again == first | {"n_new": 0}


def test_a_crop_is_read_as_one_object(config: ServiceConfig, client: TestClient, tmp_path: Path) -> None:
    crop = write_crop(tmp_path / "crop.png").read_bytes()
    job = post_pictures(client, crop, kind="clusters").json()["jobs"][0]
    read_all(config)
    (item,) = client.get(f"/api/v1/images/{job['image_id']}/objects").json()["items"]
    assert item["has_crop"]
    assert client.get(f"/api/v1/images/{job['image_id']}").json()["kind"] == "cluster"


def test_a_full_queue_says_when_to_come_back(config: ServiceConfig, client: TestClient) -> None:
    assert post_pictures(client, *(picture_bytes(n) for n in range(3))).status_code == 202
    full = post_pictures(client, picture_bytes(3))
    assert full.status_code == 429
    assert int(full.headers["retry-after"]) >= 1
    assert post_pictures(client, picture_bytes(0)).status_code == 202
    read_all(config)
    assert post_pictures(client, picture_bytes(3)).status_code == 202


def test_too_much_is_refused(client: TestClient) -> None:
    assert post_pictures(client, picture_bytes(0) + bytes(200_000)).status_code == 413
    assert post_pictures(client, *[b"\x89PNG\r\n\x1a\n" + bytes(150_000)] * 3).status_code == 413
    assert post_pictures(client, *(picture_bytes(0) for _ in range(4))).status_code == 422
    assert client.get("/api/v1/jobs").json()["items"] == []


STRANGERS = [
    b"",
    b"text",
    b"GIF89a..",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"PK\x03\x04",
    b"%PDF-1.7",
]


@pytest.mark.parametrize("content", STRANGERS)
def test_type_is_told_by_content(client: TestClient, content: bytes) -> None:
    answer = post_pictures(client, content)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_without_files_is_a_problem(client: TestClient) -> None:
    answer = client.post("/api/v1/metaphases", data={"case": "x"})
    assert answer.status_code == 422
    assert "files" in answer.json()["detail"]


EVIL = ["../../evil.png", "/etc/passwd", "..\\..\\evil.png", "a\nb.png", "=cmd()", "<script>.png", "x" * 500]


@pytest.mark.parametrize("name", EVIL)
def test_a_name_is_no_path_and_stands_in_no_log(
    config: ServiceConfig, client: TestClient, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = {path for path in tmp_path.rglob("*") if config.data not in path.parents}
    with caplog.at_level(logging.DEBUG, logger="supcam.web"):
        answer = client.post("/api/v1/metaphases", files=[("files", (name, picture_bytes(0)))])
        read_all(config)
        metrics = client.get("/metrics").text
    assert answer.status_code == 202
    assert {path for path in tmp_path.rglob("*") if config.data not in path.parents} == before
    shown = client.get("/api/v1/images").json()["items"][0]["name"]
    assert "/" not in shown
    assert "\\" not in shown
    assert "\n" not in shown
    assert len(shown) <= 200
    for text in (caplog.text, metrics):
        assert "evil" not in text
        assert "passwd" not in text
    vault = [path.name for path in config.vault.rglob("*") if path.is_file()]
    assert all(len(name) == 64 for name in vault)


def test_a_failed_job_can_be_tried_again(config: ServiceConfig, client: TestClient) -> None:
    job = post_pictures(client, b"\x89PNG\r\n\x1a\nbroken").json()["jobs"][0]
    assert client.post(f"/api/v1/jobs/{job['id']}/retry").status_code == 409
    read_all(config)
    assert client.post(f"/api/v1/jobs/{job['id']}/retry").json()["state"] == "queued"
    assert client.post(f"/api/v1/jobs/{'0' * 32}/retry").status_code == 404


def test_no_room_on_the_disk_is_said(tmp_path: Path, model_folder: Path) -> None:
    limits = Limits(min_free_bytes=10**18)
    with serving(service_config(tmp_path, model=model_folder, limits=limits)) as client:
        assert post_pictures(client, picture_bytes(0)).status_code == 507
        assert client.get("/readyz").status_code == 503


def test_a_disk_that_fills_up_takes_no_half_request(
    client: TestClient, config: ServiceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two files does not fit: neither is accepted, and both are once there is room."""
    n_written = 0

    def full(*given: Any, **more: Any) -> Path:  # noqa: ANN401
        nonlocal n_written
        n_written += 1
        if n_written == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_whole(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("supcam.web.vault.write_whole", full)
        refused = post_pictures(client, picture_bytes(0), picture_bytes(1))
    assert refused.status_code == 507
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1
    assert client.get("/api/v1/jobs").json()["items"] == []
    assert post_pictures(client, picture_bytes(0), picture_bytes(1)).json()["n_new"] == 2
    assert read_all(config) == 2
