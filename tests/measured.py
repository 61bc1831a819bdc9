"""Processes: how a command ends, what it says, how much memory it takes; how much others have now."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; ``peak_bytes`` is the largest resident size of it or of a child of its."""

    status: int
    told: str
    peak_bytes: int


_STARTER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    print(status, usage.ru_maxrss, file=file)
"""
"""A process inherits its starter's largest size: this one is small, the tests' own is not."""


def supcam_measured(*arguments: str | Path) -> Outcome:
    """``supcam`` with these arguments, however it ends; a negative status is the signal that killed it."""
    command: Sequence[str] = [sys.executable, "-m", "supcam", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as told:
        usage = Path(folder, "usage")
        starter = [sys.executable, "-S", "-c", _STARTER, str(usage), *command]
        subprocess.run(starter, stdout=told, stderr=told, check=True)
        status, peak_kib = map(int, usage.read_text().split())
        told.seek(0)
        text = told.read().decode(errors="replace")
    return Outcome(os.waitstatus_to_exitcode(status), told=text, peak_bytes=peak_kib * 1024)


def resident_bytes(pid: int, *, peak: bool = False) -> int:
    """Memory that a process has now, or the most it ever had; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    wanted = "VmHWM:" if peak else "VmRSS:"
    return sum(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(wanted))
