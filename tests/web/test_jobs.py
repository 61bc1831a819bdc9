from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select
from tests.service import read_one, terms, upload

from supcam.pack.bundle import Model
from supcam.spread.analyze import analyze
from supcam.web.database import Database, open_database
from supcam.web.jobs import (
    DONE,
    FAILED,
    QUEUED,
    QueueFullError,
    Submitted,
    claim,
    fail,
    finish,
    overdue,
    put_back,
    release,
    renew,
    retry,
    submit,
)
from supcam.web.recording import record_of
from supcam.web.store import NotAllowedError, NotThereError
from supcam.web.tables import AnalysisRow, Image, Job, PredictionRow
from supcam.web.vault import Vault


def hand_in(
    database: Database, vault: Vault, model: Model, *, seeds: tuple[int, ...] = (0,), limit: int = 9
) -> Submitted:
    files = [upload(vault, seed=seed) for seed in seeds]
    return submit(database, files, model_seal=model.card.seal, limit=limit, actor="ann")


def job_of(database: Database) -> Job:
    with database.reading() as session:
        return session.scalars(select(Job)).one()


def test_the_same_content_is_one_picture_and_one_job(database: Database, vault: Vault, model: Model) -> None:
    first = hand_in(database, vault, model, seeds=(0, 1, 0))
    again = hand_in(database, vault, model, seeds=(1,))
    assert first.n_new == 2
    assert again.n_new == 0
    assert [job.id for job in first.jobs] == [first.jobs[0].id, again.jobs[0].id, first.jobs[0].id]


def test_another_case_is_another_picture(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    other = replace(upload(vault), case="K-2")
    assert submit(database, [other], model_seal=model.card.seal, limit=9, actor="ann").n_new == 1


def test_a_full_queue_takes_all_or_nothing(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model, seeds=(0,), limit=2)
    with pytest.raises(QueueFullError) as full:
        hand_in(database, vault, model, seeds=(1, 2), limit=2)
    assert full.value.retry_after_s >= 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 1
    assert hand_in(database, vault, model, seeds=(0,), limit=1).n_new == 0


def test_a_claimed_job_is_nobody_elses_until_its_lease_ends(
    database: Database, vault: Vault, model: Model
) -> None:
    hand_in(database, vault, model)
    job = claim(database, terms(model, lease_s=0.3))
    assert job is not None
    assert claim(database, terms(model, worker="w2")) is None
    assert renew(database, job.job_id, worker="w1", lease_s=0.3)
    time.sleep(0.4)
    taken = claim(database, terms(model, worker="w2"))
    assert taken == job
    assert not renew(database, job.job_id, worker="w1", lease_s=9)
    assert not fail(database, job.job_id, worker="w1", reason="late")


def test_who_lost_the_job_stores_nothing(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    job = claim(database, terms(model, lease_s=0.0))
    assert job is not None
    time.sleep(0.01)
    read_one(database, vault=vault, model=model)
    record = record_of(
        analyze(vault.path(job.sha256), model=model), image_id=job.image_id, model=model, vault=vault
    )
    assert not finish(database, job.job_id, worker="w1", record=record)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(AnalysisRow)) == 1
        assert session.scalar(select(func.count()).select_from(PredictionRow)) == len(record.objects)
    assert job_of(database).state == DONE


def test_a_job_that_takes_workers_along_fails_at_last(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    for n in range(3):
        assert claim(database, terms(model, worker=f"w{n}"))
        assert release(database, worker=f"w{n}", is_counted=True) == 1
        time.sleep(0.01)
    assert claim(database, terms(model)) is None
    assert job_of(database).state == FAILED
    assert "3 workers" in job_of(database).reason


def test_a_stopped_server_costs_no_attempt(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    for n in range(5):
        assert claim(database, terms(model, worker=f"w{n}"))
        release(database, worker=f"w{n}", is_counted=False)
        time.sleep(0.01)
    assert claim(database, terms(model))


def test_what_is_put_back_waits(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    job = claim(database, terms(model))
    assert job is not None
    assert put_back(database, job.job_id, worker="w1", wait_s=0.3)
    assert claim(database, terms(model)) is None
    time.sleep(0.35)
    assert claim(database, terms(model))


def test_a_job_that_takes_too_long_is_seen(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    job = claim(database, terms(model))
    assert job is not None
    assert overdue(database, worker="w1", job_s=60) is None
    time.sleep(0.02)
    assert overdue(database, worker="w1", job_s=0.01) == job.job_id


def test_a_failed_job_can_be_tried_again(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    with pytest.raises(NotAllowedError):
        retry(database, job_of(database).id, actor="ann")
    job = claim(database, terms(model))
    assert job is not None
    assert fail(database, job.job_id, worker="w1", reason="no picture")
    assert retry(database, job.job_id, actor="ann").state == QUEUED
    with pytest.raises(NotThereError):
        retry(database, "0" * 32, actor="ann")


def test_another_models_jobs_are_left_to_its_servers(database: Database, vault: Vault, model: Model) -> None:
    hand_in(database, vault, model)
    assert claim(database, replace(terms(model), model_seal="0" * 64)) is None


def test_two_servers_never_claim_the_same_job(
    database: Database, database_url: str, vault: Vault, model: Model
) -> None:
    files = [replace(upload(vault), case=f"K-{n}") for n in range(12)]
    submit(database, files, model_seal=model.card.seal, limit=99, actor="ann")
    other = open_database(database_url)
    claimed: list[str] = []

    def take(source: Database, name: str) -> None:
        while job := claim(source, terms(model, worker=name)):
            claimed.append(job.job_id)

    threads = [
        threading.Thread(target=take, args=(source, f"{n}-{source is other}"))
        for n in range(2)
        for source in (database, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(claimed) == sorted({*claimed})
    assert len(claimed) == 12
