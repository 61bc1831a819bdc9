from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from tests.service import picture_bytes, post_pictures, read_all, service_config, serving

import supcam.web.second_look as module
from supcam.pack.bundle import Model
from supcam.web.database import Database, open_database
from supcam.web.results import Window
from supcam.web.review import TYPES
from supcam.web.schemas import NewDecision
from supcam.web.second_look import ranked, second_look
from supcam.web.store import decide
from supcam.web.tables import PredictionRow


def decide_as_the_model(database: Database, *, but: int) -> str:
    """All objects decided as the model read them, but for the surest: the id of that one."""
    with database.writing() as session:
        rows = [row for row in session.scalars(select(PredictionRow)) if row.probabilities]
        wrong = sorted(rows, key=lambda row: -(row.confidence or 0))[but]
        for row in rows:
            kind = row.type
            if row is wrong:
                kind = "overlapping" if row.type != "overlapping" else "instance"
            new = NewDecision.model_validate({"type": kind})
            decide(session, new, object_id=row.object_id, reviewer="ann", now=database.now(session))
        return wrong.object_id


def test_a_contradicted_decision_comes_first_in_list_page_and_by_parts(
    tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = service_config(tmp_path, model=model_folder)
    with serving(config) as client:
        assert client.get("/api/v1/second-look").json() == {"items": [], "next": None}
        post_pictures(client, picture_bytes(0), case="K-1")
        read_all(config)
        database = open_database(config.database_url)
        wrong = decide_as_the_model(database, but=0)
        answer = client.get("/api/v1/second-look", params={"limit": 2}).json()
        page = client.get("/second-look")
        with database.reading() as session:
            found, everything = ranked(session), second_look(session, Window(limit=500), likely=False)
        database.close()
        monkeypatch.setattr(module, "is_available", lambda: False)
        missing = client.get("/api/v1/second-look")
    assert [(not item.is_likely_wrong, item.quality) for item in everything.items] == sorted(
        (not item.is_likely_wrong, item.quality) for item in everything.items
    )
    contradicted = next(item for item in everything.items if item.object.id == wrong)
    assert contradicted.decided_type != contradicted.object.prediction.type
    assert len(answer["items"]) == 2
    assert answer["next"] == 2
    assert len(everything.items) == len(found.rows)
    assert f"/api/v1/objects/{wrong}/crop.png" in page.text
    assert f'href="/?picture={contradicted.object.image_id}&amp;object={wrong}"' in page.text
    words = {kind.name: kind.word.lower() for kind in TYPES}
    assert f"Decided <b>{words[contradicted.decided_type]}</b> by ann" in page.text
    assert f"the model says <b>{words[contradicted.suggested_type]}</b>" in page.text
    assert page.text.count("<script") == page.text.count('<script type="module" src=') == 1
    assert missing.status_code == 501
    assert "supcam[labels]" in missing.json()["detail"]


def test_a_later_model_is_not_asked(tmp_path: Path, model: Model) -> None:
    row = PredictionRow(probabilities=[0.5, 0.25, 0.25, 0.0], chromosome_probability=0.5)
    assert module._chances(row) == [0.25, 0.125, 0.125, 0.0, 0.5]
    assert module._chances(PredictionRow(probabilities=None)) is None
