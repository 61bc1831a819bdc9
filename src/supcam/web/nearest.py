"""Decided objects that resemble one: nearest by the cosine of the network's embeddings."""

from __future__ import annotations

from dataclasses import dataclass
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

_MOST_SEARCHED = 5000
"""Beyond these the search would keep others waiting."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the embedding behind a prediction lies: in which file, at which place."""

    prediction_id: int
    seen_sha256: str
    seen_index: int


def similar(session: Session, *, vault: Vault, object_id: str, limit: int) -> tuple[SimilarView, ...]:
    """The decided objects most like ``object_id``, read by the same model, the most similar first.

    Those found last are searched, ``_MOST_SEARCHED`` of them.
    """
    own = latest_prediction(session, object_id=object_id)
    row, index = _seen_place(session, own)
    decided = _decided(session, model_sha256=own.model_sha256, but=object_id)
    if not decided:
        return ()
    vectors = [_unit(_seen(vault, each.seen_sha256).embeddings[each.seen_index]) for each in decided]
    cosines = np.stack(vectors) @ _unit(_seen(vault, row.seen_sha256).embeddings[index])
    best = np.argsort(-cosines, kind="stable")[:limit]
    rows = [session.get_one(PredictionRow, decided[n].prediction_id) for n in best]
    return tuple(
        SimilarView(object=view, similarity=round(float(cosines[n]), 6))
        for n, view in zip(best, object_views(session, rows), strict=True)
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


def _decided(session: Session, *, model_sha256: str, but: str) -> list[_Place]:
    """Where the embeddings of decided objects lie, of each object the last one, the oldest first."""
    query = (
        select(PredictionRow.object_id, PredictionRow.id, AnalysisRow.seen_sha256, PredictionRow.seen_index)
        .join(AnalysisRow, AnalysisRow.id == PredictionRow.analysis_id)
        .join(Image, Image.id == AnalysisRow.image_id)
        .where(
            PredictionRow.model_sha256 == model_sha256,
            PredictionRow.seen_index.is_not(None),
            PredictionRow.object_id != but,
            Image.purged_s.is_(None),
            exists().where((DecisionRow.object_id == PredictionRow.object_id) & holds()),
        )
        .order_by(PredictionRow.id.desc())
        .limit(_MOST_SEARCHED)
    )
    rows = reversed(session.execute(query).all())
    return list({row[0]: _Place(row[1], seen_sha256=row[2], seen_index=row[3] or 0) for row in rows}.values())


@lru_cache(maxsize=512)
def _seen(vault: Vault, sha256: str) -> SeenFile:
    """Files never change under their hash, so that they may be kept; a purge removes their rows."""
    return read_seen(vault.get(sha256))


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def forget() -> None:
    """Nothing of what was read is kept in memory, after a purge."""
    _seen.cache_clear()
