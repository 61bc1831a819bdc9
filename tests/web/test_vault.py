from __future__ import annotations

import hashlib

import pytest

from supcam.core.types import SupcamError
from supcam.web.vault import Vault


def test_what_is_put_is_found_by_its_hash(vault: Vault) -> None:
    sha256 = vault.put(b"content")
    assert sha256 == hashlib.sha256(b"content").hexdigest()
    assert vault.put(b"content") == sha256
    assert vault.get(sha256) == b"content"
    assert vault.all() == [sha256]
    assert vault.remove(sha256)
    assert not vault.remove(sha256)
    assert vault.all() == []


def test_what_is_gone_is_said(vault: Vault) -> None:
    with pytest.raises(SupcamError, match="purged"):
        vault.get("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "/x"])
def test_a_name_that_is_no_hash_leads_nowhere(vault: Vault, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        vault.path(name)


def test_a_file_cut_short_is_written_again(vault: Vault) -> None:
    sha256 = vault.put(b"content")
    vault.path(sha256).write_bytes(b"con")
    assert vault.get(vault.put(b"content")) == b"content"


def test_nothing_is_left_of_a_write_that_failed(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        vault.put(b"content")
    assert not [path for path in vault.folder.rglob("*") if path.is_file()]


def test_there_is_some_room(vault: Vault) -> None:
    assert vault.free_bytes() > 0
