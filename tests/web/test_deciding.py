from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.service import picture_bytes, post_pictures, read_all, service_config, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[TestClient]:
    config = service_config(tmp_path_factory.mktemp("service"), model=model_folder)
    with serving(config) as client:
        post_pictures(client, picture_bytes(0), case="K-1")
        read_all(config)
        yield client


@pytest.fixture(scope="module")
def place(client: TestClient) -> str:
    """Where decisions on the first object that has a crop are posted."""
    items = client.get("/api/v1/objects?order=number").json()["items"]
    return f"/api/v1/objects/{next(item['id'] for item in items if item['has_crop'])}"


def test_decide_change_undo_and_export(client: TestClient, place: str) -> None:
    first = client.post(f"{place}/decisions", json={"type": "touching", "n_chromosomes": 3})
    assert first.status_code == 201
    second = client.post(f"{place}/decisions", json={"type": "rejected"}).json()
    assert client.get(place).json()["decided"]["type"] == "rejected"
    undone = client.post(f"{place}/decisions", json={"revokes": second["id"]}).json()
    assert (undone["type"], undone["revokes"], undone["holds"]) == (None, second["id"], False)
    assert client.get(place).json()["decided"] == first.json()
    told = client.get(f"{place}/decisions").json()
    assert [each["holds"] for each in told] == [True, False, False]
    assert client.post(f"{place}/decisions", json={"revokes": second["id"]}).status_code == 409
    assert client.get("/api/v1/agreement").json() == []
    table = client.get("/api/v1/export/decisions.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="decisions.csv"'
    assert len(table.text.splitlines()) == 4
    assert "touching" in client.get("/api/v1/export/objects.csv?case=K-1").text
    assert client.get("/api/v1/export/coco.json").json()["categories"][1]["name"] == "touching"
    with zipfile.ZipFile(io.BytesIO(client.get("/api/v1/export/decisions.zip").content)) as archive:
        assert "labels.csv" in archive.namelist()
        assert ",touching,3,K-1,decisions" in archive.read("labels.csv").decode()


@pytest.mark.parametrize("words", [{}, {"type": "nucleus"}, {"type": "instance", "n_chromosomes": 2}, []])
def test_a_decision_that_makes_no_sense_is_a_problem(client: TestClient, place: str, words: object) -> None:
    answer = client.post(f"{place}/decisions", json=words)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_who_did_what_is_listed_in_parts(client: TestClient, place: str) -> None:
    page = client.get("/api/v1/audit?limit=1").json()
    assert page["items"][0]["action"] == "upload"
    assert page["next"] == 1


def test_a_purge_takes_the_pictures_and_leaves_the_decisions(tmp_path: Path, model_folder: Path) -> None:
    config = service_config(tmp_path, model=model_folder)
    with serving(config) as client:
        job = post_pictures(client, picture_bytes(0), case="K-1").json()["jobs"][0]
        read_all(config)
        items = client.get("/api/v1/objects").json()["items"]
        place = f"/api/v1/objects/{items[0]['id']}"
        client.post(f"{place}/decisions", json={"type": "instance"})
        done = client.post("/api/v1/purge", json={"case": "K-1"}).json()
        assert (done["n_images"], done["n_decisions_kept"]) == (1, 1)
        image = f"/api/v1/images/{job['image_id']}"
        assert client.get(image).json()["purged"]
        assert client.get(f"{image}/picture.png").status_code == 404
        assert client.get(f"{place}/crop.png").status_code == 404
        assert len(client.get(f"{place}/decisions").json()) == 1
        assert client.get("/api/v1/objects").json()["items"] == []
        assert not [path for path in config.vault.rglob("*") if path.is_file()]
