"""The service as a whole: its OpenAPI document is complete, and it keeps to it whatever is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from tests.service import picture_bytes, post_pictures, read_all, service_config, serving
from tests.soak.document import keep_to_it

from supcam.web.app import create_app
from supcam.web.config import ServiceConfig

PLACES = {
    "/healthz", "/readyz", "/metrics", "/api/v1/model", "/api/v1/session", "/api/v1/metaphases",
    "/api/v1/clusters", "/api/v1/jobs", "/api/v1/jobs/{job_id}", "/api/v1/jobs/{job_id}/retry",
    "/api/v1/images", "/api/v1/images/{image_id}", "/api/v1/images/{image_id}/picture.png",
    "/api/v1/images/{image_id}/overlay.png", "/api/v1/images/{image_id}/objects", "/api/v1/objects",
    "/api/v1/objects/{object_id}", "/api/v1/objects/{object_id}/crop.png",
    "/api/v1/objects/{object_id}/seen", "/api/v1/objects/{object_id}/similar",
    "/api/v1/objects/{object_id}/decisions", "/api/v1/agreement",
    "/api/v1/comparisons", "/api/v1/second-look", "/api/v1/export/objects.csv",
    "/api/v1/export/decisions.csv", "/api/v1/export/coco.json", "/api/v1/export/decisions.zip",
    "/api/v1/purge", "/api/v1/audit",
}  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> ServiceConfig:
    return service_config(tmp_path_factory.mktemp("service"), model=model_folder)


@pytest.fixture(scope="module")
def client(config: ServiceConfig) -> Iterator[TestClient]:
    with serving(config) as client:
        post_pictures(client, picture_bytes(0))
        read_all(config)
        yield client


def test_every_route_is_told_of(client: TestClient) -> None:
    document = client.get("/api/v1/openapi.json").json()
    assert set(document["paths"]) == PLACES
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert set(answer.get("content", {})) <= {"application/problem+json"}, status


def test_no_page_of_others_is_needed(client: TestClient) -> None:
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_the_model_is_told(client: TestClient) -> None:
    told = client.get("/api/v1/model").json()
    assert told["model"]["name"] == told["card"]["name"] == "tiny"
    assert told["calibration"]["accept_threshold"] == 0.5


def test_a_service_without_its_database_is_not_ready(tmp_path: Path, model_folder: Path) -> None:
    with serving(service_config(tmp_path, model=model_folder)) as client:
        service = client.app.state.service  # type: ignore[attr-defined]
        with service.database.writing() as session:
            session.execute(text("DROP TABLE audit"))
        answer = post_pictures(client, picture_bytes(0))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert client.get("/healthz").status_code == 200


def test_without_a_worker_it_is_alive_and_not_ready(tmp_path: Path, model_folder: Path) -> None:
    app = create_app(service_config(tmp_path, model=model_folder, workers=1))
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    app.state.service.database.close()


def test_a_body_that_is_no_text_is_a_documented_error(client: TestClient) -> None:
    answer = client.post(
        "/api/v1/objects/nothing/decisions", content=b"\x80abc", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    document = client.get("/api/v1/openapi.json").json()
    assert "400" in document["paths"]["/api/v1/objects/{object_id}/decisions"]["post"]["responses"]


def test_the_service_keeps_to_its_document_whatever_is_sent(tmp_path: Path, model_folder: Path) -> None:
    """Requests drawn from the OpenAPI document, good and bad ones, at every operation and in sequences."""
    config = service_config(tmp_path, model=model_folder)
    kept = keep_to_it(config, n_each=8, n_sequences=80)
    assert kept.n_operations >= len(PLACES)
    assert kept.n_led > 5
