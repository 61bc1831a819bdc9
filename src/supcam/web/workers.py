"""Processes that read pictures: each claims a job, decodes and reads it, stores what came of it; one may die.

The keeper, a thread of the server, starts them anew, gives back what a dead one held, and ends one that takes
too long. A worker whose server is gone finishes the picture in its hands and ends; the next server goes on.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import secrets
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.process import BaseProcess

import cv2
from sqlalchemy.exc import SQLAlchemyError

from supcam.core.config import ImageConfig
from supcam.core.types import ImageError
from supcam.pack.bundle import Model, load_model
from supcam.spread.analyze import analyze
from supcam.spread.one_crop import analyze_crop
from supcam.spread.result import Analysis
from supcam.web.config import Limits, ServiceConfig
from supcam.web.database import Database, open_database
from supcam.web.jobs import Claim, Terms, claim, fail, finish, overdue, put_back, release, renew
from supcam.web.recording import record_of
from supcam.web.uploads import check_pages
from supcam.web.vault import Vault

_LOG = logging.getLogger("supcam.web")
_IDLE_S = 0.2
_TROUBLE_S = 2.0
"""How long to wait when database or disk are in trouble."""


class Worker:
    """What one worker process does. ``name`` is on the jobs in its hands."""

    def __init__(self, config: ServiceConfig, *, name: str) -> None:
        self.config, self.name = config, name
        self.database: Database = open_database(config.database_url, upgrade=False)
        self.vault = Vault(config.vault)
        self.model: Model = load_model(config.model, threads=1, image=image_config(config.limits))
        self._terms = Terms(
            worker=name,
            model_seal=self.model.card.seal,
            lease_s=config.lease_s,
            max_attempts=config.limits.max_attempts,
        )

    def work_once(self) -> bool:
        """Whether there was a job; it is at an end now, or somebody else's."""
        job = claim(self.database, self._terms)
        if job is None:
            return False
        stop = threading.Event()
        pulse = threading.Thread(target=self._keep, args=(job, stop), daemon=True)
        pulse.start()
        try:
            self._read(job)
        finally:
            stop.set()
            pulse.join()
        return True

    def _read(self, job: Claim) -> None:
        try:
            record = record_of(self._analysis(job), image_id=job.image_id, model=self.model, vault=self.vault)
            finish(self.database, job.job_id, worker=self.name, record=record)
        except ImageError as error:
            reason = error.reason
            fail(self.database, job.job_id, worker=self.name, reason=reason)
        except MemoryError:
            fail(self.database, job.job_id, worker=self.name, reason="it needs more memory than it may use")
        except OSError as error:
            _LOG.error("job %s waits: the disk says %s", job.job_id, error.strerror)
            put_back(self.database, job.job_id, worker=self.name, wait_s=5 * _TROUBLE_S)
        except SQLAlchemyError:
            raise
        except Exception as error:
            _LOG.exception("job %s failed", job.job_id)
            reason = f"unexpected {type(error).__name__}"
            fail(self.database, job.job_id, worker=self.name, reason=reason)

    def _analysis(self, job: Claim) -> Analysis:
        path = self.vault.path(job.sha256)
        config = image_config(self.config.limits)
        check_pages(path, limits=self.config.limits)
        if job.kind == "cluster":
            return analyze_crop(path, model=self.model, config=config)
        return analyze(path, model=self.model, config=config)

    def _keep(self, job: Claim, stop: threading.Event) -> None:
        """The lease is renewed until the picture is read."""
        while not stop.wait(self.config.lease_s / 4):
            with suppress(SQLAlchemyError):
                renew(self.database, job.job_id, worker=self.name, lease_s=self.config.lease_s)


def image_config(limits: Limits) -> ImageConfig:
    """The reader's limits."""
    return ImageConfig(max_megapixels=limits.max_megapixels, max_bytes=limits.max_file_bytes)


def work(config: ServiceConfig, *, name: str, server: int) -> None:
    """A worker process, from its first job until its server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    resource.setrlimit(resource.RLIMIT_AS, (config.limits.worker_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    worker = Worker(config, name=name)
    while os.getppid() == server:
        try:
            if not worker.work_once():
                time.sleep(_IDLE_S)
        except SQLAlchemyError as error:
            _LOG.error("worker %s: the database says %s", name, type(error).__name__)
            time.sleep(_TROUBLE_S)


class Keeper:
    """A thread that keeps ``config.workers`` processes at work until it is stopped."""

    def __init__(self, config: ServiceConfig, *, database: Database) -> None:
        self._config, self._database = config, database
        self._crew: dict[str, BaseProcess] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.n_lost = 0

    def start(self) -> None:
        """Workers start; they may be stopped and started again."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Workers end now; what they were reading waits for the next server."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for process in self._crew.values():
            process.kill()
        for name, process in self._crew.items():
            process.join()
            with suppress(SQLAlchemyError):
                release(self._database, worker=name, is_counted=False)
        self._crew.clear()

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that are alive."""
        return [process.pid for process in [*self._crew.values()] if process.pid and process.is_alive()]

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._look()
            except SQLAlchemyError as error:
                _LOG.error("keeper: the database says %s", type(error).__name__)
            self._stop.wait(_IDLE_S)

    def _look(self) -> None:
        for name, process in [*self._crew.items()]:
            if process.is_alive():
                job = overdue(self._database, worker=name, job_s=self._config.limits.job_s)
                if job is None:
                    continue
                self._end_overdue(name, process, job_id=job)
            release(self._database, worker=name, is_counted=True)
            del self._crew[name]
            self.n_lost += 1
        while len(self._crew) < self._config.workers:
            self._begin()

    def _end_overdue(self, name: str, process: BaseProcess, *, job_id: str) -> None:
        process.kill()
        process.join()
        reason = f"reading it took longer than {self._config.limits.job_s:g} s"
        fail(self._database, job_id, worker=name, reason=reason)

    def _begin(self) -> None:
        name = f"{os.getpid()}-{secrets.token_hex(6)}"
        context = multiprocessing.get_context("spawn")
        process = context.Process(
            target=work, args=(self._config,), kwargs={"name": name, "server": os.getpid()}, daemon=True
        )
        process.start()
        self._crew[name] = process
