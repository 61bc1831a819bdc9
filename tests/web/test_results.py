from __future__ import annotations

import pytest
from sqlalchemy import event, select
from tests.service import stored

from supcam.pack.bundle import Model
from supcam.web.database import Database
from supcam.web.results import (
    Wanted,
    WantedImages,
    Window,
    found,
    list_images,
    list_jobs,
    list_objects,
)
from supcam.web.schemas import NewDecision
from supcam.web.store import NotThereError, decide
from supcam.web.tables import Image, ObjectRow
from supcam.web.vault import Vault


def test_lists_come_in_parts_without_gaps(database: Database, vault: Vault, model: Model) -> None:
    ids = stored(database, vault=vault, model=model, seeds=(0, 1, 2))
    with database.reading() as session:
        first = list_images(session, Window(limit=2), wanted=WantedImages())
        rest = list_images(session, Window(offset=first.next or 0, limit=2), wanted=WantedImages())
        assert [item.id for item in (*first.items, *rest.items)] == ids
        assert (first.next, rest.next) == (2, None)
        assert len(list_jobs(session, Window(), state="done").items) == 3
        assert list_jobs(session, Window(), state="failed").items == ()


def test_the_last_one_comes_first_when_asked(database: Database, vault: Vault, model: Model) -> None:
    ids = stored(database, vault=vault, model=model, seeds=(0, 1, 2))
    with database.reading() as session:
        page = list_images(session, Window(), wanted=WantedImages(last_first=True))
    assert [item.id for item in page.items] == ids[::-1]


def test_many_pictures_ask_the_database_as_often_as_one(
    database: Database, vault: Vault, model: Model
) -> None:
    stored(database, vault=vault, model=model, seeds=(0, 1, 2))
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    lengths = []
    for limit in (1, 3):
        asked.clear()
        with database.reading() as session:
            page = list_images(session, Window(limit=limit), wanted=WantedImages())
        assert all(item.counts and item.counts.n_objects for item in page.items)
        lengths.append(len(asked))
    assert lengths[0] == lengths[1]


def test_what_was_decided_is_left_out_when_asked(database: Database, vault: Vault, model: Model) -> None:
    (image_id,) = stored(database, vault=vault, model=model)
    with database.writing() as session:
        object_id = session.scalars(select(ObjectRow.id)).first() or ""
        decide(session, NewDecision(type="instance"), object_id=object_id, reviewer="ann", now=1.0)
    with database.reading() as session:
        everything = list_objects(session, Window(), wanted=Wanted(image_id=image_id)).items
        rest = list_objects(session, Window(), wanted=Wanted(image_id=image_id, undecided=True)).items
    assert {item.id for item in everything} - {item.id for item in rest} == {object_id}
    (decided,) = [item.decided for item in everything if item.decided]
    assert (decided.type, decided.reviewer, decided.holds) == ("instance", "ann", True)


def test_what_is_not_there_is_said(database: Database) -> None:
    with database.reading() as session, pytest.raises(NotThereError):
        found(session, Image, key="0" * 32)
