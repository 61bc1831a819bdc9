"""A PostgreSQL of a test's own, which may be stopped and started: Debian's, run by its own user."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.service import POSTGRES, free_port


@dataclass(frozen=True, slots=True)
class Postgres:
    """A cluster in ``folder``; it runs between ``start`` and ``stop``."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its first database."""
        return self.url_of("postgres")

    def url_of(self, name: str) -> str:
        """One of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """It answers now."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        self.control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """It is gone, and whoever was connected is cut off; ``immediate``: as if the power had failed."""
        self.control("-w", "-m", mode, "stop")

    def control(self, *arguments: str) -> None:
        """One call of ``pg_ctl``."""
        command = _as_postgres(_tool("pg_ctl"), "-D", str(self.folder / "data"), *arguments)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def run(self, tool: str, *arguments: str) -> None:
        """A tool of PostgreSQL's, ``pg_dump`` for one, with this cluster as its server."""
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "postgres"}
        subprocess.run([_tool(tool), *arguments], check=True, env=os.environ | where)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A cluster that is running. Where PostgreSQL is not installed the test is skipped.

    It fails instead where the tests are to use PostgreSQL (``SUPCAM_TEST_POSTGRES``).
    """
    if not _folder_of_tools():
        reason = "no PostgreSQL is installed (scripts/test-postgres installs it)"
        pytest.fail(reason, pytrace=False) if POSTGRES else pytest.skip(reason)
    with tempfile.TemporaryDirectory() as name:
        cluster = Postgres(Path(name), port=free_port())
        if os.getuid() == 0:
            shutil.chown(cluster.folder, "postgres")
        initdb = (_tool("initdb"), "-D", str(cluster.folder / "data"), "--auth=trust", "--username=postgres")
        subprocess.run(
            _as_postgres(*initdb, "--encoding=UTF8", "--no-sync"),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=cluster.folder,
        )
        cluster.start()
        try:
            yield cluster
        finally:
            if (cluster.folder / "data" / "postmaster.pid").exists():
                cluster.stop("immediate")


def _folder_of_tools() -> Path | None:
    """Where ``pg_ctl`` and the others of the newest version lie."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _tool(name: str) -> str:
    return str((_folder_of_tools() or Path()) / name)


def _as_postgres(*command: str) -> list[str]:
    """PostgreSQL refuses to be run by root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else [*command]
