from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from tests.service import stored

from supcam.pack.bundle import Model
from supcam.web.database import Database
from supcam.web.results import history, image_view
from supcam.web.schemas import NewDecision
from supcam.web.store import NotAllowedError, NotThereError, decide, n_decisions, shown_name
from supcam.web.tables import AuditRow, Image, ObjectRow, PredictionRow
from supcam.web.vault import Vault


@pytest.fixture
def image_id(database: Database, vault: Vault, model: Model) -> str:
    return stored(database, vault=vault, model=model)[0]


@pytest.fixture
def object_id(database: Database, image_id: str) -> str:
    with database.reading() as session:
        return session.scalars(select(ObjectRow.id).order_by(ObjectRow.top)).first() or ""


def say(database: Database, object_id: str, *, who: str = "ann", **words: object) -> int:
    with database.writing() as session:
        new = NewDecision.model_validate(words)
        return decide(session, new, object_id=object_id, reviewer=who, now=database.now(session)).id


def test_every_prediction_names_its_model(database: Database, image_id: str, model: Model) -> None:
    with database.reading() as session:
        rows = session.scalars(select(PredictionRow)).all()
        assert len(rows) > 5
        assert {row.model_sha256 for row in rows} == {model.card.model_sha256}
        assert {row.model_version for row in rows} == {"1.2.3"}


def test_decisions_are_appended_and_taken_back(database: Database, image_id: str, object_id: str) -> None:
    first = say(database, object_id, type="touching", n_chromosomes=3)
    second = say(database, object_id, type="rejected")
    say(database, object_id, revokes=second)
    with database.reading() as session:
        told = history(session, object_id)
        counts = image_view(session, session.get_one(Image, image_id)).counts
    assert [each.holds for each in told] == [True, False, False]
    assert (told[0].type, told[0].n_chromosomes, told[2].revokes) == ("touching", 3, second)
    assert told[0].model.version == "1.2.3"
    assert counts is not None
    assert counts.n_decided == 1
    with pytest.raises(NotAllowedError):
        say(database, object_id, revokes=second)
    with pytest.raises(NotAllowedError):
        say(database, object_id, who="bob", revokes=first)
    with pytest.raises(NotThereError):
        say(database, object_id, revokes=999)


def test_counts_follow_the_decisions(database: Database, image_id: str, object_id: str) -> None:
    def counts() -> int:
        with database.reading() as session:
            found = image_view(session, session.get_one(Image, image_id)).counts
            assert found is not None
            return found.n_chromosomes

    say(database, object_id, type="rejected")
    without = counts()
    last = say(database, object_id, type="overlapping", n_chromosomes=4)
    assert counts() == without + 4
    say(database, object_id, revokes=last)
    assert counts() == without


def test_a_decision_on_nothing_is_refused(database: Database) -> None:
    with pytest.raises(NotThereError):
        say(database, "0" * 32, type="instance")


def test_who_decided_what_is_in_the_audit_log(database: Database, object_id: str) -> None:
    number = say(database, object_id, type="touching")
    with database.reading() as session:
        entry = session.scalars(select(AuditRow).order_by(AuditRow.id.desc())).first()
    assert entry is not None
    assert (entry.actor, entry.action, entry.subject) == ("ann", "decide", str(number))
    assert entry.details == {"object": object_id, "type": "touching", "n": 2, "revokes": None}


@pytest.mark.parametrize("table", ["analyses", "predictions", "decisions", "audit"])
@pytest.mark.parametrize("change", ["DELETE FROM {0}", "UPDATE {0} SET id = id"])
def test_the_database_refuses_to_forget(database: Database, object_id: str, table: str, change: str) -> None:
    say(database, object_id, type="instance")
    run: Callable[[Session], object] = lambda session: session.execute(text(change.format(table)))  # noqa: E731

    def forget() -> None:
        with database.writing() as session:
            run(session)

    with pytest.raises(DBAPIError, match="append-only"):
        forget()


def test_decisions_of_pictures_are_counted(database: Database, image_id: str, object_id: str) -> None:
    say(database, object_id, type="instance")
    say(database, object_id, type="instance")
    with database.reading() as session:
        assert n_decisions(session, image_ids=[image_id]) == 2
        assert n_decisions(session, image_ids=[]) == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.png", "a.png"), ("../x/a.png", "a.png"), ("c:\\x\\a.png", "a.png"), ("a\nb", "a?b"), ("", "")],
)
def test_what_is_shown_of_a_name(name: str, shown: str) -> None:
    assert shown_name(name) == shown
