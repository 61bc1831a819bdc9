"""Exact duplicates on two sides of a split: found by content, and refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import ManifestError
from supcam.data.manifest import Manifest
from supcam.data.split import Roles


@dataclass(frozen=True, slots=True)
class Leak:
    """One content on two sides or more: the files that hold it, and the side of each."""

    sha256: str
    paths: tuple[Path, ...]
    sides: tuple[str, ...]


def find_leaks(manifest: Manifest, *, roles: Roles) -> tuple[Leak, ...]:
    """Exact duplicates whose cases play different roles; every fold is a side of its own.

    Pictures that are left out are on no side. Raises ``ManifestError`` for a case without a role.
    """
    by_hash: dict[str, list[tuple[Path, str]]] = {}
    for item, side in zip(manifest.items, roles.sides_of(manifest.items), strict=True):
        if side != "left_out":
            by_hash.setdefault(item.sha256, []).append((item.path, side))
    shared = {sha256: sorted(places) for sha256, places in sorted(by_hash.items()) if _n_sides(places) > 1}
    return tuple(
        Leak(sha256, paths=tuple(path for path, _ in places), sides=tuple(side for _, side in places))
        for sha256, places in shared.items()
    )


def _n_sides(places: Sequence[tuple[Path, str]]) -> int:
    return len({side for _, side in places})


def refuse_leaks(manifest: Manifest, *, roles: Roles) -> None:
    """Nothing when no content is on two sides; else raises ``ManifestError`` that names the first of them."""
    leaks = find_leaks(manifest, roles=roles)
    if leaks:
        first = ", ".join(
            f"{path} ({side})" for path, side in zip(leaks[0].paths, leaks[0].sides, strict=True)
        )
        raise ManifestError(
            f"{len(leaks)} pictures on two sides of the split, the first of them {first}",
            expected="the same bytes on one side only",
            remedy="leave out all copies but those of one side",
        )
