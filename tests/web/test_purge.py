from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from tests.service import read_one, stored, terms, upload

from supcam.pack.bundle import Model
from supcam.web.database import Database
from supcam.web.export import lines
from supcam.web.jobs import FAILED, claim, submit
from supcam.web.purge import purge, referenced, sweep
from supcam.web.results import history
from supcam.web.schemas import NewDecision, PurgeOrder
from supcam.web.store import NotThereError, decide
from supcam.web.tables import AuditRow, Image, Job, ObjectRow
from supcam.web.vault import Vault


def one_object(database: Database) -> str:
    with database.reading() as session:
        return session.scalars(select(ObjectRow.id)).first() or ""


def test_a_case_is_purged_and_its_decisions_stay(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    object_id = one_object(database)
    with database.writing() as session:
        decide(session, NewDecision(type="instance"), object_id=object_id, reviewer="ann", now=1.0)
    done = purge(database, vault, order=PurgeOrder(case="K-1"), actor="bob")
    assert done.n_images == 1
    assert done.n_decisions_kept == 1
    assert done.n_files > 10
    assert vault.all() == []
    with database.reading() as session:
        image = session.scalars(select(Image)).one()
        assert image.purged_s is not None
        assert (image.name, image.case) == ("", "")
        assert {row.rle for row in session.scalars(select(ObjectRow))} == {""}
        assert [each.type for each in history(session, object_id)] == ["instance"]
        actions = list(session.scalars(select(AuditRow.action).order_by(AuditRow.id)))
        assert actions[-2:] == ["tombstone", "purge"]
        assert list(lines(session)) == []
        details = session.scalars(select(AuditRow.details)).all()
    assert "K-1" not in str(details)
    with pytest.raises(NotThereError), database.writing() as session:
        decide(session, NewDecision(type="instance"), object_id=object_id, reviewer="ann", now=1.0)


def test_what_another_case_needs_stays(database: Database, vault: Vault, model: Model) -> None:
    other = replace(upload(vault), case="K-2")
    submit(database, [upload(vault), other], model_seal=model.card.seal, limit=9, actor="ann")
    read_one(database, vault=vault, model=model)
    read_one(database, vault=vault, model=model)
    before = vault.all()
    assert purge(database, vault, order=PurgeOrder(case="K-1"), actor="bob").n_files == 0
    assert vault.all() == before
    purge(database, vault, order=PurgeOrder(case="K-2"), actor="bob")
    assert vault.all() == []


def test_only_what_is_old_enough_goes(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    assert purge(database, vault, order=PurgeOrder(older_than_days=1), actor="bob").n_images == 0
    assert purge(database, vault, order=PurgeOrder(older_than_days=0), actor="bob").n_images == 1


def test_what_waits_or_is_being_read_ends(database: Database, vault: Vault, model: Model) -> None:
    files = [upload(vault, seed=seed) for seed in (0, 1)]
    submit(database, files, model_seal=model.card.seal, limit=9, actor="ann")
    assert claim(database, terms(model))
    purge(database, vault, order=PurgeOrder(case="K-1"), actor="bob")
    with database.reading() as session:
        assert set(session.scalars(select(Job.state))) == {FAILED}
    assert claim(database, terms(model)) is None


def test_a_purged_picture_may_come_back(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    before = vault.all()
    purge(database, vault, order=PurgeOrder(case="K-1"), actor="bob")
    stored(database, vault=vault, model=model)
    assert vault.all() == before
    with database.reading() as session:
        assert session.scalars(select(Image)).one().case == "K-1"
        assert all(row.rle for row in session.scalars(select(ObjectRow)))


def test_files_that_nobody_names_are_swept_away(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    before = vault.all()
    vault.put(b"broken off")
    assert sweep(database, vault) == 0
    assert sweep(database, vault, young_s=-1) == 1
    assert vault.all() == before
    with database.reading() as session:
        assert sorted(referenced(session)) == before
