from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import select
from tests.service import stored

from supcam.pack.bundle import Model
from supcam.web import nearest
from supcam.web.database import Database
from supcam.web.nearest import forget, seen_view, similar
from supcam.web.recording import read_seen
from supcam.web.schemas import NewDecision
from supcam.web.store import decide
from supcam.web.tables import AnalysisRow, PredictionRow
from supcam.web.vault import Vault


def test_the_nearest_are_those_of_a_plain_search(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    with database.writing() as session:
        rows = list(session.scalars(select(PredictionRow).where(PredictionRow.seen_index.is_not(None))))
        sha256 = session.scalars(select(AnalysisRow.seen_sha256)).one()
        for row in rows[1:]:
            decide(session, NewDecision(type="instance"), object_id=row.object_id, reviewer="a", now=1.0)
    vectors = read_seen(vault.get(sha256)).embeddings
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    own = vectors[rows[0].seen_index or 0]
    cosines = {row.object_id: float(vectors[row.seen_index or 0] @ own) for row in rows[1:]}
    with database.reading() as session:
        found = similar(session, vault=vault, object_id=rows[0].object_id, limit=4)
    assert len(found) == 4
    best = sorted(cosines.values(), reverse=True)[:4]
    np.testing.assert_allclose([each.similarity for each in found], best, atol=1e-5)
    np.testing.assert_allclose([cosines[each.object.id] for each in found], best, atol=1e-5)


def test_maps_are_those_of_the_network(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    forget()
    with database.reading() as session:
        row = session.scalars(select(PredictionRow).where(PredictionRow.seen_index == 0)).one()
        view = seen_view(session, vault=vault, object_id=row.object_id)
    assert view.side_px > 0
    assert np.shape(view.maps["touching"]) == np.shape(view.maps["instance"])


def test_only_so_many_are_searched(
    database: Database, vault: Vault, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those found last: an older one does not come up, however similar."""
    stored(database, vault=vault, model=model)
    with database.writing() as session:
        query = select(PredictionRow).where(PredictionRow.seen_index.is_not(None)).order_by(PredictionRow.id)
        rows = list(session.scalars(query))
        for row in rows:
            decide(session, NewDecision(type="instance"), object_id=row.object_id, reviewer="a", now=1.0)
    monkeypatch.setattr(nearest, "_MOST_SEARCHED", 3)
    with database.reading() as session:
        near = similar(session, vault=vault, object_id=rows[0].object_id, limit=10)
    assert {each.object.id for each in near} == {row.object_id for row in rows[-3:]}
