"""Pictures and results wherever fsspec reaches: on a disk, in a bucket, in an archive, in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from supcam.core.disk import write_whole
from supcam.core.types import ImageError, SupcamError

_CHANGES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "md5Hash", "CRC", "created")
"""What file systems call that which changes with a file; the first that is there counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture is: an absolute path, or a URL for fsspec.

    ``stamp`` changes when the file does, as far as its file system tells. ``content`` is the file itself
    where only this process can see it.
    """

    url: str
    stamp: str = ""
    content: bytes | None = None


def is_far(name: str) -> bool:
    """Whether ``name`` is a URL of anything but the local disk."""
    return "://" in name and name.partition("://")[0] not in ("file", "local")


def local_name(name: str) -> str:
    """``name`` as a path, which a URL of the local disk may have been."""
    return str(url_to_fs(name)[1]) if "://" in name else name


def local_place(name: str) -> Place:
    """The place of a local file; one that cannot be seen has no stamp."""
    path = Path(name).absolute()
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return Place(str(path))
    return Place(str(path), stamp=f"{seen.st_size} {seen.st_mtime_ns}")


def open_url(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system behind ``url``, and the path there. Raises ``SupcamError`` without a driver for it."""
    try:
        found: tuple[AbstractFileSystem, str] = url_to_fs(url)
    except Exception as error:  # every driver raises errors of its own
        raise _out_of_reach(url, error) from error
    return found


def list_files(url: str) -> list[Place] | None:
    """The files in a folder with all below, or those that match a pattern; None when ``url`` is neither.

    Sorted by path. Raises ``SupcamError`` when the file system does not answer.
    """
    system, path = open_url(url)
    try:
        if system.isdir(path):
            infos = system.find(path, detail=True)
        elif set("*?[").intersection(path) and not system.exists(path):
            infos = system.glob(path, detail=True)
        else:
            return None
        return [
            _place(infos[key], path=key, url=url, system=system)
            for key in sorted(infos)
            if infos[key].get("type") != "directory"
        ]
    except Exception as error:  # every driver raises errors of its own
        raise _out_of_reach(url, error) from error


def one_file(url: str) -> Place:
    """The place of a single file; one that cannot be seen has no stamp, and fails when it is read."""
    system, path = open_url(url)
    try:
        return _place(system.info(path), path=path, url=url, system=system)
    except Exception:  # every driver raises errors of its own; whoever reads the file will meet it again
        return Place(url)


@contextmanager
def local_copy(place: Place, *, max_bytes: int) -> Iterator[Path]:
    """A local file with the picture: itself, or a copy for as long as the block lasts.

    Raises ``ImageError`` for a far file that cannot be fetched or is larger than ``max_bytes``.
    """
    if not is_far(place.url):
        yield Path(place.url)
        return
    with TemporaryDirectory(prefix="supcam-") as folder:
        copy = Path(folder) / f"picture{Path(place.url.partition('::')[0]).suffix}"
        if place.content is not None:
            copy.write_bytes(place.content)
        else:
            _fetch(place.url, copy=copy, max_bytes=max_bytes)
        yield copy


def _fetch(url: str, *, copy: Path, max_bytes: int) -> None:
    system, path = open_url(url)
    expected = "a readable picture file"
    try:
        size = system.size(path)
        if size is not None and size > max_bytes:
            raise ImageError(
                f"a file of {size} bytes",
                expected=f"at most {max_bytes} bytes",
                remedy="cut the picture, or raise max_bytes",
            )
        system.get_file(path, str(copy))
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError("no file", expected=expected, remedy="check the path") from error
    except Exception as error:  # every driver raises errors of its own
        found = f"a file that cannot be fetched ({type(error).__name__}: {error})"
        raise ImageError(found, expected=expected, remedy="check the path and the connection") from error


def _place(info: Mapping[str, Any], *, path: str, url: str, system: AbstractFileSystem) -> Place:
    """Where ``path`` is; the archive or the like that ``url`` names after ``::`` still holds it."""
    first, sign, rest = url.partition("::")
    protocol = first.partition("://")[0]
    own = f"{protocol}://{path}" if sign else str(system.unstrip_protocol(path))
    changes = next((info[key] for key in _CHANGES if info.get(key) is not None), "")
    content = system.cat_file(path) if isinstance(system, MemoryFileSystem) else None
    return Place(own + sign + rest, stamp=f"{info.get('size', '')} {changes}", content=content)


def _out_of_reach(url: str, error: Exception) -> SupcamError:
    return SupcamError(
        f"{type(error).__name__}: {error}",
        expected="a place that fsspec can reach",
        remedy="check the name and the permissions, and install the driver (s3fs for s3://)",
        where=url,
    )


# Results ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder for results, on any file system. Methods raise ``SupcamError`` when it does not let them."""

    url: str
    system: AbstractFileSystem
    root: str

    def make(self) -> None:
        """The folder is there."""
        try:
            self.system.makedirs(self.root, exist_ok=True)
        except Exception as error:  # every driver raises errors of its own
            raise self._unusable(error) from error

    def write(self, name: str, content: bytes) -> None:
        """A file ``name`` of ``content``: on a disk whole or not at all, elsewhere as the store promises."""
        try:
            if isinstance(self.system, LocalFileSystem):
                write_whole(Path(self.root, name), [content])
                return
            self.system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self.system.pipe_file(self._path(name), content)
        except Exception as error:  # every driver raises errors of its own
            raise self._unusable(error) from error

    def names(self, table: str, *, suffix: str = ".parquet") -> list[str]:
        """The files of ``table`` that end in ``suffix``, below the folder, sorted."""
        try:
            self.system.invalidate_cache()
            if not self.system.isdir(self._path(table)):
                return []
            found = self.system.ls(self._path(table), detail=False)
        except FileNotFoundError:
            return []
        except Exception as error:  # every driver raises errors of its own
            raise self._unusable(error) from error
        files = (path.rstrip("/").rpartition("/")[2] for path in found)
        return sorted(f"{table}/{file}" for file in files if file.endswith(suffix) and file[0] != ".")

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """The files that can be read, by their names."""
        paths = [self._path(name) for name in names]
        try:
            contents = self.system.cat_ranges(paths, None, None, on_error="return") if paths else []
        except Exception as error:  # every driver raises errors of its own
            raise self._unusable(error) from error
        return {name: data for name, data in zip(names, contents, strict=True) if isinstance(data, bytes)}

    def delete(self, names: Sequence[str]) -> None:
        """Nothing is left of the files ``names``."""
        try:
            for name in names:
                if self.system.exists(self._path(name)):
                    self.system.rm_file(self._path(name))
        except Exception as error:  # every driver raises errors of its own
            raise self._unusable(error) from error

    def holds(self, place: Place) -> bool:
        """Whether a picture lies within this folder, where only results belong."""
        if isinstance(self.system, LocalFileSystem):
            return not is_far(place.url) and Path(self.root) in Path(os.path.realpath(place.url)).parents
        return place.url.startswith(f"{str(self.system.unstrip_protocol(self.root)).rstrip('/')}/")

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"

    def _unusable(self, error: Exception) -> SupcamError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return SupcamError(
            f"that it cannot be used ({reason or type(error).__name__})",
            expected="a folder that may be read and written to and has room",
            remedy="make room or choose another output; the run can go on where it stood",
            where=self.url,
        )


def open_folder(url: str) -> Folder:
    """The folder at a path or URL, which need not be there yet. Raises ``SupcamError`` without a driver."""
    if not is_far(url):
        root = os.path.realpath(local_name(url))
        return Folder(root, system=LocalFileSystem(), root=root)
    system, root = open_url(url)
    return Folder(url, system=system, root=root)


def fingerprint(*words: str) -> str:
    """A short name for ``words``, another one when any of them changes."""
    return hashlib.sha256("\n".join(words).encode(errors="surrogateescape")).hexdigest()[:32]
