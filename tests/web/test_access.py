from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from tests.service import picture_bytes, post_pictures, service_config, serving

from supcam.web.access import COOKIE, csrf_of, is_loopback, is_same_site
from supcam.web.config import Limits, ServiceConfig
from supcam.web.schemas import Role
from supcam.web.tokens import create_token, revoke_token


@pytest.fixture
def config(tmp_path: Path, model_folder: Path) -> ServiceConfig:
    return service_config(tmp_path, model=model_folder, host="0.0.0.0")


@pytest.fixture
def client(config: ServiceConfig) -> Iterator[TestClient]:
    with serving(config, host="laboratory.example") as client:
        yield client


def bearer(client: TestClient, role: Role, *, name: str = "ann") -> dict[str, str]:
    database = client.app.state.service.database  # type: ignore[attr-defined]
    token = create_token(database, name=name, role=role, actor="test").text
    return {"Authorization": f"Bearer {token}"}


GUARDED = ["/api/v1/model", "/api/v1/jobs", "/api/v1/images", "/metrics", "/api/v1/audit", "/api/v1/session"]


@pytest.mark.parametrize("place", GUARDED)
def test_without_a_token_nobody_gets_in(client: TestClient, place: str) -> None:
    answer = client.get(place)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(place, headers={"Authorization": "Bearer supcam_0_0"}).status_code == 401


def test_a_stranger_is_turned_away_before_the_body_is_read(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        yield b"--x\r\n"
        raise AssertionError("the body was read")

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    try:
        answer = client.post("/api/v1/metaphases", content=body(), headers=headers)
    except AssertionError:
        pytest.skip("this test client reads every body before it asks")
    assert answer.status_code == 401


def test_whether_it_lives_anybody_may_ask(client: TestClient) -> None:
    assert client.get("/healthz").text == "alive"
    assert client.get("/readyz").text == "ready"


def test_roles_allow_what_they_say(client: TestClient) -> None:
    reader, reviewer, admin = (bearer(client, role) for role in ("reader", "reviewer", "admin"))
    files = [("files", ("a.png", picture_bytes()))]
    assert client.get("/api/v1/jobs", headers=reader).status_code == 200
    assert client.post("/api/v1/metaphases", files=files, headers=reader).status_code == 403
    assert client.post("/api/v1/metaphases", files=files, headers=reviewer).status_code == 202
    assert client.post("/api/v1/purge", json={"case": "x"}, headers=reviewer).status_code == 403
    assert client.post("/api/v1/purge", json={"case": "x"}, headers=admin).status_code == 200
    assert client.get("/api/v1/audit", headers=reviewer).status_code == 403
    told = client.get("/api/v1/audit", headers=admin).json()["items"]
    assert [entry["action"] for entry in told] == [*["create token"] * 3, "upload", "purge"]


def test_a_revoked_token_lets_nobody_in(client: TestClient) -> None:
    headers = bearer(client, "admin")
    identifier = headers["Authorization"].split("_")[1]
    assert client.get("/api/v1/jobs", headers=headers).status_code == 200
    revoke_token(client.app.state.service.database, identifier, actor="test")  # type: ignore[attr-defined]
    assert client.get("/api/v1/jobs", headers=headers).status_code == 401


def test_a_cookie_needs_the_word_that_only_our_page_knows(client: TestClient) -> None:
    token = bearer(client, "reviewer")["Authorization"].removeprefix("Bearer ")
    login = client.post("/api/v1/session", json={"token": token})
    assert login.status_code == 200
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/api/v1/session").json() == {
        "name": "ann", "role": "reviewer", "csrf": csrf_of(token),
    }  # fmt: skip
    files = [("files", ("a.png", picture_bytes()))]
    assert client.post("/api/v1/metaphases", files=files).status_code == 403
    good = {"X-CSRF-Token": csrf_of(token)}
    assert client.post("/api/v1/metaphases", files=files, headers=good).status_code == 202
    other = good | {"Origin": "http://elsewhere.example"}
    assert client.post("/api/v1/metaphases", files=files, headers=other).status_code == 403
    assert client.delete("/api/v1/session").status_code == 204
    assert COOKIE not in client.cookies
    assert client.get("/api/v1/jobs").status_code == 401


def test_a_wrong_token_gets_no_cookie(client: TestClient) -> None:
    answer = client.post("/api/v1/session", json={"token": "supcam_a_b"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(client: TestClient) -> None:
    for place in ("/healthz", "/api/v1/jobs", "/nowhere"):
        headers = client.get(place).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_guessing_tokens_is_slowed_down(tmp_path: Path, model_folder: Path) -> None:
    limits = Limits(bad_tokens_per_min=3, min_free_bytes=0)
    config = service_config(tmp_path, model=model_folder, host="0.0.0.0", limits=limits)
    with serving(config, host="laboratory.example") as client:
        wrong = {"Authorization": "Bearer supcam_0_0"}
        assert [client.get("/api/v1/jobs", headers=wrong).status_code for _ in range(5)][-1] == 429


def test_asking_too_often_is_slowed_down(tmp_path: Path, model_folder: Path) -> None:
    limits = Limits(requests_per_s=1, burst=5, min_free_bytes=0)
    with serving(service_config(tmp_path, model=model_folder, limits=limits)) as client:
        answers = [client.get("/healthz") for _ in range(8)]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_on_this_machine_no_token_is_needed_but_no_other_page_gets_in(
    tmp_path: Path, model_folder: Path
) -> None:
    with serving(service_config(tmp_path, model=model_folder)) as client:
        assert client.get("/api/v1/session").json()["name"] == "local"
        assert post_pictures(client, picture_bytes()).status_code == 202
        rebound = client.get("/api/v1/jobs", headers={"Host": "evil.example"})
        assert rebound.status_code == 421
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            refused = client.post("/api/v1/purge", json={"case": "x"}, headers=headers)
            assert refused.status_code == 403
        for words in ("Basic YTpi", "Bearer", "Bearer supcam_0_0"):
            assert client.get("/api/v1/jobs", headers={"Authorization": words}).status_code == 401
        own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
        assert client.post("/api/v1/purge", json={"case": "x"}, headers=own).status_code == 200


def test_a_token_can_be_required_on_this_machine_too(tmp_path: Path, model_folder: Path) -> None:
    config = service_config(tmp_path, model=model_folder, require_token=True)
    with serving(config) as client:
        assert client.get("/api/v1/jobs").status_code == 401


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1:8000", True), ("localhost", True), ("[::1]:80", True), ("a.example", False), ("[", False)],
)
def test_names_of_this_machine(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours


def test_programs_that_are_no_browser_come_from_nowhere() -> None:
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    assert is_same_site(Request(scope))
