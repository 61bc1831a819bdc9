"""How far reviewers agree: by pairs, on the objects that both decided, each by the last word that holds."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from sqlalchemy import select
from sqlalchemy.orm import Session

from supcam.web.schemas import AgreementView
from supcam.web.store import holds
from supcam.web.tables import DecisionRow

Said = tuple[str, int]
"""Type and number of chromosomes."""


def agreement(session: Session) -> tuple[AgreementView, ...]:
    """Every pair of reviewers with objects in common, sorted by name."""
    said: dict[str, dict[str, Said]] = {}
    for row in session.scalars(select(DecisionRow).where(holds()).order_by(DecisionRow.id)):
        said.setdefault(row.reviewer, {})[row.object_id] = (row.type or "", row.n_chromosomes or 0)
    pairs = []
    for one, other in combinations(sorted(said), 2):
        both = sorted(said[one].keys() & said[other].keys())
        if both:
            pairs.append(_pair(one, other, words=[(said[one][key], said[other][key]) for key in both]))
    return tuple(pairs)


def _pair(one: str, other: str, *, words: list[tuple[Said, Said]]) -> AgreementView:
    types = [(a[0], b[0]) for a, b in words]
    return AgreementView(
        reviewers=(one, other),
        n_objects=len(words),
        same_type=sum(a == b for a, b in types) / len(words),
        same_number=sum(a[1] == b[1] for a, b in words) / len(words),
        kappa=kappa(types),
    )


def kappa(pairs: list[tuple[str, str]]) -> float | None:
    """Cohen's kappa (1960): agreement beyond chance; ``None`` where chance alone agrees throughout."""
    n = len(pairs)
    seen = sum(a == b for a, b in pairs) / n
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[kind] * second[kind] for kind in first) / n**2
    return None if chance >= 1 else (seen - chance) / (1 - chance)
