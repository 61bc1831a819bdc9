from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.service import stored

from supcam.core.rle import Rle, decode_rle
from supcam.core.types import ClusterType
from supcam.data.manifest import read_manifest
from supcam.pack.bundle import Model
from supcam.web.database import Database
from supcam.web.export import cell, coco, decisions_csv, objects_csv, write_training_set
from supcam.web.schemas import NewDecision
from supcam.web.store import decide
from supcam.web.tables import ObjectRow
from supcam.web.vault import Vault


@pytest.fixture
def decided(database: Database, vault: Vault, model: Model) -> list[str]:
    """The ids of three objects: decided instance, a touching pair, and rejected."""
    stored(database, vault=vault, model=model)
    with database.writing() as session:
        query = select(ObjectRow.id).where(ObjectRow.cut_sha256 != "").order_by(ObjectRow.id).limit(3)
        ids = list(session.scalars(query))
        for object_id, kind in zip(ids, ("instance", "touching", "rejected"), strict=True):
            new = NewDecision.model_validate({"type": kind})
            decide(session, new, object_id=object_id, reviewer="ann", now=database.now(session))
    return ids


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_decisions_are_found_in_the_table(database: Database, decided: list[str]) -> None:
    with database.reading() as session:
        rows = table("".join(decisions_csv(session)))
    assert [(row["object_id"], row["type"]) for row in rows] == [
        (decided[0], "instance"), (decided[1], "touching"), (decided[2], "rejected"),
    ]  # fmt: skip
    assert {row["model_version"] for row in rows} == {"1.2.3"}


def test_objects_stand_with_model_and_decision(database: Database, decided: list[str]) -> None:
    with database.reading() as session:
        rows = {row["object_id"]: row for row in table("".join(objects_csv(session)))}
        assert not table("".join(objects_csv(session, case="K-2")))
    assert rows[decided[1]]["decided_type"] == "touching"
    assert rows[decided[1]]["reviewer"] == "ann"
    assert sum(bool(row["decided_type"]) for row in rows.values()) == 3


def test_coco_holds_masks_as_decided(database: Database, decided: list[str]) -> None:
    with database.reading() as session:
        found = coco(session)
    annotations = {each["object_id"]: each for each in found["annotations"]}  # type: ignore[attr-defined]
    assert decided[2] not in annotations
    assert annotations[decided[1]]["category_id"] == int(ClusterType.TOUCHING) + 1
    for each in annotations.values():
        rle: Rle = each["segmentation"]
        assert decode_rle(rle).sum() == each["area"]


def test_the_training_set_is_read_as_a_manifest(
    database: Database, vault: Vault, decided: list[str], tmp_path: Path
) -> None:
    file = io.BytesIO()
    with database.reading() as session:
        assert write_training_set(session, file, vault=vault) == 3
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "set")
    manifest = read_manifest(tmp_path / "set")
    assert not manifest.unreadable
    assert sorted((each.type, each.n_chromosomes) for each in manifest.samples if each.type is not None) == [
        (ClusterType.INSTANCE, 1), (ClusterType.TOUCHING, 2),
    ]  # fmt: skip
    assert {each.case for each in manifest.samples} == {"K-1"}
    assert len(table((tmp_path / "set" / "rejected.csv").read_text())) == 1
    assert {path.parent.name for path in (tmp_path / "set").glob("*/*.png")} == {"0", "1", "rejected"}


@pytest.mark.parametrize(
    ("value", "told"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("K-1", "K-1"), (None, ""), (-1, -1)]
)
def test_a_spreadsheet_is_given_no_formula(value: object, told: object) -> None:
    assert cell(value) == told
