"""Wheel and sources of a release, built so that anybody who builds them again gets the same bytes."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LONG_AGO_S = 1_000_000_000
"""Any time but now."""


class DiffersError(Exception):
    """What was built twice is not the same."""


def commit_time() -> str:
    """When the last commit was made, in seconds; the time that is written into what is built."""
    asked = os.environ.get("SOURCE_DATE_EPOCH")
    return asked or _told("git", "log", "-1", "--format=%ct").strip()


def build_release(output: Path) -> list[Path]:
    """Wheel and sources in ``output``. Raises ``DiffersError`` when a second build gives other bytes.

    Built is what git knows of. The second build lies in another folder, with other times and permissions of
    the files; a third one makes the wheel from the sources alone.
    """
    with tempfile.TemporaryDirectory() as made:
        here, there = Path(made, "here"), Path(made, "there", "deeper")
        copy_known(here)
        copy_known(there)
        _disturb(there)
        first, second = _build(here, targets="both"), _build(there, targets="both")
        require_same(first, second)
        sources = next(path for path in first if path.name.endswith(".tar.gz"))
        with tarfile.open(sources) as archive:
            archive.extractall(Path(made, "sources"), filter="data")
        unpacked = next(Path(made, "sources").iterdir())
        wheel = next(path for path in first if path.suffix == ".whl")
        require_same([wheel], _build(unpacked, targets="wheel"))
        output.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(path, output)) for path in first]


def copy_known(folder: Path) -> None:
    """Every file that git knows of, copied to ``folder`` as it is now."""
    for name in _told("git", "ls-files", "-z").rstrip("\0").split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _disturb(folder: Path) -> None:
    """Other times and permissions, as another checkout would have them."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o600)
            os.utime(path, (_LONG_AGO_S, _LONG_AGO_S))


def _build(folder: Path, *, targets: str) -> list[Path]:
    wanted = ["-t", "wheel"] if targets == "wheel" else ["-t", "sdist", "-t", "wheel"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": commit_time()}
    subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "hatchling", "build", *wanted, "-d", "built"],
        cwd=folder, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return sorted((folder / "built").iterdir())


def require_same(first: list[Path], second: list[Path]) -> None:
    """Nothing, when both builds made the same files with the same bytes. Else raises ``DiffersError``."""
    for one, other in zip(first, second, strict=True):
        if one.name != other.name or sha256(one) != sha256(other):
            raise DiffersError(f"{one.name} and {other.name} differ: {sha256(one)}, {sha256(other)}")


def _told(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout


def main() -> None:
    """Builds into the folder that is named, and writes the hashes beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    built = build_release(folder)
    lines = [f"{sha256(path)}  {path.name}" for path in built]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("built three times, the same bytes each time", *lines, sep="\n")


if __name__ == "__main__":
    main()
