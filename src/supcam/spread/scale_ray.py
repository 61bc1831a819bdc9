"""Many pictures on many machines: parts of the list analysed by Ray Data, each counted once."""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import supcam
from supcam.core.config import ImageConfig
from supcam.core.types import ImageError, SupcamError
from supcam.pack.bundle import Model, load_model
from supcam.pack.session import usable_cores
from supcam.pack.terms import Terms
from supcam.spread.analyze import analyze
from supcam.spread.document import picture_entry
from supcam.spread.outputs import make_record
from supcam.spread.parts import Entry, Part, read_part, write_part
from supcam.spread.places import Place, fingerprint, local_copy, open_folder
from supcam.spread.rows import area_row
from supcam.spread.scale import ENDED, failure_reason

LOCAL = "local"
"""The address of a cluster that is made for the run, on this machine alone."""
_MOST_IN_PART = 128
"""A part's rows are held until they are written; what a lost worker had begun is analysed again."""
_PARTS_EACH = 4
"""Parts for each worker, if there are pictures enough: none waits long for the last one."""
_TRIES = 3
"""A picture at which so many workers were ended is given up."""
_ANSWER_S = 10.0
_STORE_BYTES = 256 * 2**20
"""Shared memory of a cluster made for the run: names and outcomes pass through it, no pictures."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to analyse: its name and case in what is written, what its answer hangs on, and where it is.

    ``name`` is what it was called when it was named or found.
    """

    image: str
    fingerprint: str
    place: Place
    name: str = ""
    case: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker must know.

    ``about`` is written into every part, ``version`` is the program's, ``terms`` are the user's.
    """

    output: str
    image: ImageConfig
    about: str
    version: str
    terms: Terms


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker says of a picture. ``is_fatal`` stops the whole run."""

    image: str
    error: str = ""
    is_fatal: bool = False


class Foreman:
    """Gives every worker the model, and keeps count of the pictures at which workers were ended."""

    def __init__(self, model: Mapping[str, bytes]) -> None:
        self._model = dict(model)
        self._at_work: Counter[str] = Counter()

    def model(self) -> dict[str, bytes]:
        """The files of the model folder."""
        return self._model

    def begins(self, picture: str) -> int:
        """How many workers began this picture, this one included, and did not come to its end."""
        self._at_work[picture] += 1
        return self._at_work[picture]

    def ends(self, picture: str) -> None:
        """The picture has an answer; the worker that gave it was not ended."""
        del self._at_work[picture]


class Analyst:
    """Analyses parts, one after the other, in a process of its own, with a model that is loaded once.

    ``foreman`` is the handle of a ``Foreman``.
    """

    def __init__(self, job: Job, foreman: Any) -> None:  # noqa: ANN401  Ray's handles have no useful type
        cv2.setNumThreads(1)
        self._job = job
        self._foreman = foreman
        self._folder = open_folder(job.output)

    @cached_property
    def _model(self) -> Model:
        """Loaded when the first part comes, so that a refusal is an answer like any other."""
        return _unpacked(ray.get(self._foreman.model.remote()), job=self._job)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """What became of the pictures of one part; they are written when this returns."""
        wanted = [
            Wanted(
                row["image"],
                fingerprint=row["fingerprint"],
                place=Place(os.fsdecode(row["url"]), content=row["content"]),
                case=row["case"],
            )
            for row in rows.to_pylist()
        ]
        try:
            return _table(self._done(wanted))
        except SupcamError as error:
            return _table([Told("", error=str(error), is_fatal=True)])

    def _done(self, wanted: Sequence[Wanted]) -> list[Told]:
        """The part, analysed and written, unless a worker that was ended just then had written it."""
        name = _part_name(wanted)
        entries = read_part(name, folder=self._folder)
        if not entries:
            part = Part(name, about=self._job.about)
            for each in wanted:
                part.entries.append(self._entry(each, part=part))
            write_part(part, folder=self._folder)
            entries = part.entries
        return [Told(entry.image, error=entry.error) for entry in entries]

    def _entry(self, wanted: Wanted, *, part: Part) -> Entry:
        """What became of a picture, its rows added to the part."""
        url = wanted.place.url
        if ray.get(self._foreman.begins.remote(url)) > _TRIES:
            return Entry(wanted.image, fingerprint=wanted.fingerprint, error=ENDED)
        error = self._analyze(wanted, part=part)
        ray.get(self._foreman.ends.remote(url))
        return Entry(wanted.image, fingerprint=wanted.fingerprint, error=error)

    def _analyze(self, wanted: Wanted, *, part: Part) -> str:
        """Blank, the picture's rows having been added to the part; or why it has none."""
        model = self._model
        try:
            with local_copy(wanted.place, max_bytes=self._job.image.max_bytes) as path:
                analysis = replace(analyze(path, model=model), name=wanted.image)
            record = make_record(analysis, case=wanted.case, stem="")
        except Exception as error:  # one picture in a thousand may not cost the other answers
            if isinstance(error, SupcamError) and not isinstance(error, ImageError):
                raise
            return failure_reason(error)
        part.objects += analysis.rows()
        part.images.append(record["image"])  # type: ignore[arg-type]
        part.pictures.append(picture_entry(record, output=None))
        if analysis.pixel_size is not None:
            part.areas += (area_row(row, size=analysis.pixel_size) for row in analysis.rows())
        return ""


def analyze_parts(
    wanted: Sequence[Wanted], *, job: Job, model: Path, n_workers: int, worker: type[Analyst] = Analyst
) -> Generator[Told]:
    """What became of every picture, a part at a time, in the order in which the parts are done.

    Ray gives what a lost worker had begun to another one. A part is written under a name of its own and
    counts once (``write_part``), so that no picture is lost or repeated. ``worker`` is what each process is.
    Closing the generator ends the workers. Raises ``SupcamError`` when they cannot work at all.
    """
    parts = _split(wanted, n_workers=n_workers)
    with _settings():
        foreman = ray.remote(Foreman).options(**_beside_me()).remote(_packed(model))
        told = (
            ray.data.from_arrow([_rows(part) for part in parts])
            .map_batches(
                worker,
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.ActorPoolStrategy(size=min(n_workers, len(parts))),
                fn_constructor_kwargs={"job": job, "foreman": foreman},
                num_cpus=1,
            )
            .iter_rows()
        )
        try:
            for row in told:
                yield Told(row["image"], error=row["error"], is_fatal=row["is_fatal"])
        except RayError as error:
            raise _unable(error) from error


@contextmanager
def cluster(address: str, *, n_workers: int | None) -> Iterator[int]:
    """The number of workers of a Ray cluster, there for as long as the block lasts.

    ``LOCAL`` makes one on this machine, without dashboard and without reporting to anybody; other addresses
    are those of ``ray.init``. Where this process is connected to a cluster, that one is used and left as it
    is. Raises ``SupcamError`` when there is no cluster at the address.
    """
    if ray.is_initialized():
        yield n_workers or _n_cores()
        return
    try:
        _check_answer(address)
        _connect(address, n_workers=n_workers)
    except (OSError, RuntimeError, ValueError) as error:
        raise SupcamError(
            f"that no cluster answers ({error})",
            expected="the address of a Ray cluster, auto on one of its machines, or local",
            remedy="check --ray-address, and that ray start was run there",
            where=address,
        ) from error
    try:
        yield n_workers or _n_cores()
    finally:
        ray.shutdown()


def _connect(address: str, *, n_workers: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address != LOCAL:
        ray.init(address=address, **quiet)
        return
    ray.init(
        address=LOCAL,
        num_cpus=n_workers or usable_cores(),
        num_gpus=0,
        include_dashboard=False,
        object_store_memory=_STORE_BYTES,
        **quiet,
    )


def _check_answer(address: str) -> None:
    """Nothing, when somebody listens at an address with host and port. Raises ``OSError`` or ``ValueError``.

    Ray itself would go on asking for minutes.
    """
    host, sign, port = address.removeprefix("ray://").rpartition(":")
    if sign:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


def _n_cores() -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


@contextmanager
def _settings() -> Iterator[None]:
    """Ray Data without bars and news, patient with a worker that is ended while it starts."""
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = _TRIES
    logger = logging.getLogger("ray.data")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with ray.data.DataContext.current(context):
            yield
    finally:
        logger.setLevel(level)


def _beside_me() -> dict[str, object]:
    """The foreman lives and ends with this process' machine, and takes no core."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}


def _split(wanted: Sequence[Wanted], *, n_workers: int) -> list[Sequence[Wanted]]:
    size = max(1, min(_MOST_IN_PART, len(wanted) // (_PARTS_EACH * n_workers)))
    return [wanted[at : at + size] for at in range(0, len(wanted), size)]


def _part_name(wanted: Sequence[Wanted]) -> str:
    """The same for the same pictures, whoever analyses them and how often."""
    return f"part-{fingerprint(*(each.fingerprint for each in wanted))}"


def _rows(part: Sequence[Wanted]) -> pa.Table:
    return pa.table(
        {
            "image": pa.array([each.image for each in part], pa.string()),
            "fingerprint": pa.array([each.fingerprint for each in part], pa.string()),
            "case": pa.array([each.case for each in part], pa.string()),
            "url": pa.array([os.fsencode(each.place.url) for each in part], pa.binary()),
            "content": pa.array([each.place.content for each in part], pa.binary()),
        }
    )


def _table(told: Sequence[Told]) -> pa.Table:
    return pa.table(
        {
            "image": pa.array([each.image for each in told], pa.string()),
            "error": pa.array([each.error for each in told], pa.string()),
            "is_fatal": pa.array([each.is_fatal for each in told], pa.bool_()),
        }
    )


def _packed(model: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(model.iterdir()) if path.is_file()}


def _unpacked(files: Mapping[str, bytes], *, job: Job) -> Model:
    """The model that came with the job. Raises ``SupcamError`` where another version of the program works."""
    if supcam.__version__ != job.version:
        raise SupcamError(
            f"supcam {supcam.__version__} on a worker",
            expected=f"supcam {job.version}",
            remedy="install the same version on all machines",
        )
    with TemporaryDirectory(prefix="supcam-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        return load_model(folder, threads=1, image=job.image, terms=job.terms)


def _unable(error: RayError) -> SupcamError:
    last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return SupcamError(
        f"workers that cannot go on ({last[0].strip()})",
        expected="workers that have the program and room",
        remedy="install supcam[scale] in the same version on all machines; the run can go on where it stood",
    )
