from __future__ import annotations

from pathlib import Path

import pytest
from tests.service import picture_bytes

from supcam.core.types import ConfigError, SupcamError
from supcam.web.serving import opened, purge_now, service_config
from supcam.web.tokens import create_token, list_tokens
from supcam.web.vault import Vault


def test_a_file_adds_what_the_command_line_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("lease_s = 5.0\n[limits]\nqueue = 7\n")
    config = service_config({"port": 9}, toml=path)
    assert (config.port, config.lease_s, config.limits.queue) == (9, 5.0, 7)
    with pytest.raises(ConfigError, match="lease_s in the file"):
        service_config({"lease_s": 1.0}, toml=path)
    path.write_text("quue = 7\n")
    with pytest.raises(ConfigError, match="quue"):
        service_config({}, toml=path)


def test_a_store_is_opened_for_a_moment(tmp_path: Path) -> None:
    with opened(data=tmp_path / "data", database="") as store:
        create_token(store, name="ann", role="reader", actor="terminal")
    with opened(data=tmp_path / "data", database="") as store:
        assert len(list_tokens(store)) == 1


def test_a_purge_says_what_it_did(tmp_path: Path) -> None:
    Vault(tmp_path / "vault").put(picture_bytes(0))
    told = purge_now(case=None, older_than_days=0.0, data=tmp_path, database="")
    assert told == "0 pictures purged, 0 files removed; 0 decisions stay"
    with pytest.raises(SupcamError, match="one of them"):
        purge_now(case="a", older_than_days=1.0, data=tmp_path, database="")
