"""Files that come in: so many, so large, in so much time; what they are is told by their content."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from anyio import fail_after
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from tifffile import TiffFile

from supcam.core.decoding import TIFF_STARTS
from supcam.core.types import ImageError
from supcam.web.config import Limits
from supcam.web.store import Upload
from supcam.web.vault import Vault

_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", *TIFF_STARTS)


class Incoming(Protocol):
    """What is asked of an uploaded file."""

    @property
    def filename(self) -> str | None:
        """What the user called it."""
        ...

    @property
    def file(self) -> BinaryIO:
        """Its content."""
        ...


class BodyLimit:
    """ASGI middleware: a body that is too long, or takes too long to arrive, is not read to its end."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits, n_bytes, is_over = self._limits, 0, False
        deadline = time.monotonic() + limits.upload_s

        async def limited() -> Message:
            nonlocal n_bytes, is_over
            if is_over:
                return await receive()
            try:
                with fail_after(max(0.0, deadline - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body took longer than {limits.upload_s:g} s") from None
            n_bytes += len(message.get("body", b""))
            if n_bytes > limits.max_request_bytes:
                raise HTTPException(413, f"more than {limits.max_request_bytes} bytes in one request")
            is_over = not message.get("more_body", False)
            return message

        await self._app(scope, limited, send)


def take_in(files: Sequence[Incoming], *, kind: str, case: str, vault: Vault, limits: Limits) -> list[Upload]:
    """The files of a request, in the vault now. Raises ``HTTPException``: 413, 415, 422, 507."""
    if not 1 <= len(files) <= limits.max_files:
        raise HTTPException(422, f"{len(files)} files; expected 1 to {limits.max_files} in the field 'files'")
    for each in files:
        check_start(each.file.read(16))
        each.file.seek(0)
    if vault.free_bytes() < limits.min_free_bytes:
        raise HTTPException(507, "no room on the disk", headers={"Retry-After": "60"})
    return [_take(each, kind=kind, case=case, vault=vault, limits=limits) for each in files]


def _take(each: Incoming, *, kind: str, case: str, vault: Vault, limits: Limits) -> Upload:
    content = each.file.read(limits.max_file_bytes + 1)
    if len(content) > limits.max_file_bytes:
        raise HTTPException(413, f"a file of more than {limits.max_file_bytes} bytes")
    each.file.seek(0)
    return Upload(kind, sha256=vault.put(content), n_bytes=len(content), case=case, name=each.filename or "")


def check_start(start: bytes) -> None:
    """Nothing for the first bytes of a picture that can be read. Raises ``HTTPException`` 415."""
    if not start.startswith(_STARTS):
        raise HTTPException(415, "a file that is no PNG, JPEG, BMP or TIFF picture, whatever its name")


def check_pages(path: Path, *, limits: Limits) -> None:
    """Nothing for a file of few pages; runs where pictures are decoded. Raises ``ImageError``."""
    with path.open("rb") as file:
        if not file.read(4).startswith(TIFF_STARTS):
            return
    try:
        with TiffFile(path) as tiff:
            n_pages = len(tiff.pages)
    except Exception as error:
        raise ImageError(
            f"a damaged TIFF file ({type(error).__name__})", expected="a whole one", remedy="export it again"
        ) from error
    if n_pages > limits.max_pages:
        raise ImageError(
            f"{n_pages} pages",
            expected=f"at most {limits.max_pages}",
            remedy="save the page that counts alone",
        )
