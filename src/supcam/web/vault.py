"""Files under the SHA-256 of their content: nothing that a user wrote becomes part of a path."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from supcam.core.disk import write_whole
from supcam.core.types import SupcamError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Vault:
    """A folder of files that are found by their content's hash. What is put there is on the disk."""

    folder: Path

    def put(self, content: bytes) -> str:
        """The SHA-256 of ``content``, which is there now. Raises ``OSError``, a full disk's for one."""
        sha256 = hashlib.sha256(content).hexdigest()
        place = self.path(sha256)
        if place.is_file() and place.stat().st_size == len(content):
            os.utime(place)
            return sha256
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(place, [content], durable=True)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The content. Raises ``SupcamError`` when it is not there (any more)."""
        try:
            return self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise SupcamError(
                f"no file {sha256[:12]}", expected="a file in the vault", remedy="it may have been purged"
            ) from error

    def path(self, sha256: str) -> Path:
        """Where the content of that hash lies. Raises ``ValueError`` for what is no hash."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError("no SHA-256 in hexadecimal")
        return self.folder / sha256[:2] / sha256

    def remove(self, sha256: str) -> bool:
        """Whether the content was there; now it is not."""
        place = self.path(sha256)
        was_there = place.is_file()
        place.unlink(missing_ok=True)
        return was_there

    def free_bytes(self) -> int:
        """Room on its disk."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return shutil.disk_usage(self.folder).free

    def all(self) -> list[str]:
        """The hashes of everything in it, sorted."""
        return sorted(path.name for path in self.folder.glob("??/*") if _SHA256.fullmatch(path.name))
