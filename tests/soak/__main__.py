"""Long proofs of the service: crops, load, faults, broken pictures, requests of all kinds (--help)."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tests.postgres import postgres
from tests.service import free_port
from tests.soak import crops, document, faults, fuzz, load
from tests.soak.report import Report

from supcam.web.config import ServiceConfig

_DESCRIPTION = """Long proofs of the service, part by part:

  crops      crops handed in and read while somebody reviews; memory must stay flat
  load       requests a second, latencies and memory at 1, 8 and 64 clients (Locust), and what is beyond
  faults     workers and servers killed, PostgreSQL stopped, the disk full, clients gone in mid-upload
  fuzz       broken pictures through the decoder
  document   requests drawn from the OpenAPI document, one by one and in sequences (Schemathesis)

What is finished is kept in OUTPUT/service_soak.json and .md; the same command goes on with the rest. The
figures mean what they say on a machine that does nothing else: its load is written beside them.
"""
Run = Callable[[], object]


def runs(given: argparse.Namespace, *, folder: Path) -> dict[str, Run]:
    """All parts with what they do."""
    return {
        "crops": partial(_crops, given, folder=given.output / "soak-data"),
        "load": partial(_load, given, folder=folder),
        "beyond": partial(_beyond, given, folder=folder),
        "faults": partial(_faults, given, folder=folder),
        "fuzz": partial(_fuzz, given),
        "document": partial(_document, given, folder=folder),
    }


def _config(folder: Path, name: str, *, given: argparse.Namespace) -> ServiceConfig:
    return ServiceConfig(data=folder / name / "data", port=free_port(), workers=given.workers)


def _crops(given: argparse.Namespace, *, folder: Path) -> object:
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(folder, "crops", given=given)
    done = crops.endure(
        config, n_crops=given.crops, every=max(1, given.crops // 40), notes=folder / "samples.jsonl"
    )
    _demand(done.is_flat and done.n_done == given.crops and not done.n_twice, "crops", done)
    return asdict(done)


def _load(given: argparse.Namespace, *, folder: Path) -> object:
    config = _config(folder, "load", given=given)
    found = load.measure(config, n_clients=given.clients, seconds=given.seconds)
    _demand(not any(each.all.n_failed for each in found), "load", found)
    return [asdict(each) for each in found]


def _beyond(given: argparse.Namespace, *, folder: Path) -> object:
    often = load.too_often(_config(folder, "often", given=given), seconds=given.seconds / 3)
    much = load.too_much(_config(folder, "much", given=given), n_crops=10 * given.faults)
    for each in (often, much):
        _demand(each.all_tell_when and each.is_ready and each.n_done == each.n_accepted, "beyond", each)
    return [{"what": "too often"} | asdict(often), {"what": "too much"} | asdict(much)]


def _faults(given: argparse.Namespace, *, folder: Path) -> object:
    n, some = given.faults, 10 * given.faults
    config = partial(_config, folder, given=given)
    found: dict[str, Any] = {
        "workers killed": faults.kill_workers(config("workers"), n_crops=some, n_kills=n),
        "servers killed": faults.kill_servers(config("servers"), n_crops=some, n_kills=n),
    }
    with postgres() as cluster:
        found["database stopped"] = faults.stop_database(
            config("database"), cluster=cluster, n_crops=some, n_stops=n
        )
    small = config("disk")
    with faults.small_disk(small.data.parent, megabytes=16) as enlarge:
        found["disk full"] = faults.fill_disk(small, megabytes=16, enlarge=enlarge)
    for each in found.values():
        _demand(each.is_whole, "faults", each)
    gone = faults.leave(config("gone"), n_clients=some)
    _demand(not gone.n_pictures and not gone.n_files_left, "faults", gone)
    return [{"what": name} | asdict(each) for name, each in found.items()] + [
        {"what": "clients gone in mid-upload"} | asdict(gone)
    ]


def _fuzz(given: argparse.Namespace) -> object:
    done = fuzz.fuzz(given.output / "mutants", first=given.first_mutant, n=given.mutants)
    _demand(done.is_clean, "fuzz", done)
    return asdict(done)


def _document(given: argparse.Namespace, *, folder: Path) -> object:
    done = document.keep_to_it(_config(folder, "document", given=given), n_each=given.requests)
    return asdict(done)


def _demand(holds: bool, part: str, found: object) -> None:
    if not holds:
        sys.exit(f"{part}: {found}")


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("parts", nargs="*", help="the parts to run; all of them unless some are named")
    add("--output", type=Path, default=Path("out/soak"), help="folder of the report (out/soak)")
    add("--fresh", action="store_true", help="begin anew, forget what is finished")
    add("--workers", type=int, default=2, help="processes that read pictures (2)")
    add("--crops", type=int, default=10_000, help="crops to read (10000)")
    add("--clients", type=int, nargs="+", default=list(load.N_CLIENTS), help="clients at once (1 8 64)")
    add("--seconds", type=float, default=30.0, help="time under each load (30)")
    add("--faults", type=int, default=20, help="how often each thing goes wrong (20)")
    add("--mutants", type=int, default=100_000, help="broken pictures (100000)")
    add("--first-mutant", type=int, default=0, help="the first one's number: others are others (0)")
    add("--requests", type=int, default=200, help="requests at each operation of the API (200)")
    given = parser.parse_args(arguments)
    known = runs(given, folder=Path())
    if unknown := set(given.parts) - set(known):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return given


def main() -> None:
    """The parts that are wanted and not finished yet."""
    given = parsed(sys.argv[1:])
    report = Report(given.output / "service_soak.json")
    if given.fresh:
        report.path.unlink(missing_ok=True)
    command = shlex.join(["scripts/soak", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as name:
        for part, run in runs(given, folder=Path(name)).items():
            if part in given.parts or not given.parts:
                print(f"{part} ...", flush=True)
                report.add(part, run, command=command)
    print(report.path.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
