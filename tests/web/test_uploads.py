from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send
from tests.service import picture_bytes

from supcam.core.types import ImageError
from supcam.web.config import Limits
from supcam.web.uploads import BodyLimit, check_pages, check_start, take_in
from supcam.web.vault import Vault

Chunk = Callable[[], Awaitable[bytes]]


def status_of(limits: Limits, chunks: list[Chunk]) -> int:
    """What becomes of a body that arrives in these pieces."""

    async def read_all(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    async def receive() -> Message:
        body = await chunks.pop(0)()
        return {"type": "http.request", "body": body, "more_body": bool(chunks)}

    async def send(_message: Message) -> None:
        return None

    try:
        asyncio.run(BodyLimit(read_all, limits=limits)({"type": "http"}, receive, send))
    except HTTPException as error:
        return error.status_code
    return 200


async def kilobyte() -> bytes:
    return bytes(1000)


async def never() -> bytes:
    await asyncio.sleep(60)
    return b""


def test_a_body_is_counted_while_it_arrives() -> None:
    limits = Limits(max_request_bytes=3000)
    assert status_of(limits, [kilobyte] * 3) == 200
    assert status_of(limits, [kilobyte] * 9) == 413


def test_a_body_that_does_not_come_is_given_up() -> None:
    assert status_of(Limits(upload_s=0.05), [kilobyte, never]) == 408


def test_files_lie_in_the_vault_under_their_hash(vault: Vault) -> None:
    files = [UploadFile(io.BytesIO(picture_bytes(n)), filename=f"{n}.png") for n in range(2)]
    uploads = take_in(files, kind="metaphase", case="K-1", vault=vault, limits=Limits(min_free_bytes=0))
    assert [vault.get(each.sha256) for each in uploads] == [picture_bytes(0), picture_bytes(1)]
    assert [each.name for each in uploads] == ["0.png", "1.png"]


def test_one_stranger_among_them_and_none_is_taken(vault: Vault) -> None:
    files = [UploadFile(io.BytesIO(content)) for content in (picture_bytes(0), b"GIF89a")]
    with pytest.raises(HTTPException) as refused:
        take_in(files, kind="metaphase", case="", vault=vault, limits=Limits(min_free_bytes=0))
    assert refused.value.status_code == 415
    assert vault.all() == []


def test_pictures_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    check_start(picture_bytes(0)[:16])
    for start in (b"", b"\x89PNG", b"<svg"):
        with pytest.raises(HTTPException):
            check_start(start)


def test_a_file_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(5):
            writer.write(np.zeros((8, 8), np.uint8))
    check_pages(path, limits=Limits(max_pages=5))
    with pytest.raises(ImageError, match="5 pages"):
        check_pages(path, limits=Limits(max_pages=4))
    path.write_bytes(b"II*\0" + bytes(3))
    with pytest.raises(ImageError):
        check_pages(path, limits=Limits())
    path.write_bytes(picture_bytes(0))
    check_pages(path, limits=Limits())
