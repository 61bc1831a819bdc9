"""What a long run ran on, how busy that was, and what a service takes of it."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tests.measured import resident_bytes
from tests.service import workers_of

import supcam

_PACKAGES = ("fastapi", "locust", "numpy", "onnxruntime", "psycopg", "sqlalchemy", "starlette", "uvicorn")
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Use:
    """What a server and its workers take at a moment; a worker's memory is that of the largest one."""

    server_mb: float
    worker_mb: float
    n_threads: int
    n_files: int

    @property
    def is_whole(self) -> bool:
        """Whether server and workers were there."""
        return self.server_mb > 0 and self.worker_mb > 0


def use_of(server: int) -> Use:
    """What the server with that process id and its workers take now."""
    workers = [resident_bytes(pid) for pid in workers_of(server)]
    return Use(
        server_mb=round(resident_bytes(server) / _MB, 1),
        worker_mb=round(max(workers, default=0) / _MB, 1),
        n_threads=sum(1 for _ in Path(f"/proc/{server}/task").iterdir()),
        n_files=sum(1 for _ in Path(f"/proc/{server}/fd").iterdir()),
    )


def processor_s(pid: int) -> float:
    """Processor time that a process has taken so far: the same on a busy machine and on a quiet one."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_average() -> list[float]:
    """How many processes wanted to run, in the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def about() -> dict[str, object]:
    """Machine and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": named[0] if named else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "supcam": supcam.__version__,
        "commit": _commit(),
        "niceness": os.nice(0),
        **{name: version(name) for name in _PACKAGES},
    }


def _commit() -> str:
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "unknown"
