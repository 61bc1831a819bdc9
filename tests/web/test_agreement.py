from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.service import stored

from supcam.pack.bundle import Model
from supcam.web.agreement import agreement, kappa
from supcam.web.database import Database
from supcam.web.schemas import NewDecision
from supcam.web.store import decide
from supcam.web.tables import ObjectRow
from supcam.web.vault import Vault


def test_kappa_is_cohens() -> None:
    """Fleiss' textbook example: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no gives 0.4."""
    pairs = 20 * [("y", "y")] + 5 * [("y", "n")] + 10 * [("n", "y")] + 15 * [("n", "n")]
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("y", "y")] * 3) is None


def test_two_reviewers_are_compared_by_their_last_words(
    database: Database, vault: Vault, model: Model
) -> None:
    stored(database, vault=vault, model=model)
    words = {
        "ann": ["touching", "instance", "rejected", "instance"],
        "bob": ["touching", "touching", "rejected"],
    }
    with database.writing() as session:
        ids = list(session.scalars(select(ObjectRow.id).order_by(ObjectRow.id)))
        for who, kinds in words.items():
            for object_id, kind in zip(ids, kinds, strict=False):
                new = NewDecision.model_validate({"type": kind})
                decide(session, new, object_id=object_id, reviewer=who, now=1.0)
    with database.reading() as session:
        (pair,) = agreement(session)
    assert pair.reviewers == ("ann", "bob")
    assert pair.n_objects == 3
    assert pair.same_type == pytest.approx(2 / 3)
    assert pair.same_number == pytest.approx(2 / 3)
    assert pair.kappa == pytest.approx((2 / 3 - 2 / 9 - 1 / 9) / (1 - 2 / 9 - 1 / 9))
