"""The drawing of ``experiments/roles.csv``: by case, balanced by type, whatever the order of the listing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supcam.data.manifest import Manifest
from supcam.data.split import ROLES, CaseRole, Roles

ROLES_SEED = 1_109_269
"""The seed of ``experiments/roles.csv``."""
_FLUORESCENCE_PICTURES = 20
"""So many metaphases of ``adir`` were given over to choosing after all 60 had been looked at for a report."""


@dataclass(frozen=True, slots=True)
class CaseCensus:
    """What the drawing of roles may know of a case: its pictures and its typed clusters, no pixels."""

    source: str
    case: str
    n_pictures: int
    n_by_type: Mapping[str, int]

    @property
    def is_typed(self) -> bool:
        """Whether anybody has typed a crop of this case."""
        return sum(self.n_by_type.values()) > 0


def take_census(manifest: Manifest) -> tuple[CaseCensus, ...]:
    """What a manifest holds of each case, sorted by source and case; boxes do not count as pictures."""
    n_pictures: Counter[tuple[str, str]] = Counter((item.source, item.case) for item in manifest.items)
    n_by_type: dict[tuple[str, str], Counter[str]] = {key: Counter() for key in n_pictures}
    for sample in manifest.samples:
        if sample.type is not None:
            n_by_type[sample.source, sample.case][sample.type.label] += 1
    return tuple(
        CaseCensus(source, case, n_pictures=n_pictures[source, case], n_by_type=n_by_type[source, case])
        for source, case in sorted(n_pictures)
    )


def draw_roles(census: Sequence[CaseCensus], *, seed: int = ROLES_SEED, n_extra_pictures: int = 25) -> Roles:
    """The roles of ``experiments/roles.csv``, as they were drawn once (``ROLES_SEED``).

    - ``cci``: five folds, equal in cases and balanced in clusters of every type;
    - ``tseng24``: typed cases go half to ``select`` and half to ``report``, balanced by type; of the others,
      each of the two gets cases until it has ``n_extra_pictures`` more metaphases; the rest is ``train``. The
      ``unknow*`` files, whose patients nobody knows, are never taken for the extra metaphases;
    - ``adir``: whole slides go to ``select`` until it has ``_FLUORESCENCE_PICTURES`` metaphases, the rest to
      ``report``;
    - every other source: ``report`` only.

    A case's place in the draw is the SHA-256 of seed, source and case, so that neither the order of the
    listing nor the version of a library matters.
    """
    rows: list[CaseRole] = []
    for source in sorted({case.source for case in census}):
        cases = [case for case in census if case.source == source]
        if source == "cci":
            rows += deal_evenly(cases, sides=ROLES[:5], seed=seed)
        elif source == "tseng24":
            rows += _draw_metaphase_roles(cases, seed=seed, n_extra_pictures=n_extra_pictures)
        else:
            n_chosen = _FLUORESCENCE_PICTURES if source == "adir" else 0
            chosen = _take_pictures(_shuffled(cases, seed=seed), n_pictures=n_chosen)
            rows += [CaseRole(source, c.case, "select" if c in chosen else "report") for c in cases]
    return Roles(tuple(sorted(rows)))


def _draw_metaphase_roles(cases: Sequence[CaseCensus], *, seed: int, n_extra_pictures: int) -> list[CaseRole]:
    rows = deal_evenly([case for case in cases if case.is_typed], sides=("select", "report"), seed=seed)
    waiting = _shuffled([case for case in cases if not case.is_typed], seed=seed)
    for role in ("select", "report"):
        taken = _take_pictures(
            [c for c in waiting if not c.case.startswith("unknow")], n_pictures=n_extra_pictures
        )
        rows += [CaseRole(case.source, case.case, role) for case in taken]
        waiting = [case for case in waiting if case not in taken]
    return rows + [CaseRole(case.source, case.case, "train") for case in waiting]


def _take_pictures(cases: Sequence[CaseCensus], *, n_pictures: int) -> list[CaseCensus]:
    taken: list[CaseCensus] = []
    for case in cases:
        if sum(each.n_pictures for each in taken) >= n_pictures:
            break
        taken.append(case)
    return taken


def deal_evenly(cases: Sequence[CaseCensus], *, sides: Sequence[str], seed: int) -> list[CaseRole]:
    """Every case on one of ``sides``: sides differ by one case at most, and types are balanced greedily.

    Cases with the most of the rarest types are dealt first, equal ones in the order of the seed; each goes to
    the side, among those with room, where the sum of squares of the shares of all types grows least.
    """
    totals = Counter[str]()
    for case in cases:
        totals.update(case.n_by_type)
    held = {side: Counter[str]() for side in sides}
    n_cases = dict.fromkeys(sides, 0)
    share, n_larger = divmod(len(cases), len(sides))
    rows: list[CaseRole] = []
    for case in sorted(_shuffled(cases, seed=seed), key=lambda each: -_rarity(each.n_by_type, totals)):
        room = share + (sum(n > share for n in n_cases.values()) < n_larger)
        open_sides = [s for s in sides if n_cases[s] < room]
        side = min(open_sides, key=lambda s: (_growth(case.n_by_type, held[s], totals), n_cases[s]))
        held[side].update(case.n_by_type)
        n_cases[side] += 1
        rows.append(CaseRole(case.source, case.case, side))
    return rows


def _rarity(counts: Mapping[str, int], totals: Mapping[str, int]) -> float:
    return sum(count / totals[name] for name, count in counts.items() if count)


def _growth(counts: Mapping[str, int], held: Mapping[str, int], totals: Mapping[str, int]) -> float:
    return sum(
        count * (count + 2 * held.get(name, 0)) / totals[name] ** 2 for name, count in counts.items() if count
    )


def _shuffled(cases: Sequence[CaseCensus], *, seed: int) -> list[CaseCensus]:
    def place(case: CaseCensus) -> str:
        return hashlib.sha256(f"{seed}/{case.source}/{case.case}".encode()).hexdigest()

    return sorted(cases, key=place)
