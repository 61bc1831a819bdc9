"""Decided objects that resemble one: nearest by the cosine of the network's embeddings."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from supcam.core.types import ClusterType
from supcam.web.recording import SeenFile, read_seen
from supcam.web.results import object_views
from supcam.web.schemas import SeenView, SimilarView
from supcam.web.store import NotThereError, holds, latest_prediction
from supcam.web.tables import AnalysisRow, DecisionRow, Image, PredictionRow
from supcam.web.vault import Vault


def similar(session: Session, *, vault: Vault, object_id: str, limit: int) -> tuple[SimilarView, ...]:
    """The decided objects most like ``object_id``, read by the same model, the most similar first."""
    own = latest_prediction(session, object_id=object_id)
    row, index = _seen_place(session, own)
    rows, vectors = _decided(session, vault=vault, model_sha256=own.model_sha256, but=object_id)
    if not rows:
        return ()
    cosines = np.stack(vectors) @ _unit(_seen(vault, row.seen_sha256).embeddings[index])
    best = np.argsort(-cosines, kind="stable")[:limit]
    views = object_views(session, [rows[n] for n in best])
    return tuple(
        SimilarView(object=view, similarity=round(float(cosines[n]), 6))
        for n, view in zip(best, views, strict=True)
    )


def seen_view(session: Session, *, vault: Vault, object_id: str) -> SeenView:
    """Where the network looked in an object. Raises ``NotThereError`` when it was not asked."""
    row, index = _seen_place(session, latest_prediction(session, object_id=object_id))
    seen = _seen(vault, row.seen_sha256)
    top, left, side = (float(value) for value in seen.squares[index])
    maps = {kind.label: seen.maps[index, int(kind)].astype(float).round(4).tolist() for kind in ClusterType}
    return SeenView(top_px=top, left_px=left, side_px=side, maps=maps)


def _seen_place(session: Session, prediction: PredictionRow) -> tuple[AnalysisRow, int]:
    if prediction.seen_index is None:
        raise NotThereError(
            "an object that no model was asked about",
            expected="one that was read",
            remedy="choose another object",
        )
    return session.get_one(AnalysisRow, prediction.analysis_id), prediction.seen_index


def _decided(
    session: Session, *, vault: Vault, model_sha256: str, but: str
) -> tuple[list[PredictionRow], list[np.ndarray]]:
    query = (
        select(PredictionRow, AnalysisRow.seen_sha256)
        .join(AnalysisRow, AnalysisRow.id == PredictionRow.analysis_id)
        .join(Image, Image.id == AnalysisRow.image_id)
        .where(
            PredictionRow.model_sha256 == model_sha256,
            PredictionRow.seen_index.is_not(None),
            PredictionRow.object_id != but,
            Image.purged_s.is_(None),
            exists().where((DecisionRow.object_id == PredictionRow.object_id) & holds()),
        )
        .order_by(PredictionRow.id)
    )
    last = {row.object_id: (row, sha256) for row, sha256 in session.execute(query)}
    rows = [row for row, _ in last.values()]
    vectors = [_unit(_seen(vault, sha256).embeddings[row.seen_index or 0]) for row, sha256 in last.values()]
    return rows, vectors


@lru_cache(maxsize=512)
def _seen(vault: Vault, sha256: str) -> SeenFile:
    """Files never change under their hash, so that they may be kept; a purge removes their rows."""
    return read_seen(vault.get(sha256))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def forget() -> None:
    """Nothing of what was read is kept in memory, after a purge."""
    _seen.cache_clear()
