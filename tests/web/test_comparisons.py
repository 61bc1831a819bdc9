from __future__ import annotations

from pathlib import Path

from tests.pack.test_before_after import comparison
from tests.service import service_config, serving


def test_comparisons_are_told_and_shown(tmp_path: Path, model_folder: Path) -> None:
    config = service_config(tmp_path, model=model_folder)
    with serving(config) as client:
        assert "No model has learnt" in client.get("/models").text
        assert client.get("/api/v1/comparisons").json() == {"items": [], "next": None}
        folder = config.data / "comparisons"
        folder.mkdir()
        for right in (1, 9):
            (folder / f"{right}.json").write_bytes(comparison(right=right, name="<i>x").to_json())
        (folder / "bad.json").write_text("no")
        first = client.get("/api/v1/comparisons", params={"limit": 1}).json()
        page = client.get("/models")
        style = client.get("/static/models.css")
    assert (first["items"][0]["verdict"], first["next"]) == ("helped", 1)
    assert "It helped." in page.text
    assert "&lt;i&gt;x" in page.text
    assert "1 files beside them" in page.text
    assert page.text.count("<script") == page.text.count('<script type="module" src=') == 1
    assert "style=" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert style.headers["content-type"].startswith("text/css")


def test_the_page_asks_for_a_token_where_one_is_required(tmp_path: Path, model_folder: Path) -> None:
    with serving(service_config(tmp_path, model=model_folder, require_token=True)) as client:
        assert client.get("/models").status_code == 401
        assert client.get("/second-look").status_code == 401
        shown = client.get("/models", headers={"accept": "text/html"})
        assert (shown.status_code, shown.url.path) == (200, "/login")
