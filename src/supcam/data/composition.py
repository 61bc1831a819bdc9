"""Category-variant image composition: several samples -> one new sample with its proper label.

The abstract of Luo et al. (2023) fixes that new samples are composed with the proper label; how is our
choice. A type is two bits, so the label follows from the inputs and from the relation that is made:
``type(A) | type(B) | relation`` with ``n(A) + n(B)`` chromosomes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from supcam.core.config import CompositionConfig, CropConfig
from supcam.core.crop import Square, normalise
from supcam.core.types import ClusterType, CompositionError
from supcam.data.assembly import Join, Rules, assemble, draw_index, draw_join
from supcam.data.piece import Piece
from supcam.data.placement import Contact

_DRAWS, _PATIENCE = 120, 10
"""Sets of pieces tried for one sample, and how many of them before count and contacts are drawn anew."""
_LEAST_GROUP = 6


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A composed sample at network size: ``stain`` in the pieces' own units, one core mask for each piece.

    ``level`` is the stain of a body. ``contacts`` says how each piece after the first was joined, and
    ``parents`` which pieces were used.
    """

    stain: Square
    masks: Bool[np.ndarray, "pieces size size"]
    type: ClusterType
    n_chromosomes: int
    level: float
    contacts: tuple[Contact, ...]
    parents: tuple[Piece, ...]

    @property
    def picture(self) -> Square:
        """The network's input, before any view is taken of it."""
        return normalise(self.stain)


def composed_type(a: ClusterType, b: ClusterType, *, relation: ClusterType) -> ClusterType:
    """The type of A and B joined in ``relation``: the whole label table. Raises ``CompositionError``.

    ``relation`` is TOUCHING or OVERLAPPING: one contact is one of the two.
    """
    if relation not in (ClusterType.TOUCHING, ClusterType.OVERLAPPING):
        raise CompositionError(
            f"relation {relation.label!r}",
            expected="touching or overlapping",
            remedy="ask for one relation a join",
        )
    return ClusterType(a | b | relation)


def relation_plan(kind: ClusterType, n: int, *, rng: np.random.Generator) -> tuple[ClusterType, ...]:
    """The relations that make ``n`` single chromosomes a cluster of ``kind``. Raises ``CompositionError``."""
    joins = n - 1
    if kind is ClusterType.INSTANCE and joins == 0:
        return ()
    if kind is ClusterType.TOUCHING_OVERLAPPING and joins >= 2:
        bits = [ClusterType.TOUCHING, ClusterType.OVERLAPPING]
        bits += [bits[int(rng.integers(2))] for _ in range(joins - 2)]
        return tuple(bits[i] for i in rng.permutation(joins))
    if kind in (ClusterType.TOUCHING, ClusterType.OVERLAPPING) and joins >= 1:
        return (kind,) * joins
    raise CompositionError(
        f"{n} chromosomes for type {kind.label}",
        expected="1 for an instance, 2 or more for touching and overlapping, 3 or more for both",
        remedy="ask for another count",
    )


class Composer:
    """Draws composed samples from pieces; everything random comes from the ``rng`` passed to each call.

    ``draw`` takes the pieces given here, all of them single chromosomes; ``compose`` takes any. Pieces of one
    metaphase are put together; groups that are too small are joined by case, then by source.
    """

    def __init__(self, pieces: Sequence[Piece], *, config: CompositionConfig, crop: CropConfig) -> None:
        clusters = sum(piece.type is not ClusterType.INSTANCE for piece in pieces)
        if clusters or not pieces:
            raise CompositionError(
                f"{len(pieces)} pieces, {clusters} of them clusters",
                expected="one single chromosome and more, and nothing else",
                remedy="check the data and roles, or hand clusters to compose",
            )
        self.config = config
        self.rules = Rules(config, crop)
        self.groups = _groups(pieces, source_shares=config.source_shares)
        if not any(self.groups.chances):
            raise CompositionError(
                f"no share for any source of the pieces in {dict(config.source_shares)}",
                expected="a source_shares entry above 0 for one of them",
                remedy="correct source_shares",
            )

    def draw(
        self, rng: np.random.Generator, *, kind: ClusterType | None = None, n_chromosomes: int | None = None
    ) -> Composed:
        """A sample of the type and count asked for, else drawn by the configured shares.

        Raises ``CompositionError`` when the request contradicts itself, or cannot be met in many draws.
        """
        wanted = ClusterType(draw_index(self.config.type_shares, rng=rng)) if kind is None else kind
        n, joins = 1, tuple[Join, ...]()
        for draw in range(_DRAWS):
            if draw % _PATIENCE == 0:
                n = self._draw_count(wanted, rng=rng) if n_chromosomes is None else n_chromosomes
                joins = self._joins(relation_plan(wanted, n, rng=rng), rng=rng)
            group = self.groups.draw(rng)
            chosen = [group[i] for i in rng.choice(len(group), size=n, replace=len(group) < n)]
            composed = self._composed(chosen, joins, rng=rng)
            if composed is not None:
                return composed
        raise CompositionError(
            f"no {wanted.label} of {n} in {_DRAWS} draws",
            expected="pieces that fit",
            remedy="relax the settings",
        )

    def compose(
        self, pieces: Sequence[Piece], *, relations: Sequence[ClusterType], rng: np.random.Generator
    ) -> Composed:
        """These very pieces (single chromosomes or labelled clusters), each joined to the ones before it.

        Raises ``CompositionError`` when no admissible placement was found, or when the number of relations
        is not that of the joins.
        """
        if not pieces or len(relations) != len(pieces) - 1:
            raise CompositionError(
                f"{len(pieces)} pieces and {len(relations)} relations",
                expected="one relation for each piece after the first",
                remedy="correct the call",
            )
        for _ in range(_DRAWS):
            composed = self._composed(pieces, self._joins(relations, rng=rng), rng=rng)
            if composed is not None:
                return composed
        wanted = ", ".join(relation.label for relation in relations)
        raise CompositionError(
            f"no admissible placement in {_DRAWS} draws for: {wanted}",
            expected="bodies that can lie so without a further contact",
            remedy="try other pieces, another seed or more tries",
        )

    def _joins(self, relations: Sequence[ClusterType], *, rng: np.random.Generator) -> tuple[Join, ...]:
        return tuple(draw_join(relation, settings=self.config, rng=rng) for relation in relations)

    def _draw_count(self, kind: ClusterType, *, rng: np.random.Generator) -> int:
        if kind is ClusterType.INSTANCE:
            return 1
        least = 3 if kind is ClusterType.TOUCHING_OVERLAPPING else 2
        shares = self.config.group_shares[least - 2 :]
        return least + draw_index(shares, rng=rng) if any(shares) else least

    def _composed(
        self, pieces: Sequence[Piece], joins: Sequence[Join], *, rng: np.random.Generator
    ) -> Composed | None:
        kind = pieces[0].type
        for piece, join in zip(pieces[1:], joins, strict=True):
            kind = composed_type(kind, piece.type, relation=join.relation)
        made = assemble(pieces, joins=joins, rules=self.rules, rng=rng)
        if made is None:
            return None
        return Composed(
            stain=made.stain,
            masks=made.masks,
            type=kind,
            n_chromosomes=sum(piece.n_chromosomes for piece in pieces),
            level=made.level,
            contacts=made.contacts,
            parents=tuple(pieces),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Pieces by group, and the chance of each group."""

    members: tuple[tuple[Piece, ...], ...]
    chances: tuple[float, ...]

    def draw(self, rng: np.random.Generator) -> tuple[Piece, ...]:
        return self.members[draw_index(self.chances, rng=rng)]


def _groups(pieces: Sequence[Piece], *, source_shares: Mapping[str, float]) -> _Groups:
    """Pieces by metaphase; what is too small a group for itself is joined by case, then by source."""
    left: dict[str, list[Piece]] = defaultdict(list)
    for piece in pieces:
        left[piece.group].append(piece)
    named: list[tuple[str, list[Piece]]] = []
    while left:
        wider: dict[str, list[Piece]] = defaultdict(list)
        for name, group in left.items():
            if len(group) >= _LEAST_GROUP or "/" not in name:
                named.append((name, group))
            else:
                wider[name.rpartition("/")[0]] += group
        left = wider
    members = tuple(tuple(group) for _, group in named)
    return _Groups(members, _chances([_source(name) for name, _ in named], shares=source_shares))


def _chances(sources: Sequence[str], *, shares: Mapping[str, float]) -> tuple[float, ...]:
    """The chance of each group: alike, or such that every source has its share (1 where none is set)."""
    groups = Counter(sources)
    return tuple(shares.get(source, 1.0) / groups[source] if shares else 1.0 for source in sources)


def _source(group: str) -> str:
    return group.partition("/")[0]
