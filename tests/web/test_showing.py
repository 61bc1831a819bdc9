from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.service import picture_bytes, post_pictures, read_all, service_config, serving

from supcam.web.config import ServiceConfig


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> ServiceConfig:
    return service_config(tmp_path_factory.mktemp("service"), model=model_folder)


@pytest.fixture(scope="module")
def client(config: ServiceConfig) -> Iterator[TestClient]:
    with serving(config) as client:
        post_pictures(client, picture_bytes(0), picture_bytes(1), case="K-1")
        read_all(config)
        yield client


@pytest.fixture(scope="module")
def image_id(client: TestClient) -> str:
    return str(client.get("/api/v1/jobs").json()["items"][0]["image_id"])


def decoded(content: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_a_picture_has_its_analysis_and_counts(client: TestClient, image_id: str) -> None:
    image = client.get(f"/api/v1/images/{image_id}").json()
    assert (image["kind"], image["case"], image["name"]) == ("metaphase", "K-1", "0.png")
    assert image["analysis"]["model"]["version"] == "1.2.3"
    assert len(image["analysis"]["model"]["sha256"]) == 64
    assert image["counts"]["n_chromosomes"] == image["analysis"]["facts"]["n_chromosomes"]
    assert image["counts"]["n_decided"] == 0
    assert image["counts"]["n_objects"] > 5


def test_the_picture_comes_back_as_it_was(client: TestClient, image_id: str) -> None:
    got = client.get(f"/api/v1/images/{image_id}/picture.png")
    assert got.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(decoded(got.content), decoded(picture_bytes(0)))
    overlay = decoded(client.get(f"/api/v1/images/{image_id}/overlay.png").content)
    assert overlay.shape == (*decoded(got.content).shape, 3)


def test_objects_come_with_outlines_within_their_boxes(client: TestClient, image_id: str) -> None:
    items = client.get(f"/api/v1/images/{image_id}/objects").json()["items"]
    assert [item["number"] for item in items] == list(range(1, len(items) + 1))
    for item in items:
        points = np.array([point for polygon in item["outline"] for point in polygon])
        box = item["box"]
        assert points.min(axis=0).tolist() == [box["left"], box["top"]]
        assert points.max(axis=0).tolist() == [box["right"] - 1, box["bottom"] - 1]
        if item["prediction"]["probabilities"]:
            assert sum(item["prediction"]["probabilities"].values()) == pytest.approx(1)
        assert item["decided"] is None


def test_objects_come_in_the_order_of_doubt_and_in_parts(client: TestClient, image_id: str) -> None:
    place = f"/api/v1/images/{image_id}/objects?order=doubt&limit=4"
    doubts: list[float] = []
    after: int | None = 0
    while after is not None:
        page = client.get(f"{place}&offset={after}").json()
        doubts += [item["prediction"]["doubt"] for item in page["items"]]
        after = page["next"]
    assert doubts == sorted(doubts, reverse=True)
    assert len(doubts) == client.get(f"/api/v1/images/{image_id}").json()["counts"]["n_objects"]


def test_what_to_look_at_next_comes_from_all_pictures(client: TestClient) -> None:
    items = client.get("/api/v1/objects?limit=500").json()["items"]
    assert len({item["image_id"] for item in items}) == 2
    doubts = [item["prediction"]["doubt"] for item in items]
    assert doubts == sorted(doubts, reverse=True)
    review = client.get("/api/v1/objects?limit=500&to_review=true").json()["items"]
    assert all(item["prediction"]["decision"] == "review" for item in review)


def test_an_object_has_its_crop_and_where_the_network_looked(client: TestClient, image_id: str) -> None:
    items = client.get(f"/api/v1/images/{image_id}/objects").json()["items"]
    item = next(each for each in items if each["has_crop"])
    place = f"/api/v1/objects/{item['id']}"
    assert client.get(place).json() == item
    crop = decoded(client.get(f"{place}/crop.png").content)
    assert crop.shape[0] >= item["box"]["bottom"] - item["box"]["top"]
    seen = client.get(f"{place}/seen").json()
    assert set(seen["maps"]) == {"instance", "touching", "overlapping", "touching_overlapping"}
    assert seen["top_px"] <= item["box"]["top"]
    assert seen["top_px"] + seen["side_px"] >= item["box"]["bottom"]


def test_similar_objects_are_decided_ones(client: TestClient, image_id: str) -> None:
    items = client.get(f"/api/v1/images/{image_id}/objects").json()["items"]
    one, other, third = [item for item in items if item["has_crop"]][:3]
    assert client.get(f"/api/v1/objects/{one['id']}/similar").json() == []
    for item in (one, other, third):
        done = client.post(f"/api/v1/objects/{item['id']}/decisions", json={"type": "instance"})
        assert done.status_code == 201
    found = client.get(f"/api/v1/objects/{one['id']}/similar").json()
    assert {each["object"]["id"] for each in found} == {other["id"], third["id"]}
    assert found[0]["similarity"] >= found[1]["similarity"]
    undecided = client.get(f"/api/v1/images/{image_id}/objects?undecided=true").json()["items"]
    assert not {one["id"], other["id"]} & {item["id"] for item in undecided}


@pytest.mark.parametrize(
    "place",
    [
        "images/{0}",
        "images/{0}/picture.png",
        "images/{0}/objects",
        "objects/{0}",
        "objects/{0}/crop.png",
        "objects/{0}/seen",
        "objects/{0}/similar",
        "objects/{0}/decisions",
        "jobs/{0}",
    ],
)
def test_what_is_not_there_is_a_problem(client: TestClient, place: str) -> None:
    answer = client.get("/api/v1/" + place.format("0" * 32))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 404


def test_pictures_are_listed_by_case_and_kind(client: TestClient) -> None:
    assert len(client.get("/api/v1/images?case=K-1&kind=metaphase").json()["items"]) == 2
    assert client.get("/api/v1/images?case=K-2").json() == {"items": [], "next": None}
    page = client.get("/api/v1/images?limit=1").json()
    assert page["next"] == 1
