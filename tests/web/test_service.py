from __future__ import annotations

from pathlib import Path

import pytest
from tests.service import service_config

from supcam.core.types import BundleError
from supcam.web.service import open_service


def test_a_service_opens_with_an_empty_folder(tmp_path: Path, model_folder: Path) -> None:
    service = open_service(service_config(tmp_path, model=model_folder))
    assert service.vault.folder.is_dir()
    assert service.vault.folder.stat().st_mode & 0o077 == 0
    assert service.model.card.name == "tiny"
    assert service.keeper.pids == []
    service.database.close()


def test_a_service_without_its_model_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        open_service(service_config(tmp_path, model=tmp_path / "none"))
