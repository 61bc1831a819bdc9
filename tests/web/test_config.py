from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from supcam.web.config import Limits, ServiceConfig


def test_this_machine_alone_needs_no_token() -> None:
    assert not ServiceConfig().needs_token
    assert not ServiceConfig(host="::1").needs_token
    assert ServiceConfig(host="0.0.0.0").needs_token
    assert ServiceConfig(require_token=True).needs_token


def test_rows_and_files_are_in_the_data_folder_unless_told_otherwise() -> None:
    config = ServiceConfig(data=Path("x"))
    assert config.database_url.startswith("sqlite:////")
    assert config.database_url.endswith("x/supcam.sqlite")
    assert config.vault == Path("x/vault")
    assert ServiceConfig(database="postgresql://h/d").database_url == "postgresql://h/d"


def test_unknown_settings_and_bad_ranges_are_errors() -> None:
    with pytest.raises(ValidationError):
        ServiceConfig.model_validate({"prot": 1})
    with pytest.raises(ValidationError):
        Limits(queue=0)
