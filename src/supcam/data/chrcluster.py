"""ChrCluster on disk: what its folder holds beside what was published of it, and its splits.

Lin et al. (2021) publish 6,592 pictures in four classes and their split by picture. How many pictures each
class has, and hashes, no public text at hand says: both are counted here and judged by nobody.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey
from supcam.core.types import ClusterType, ImageError, ManifestError
from supcam.data.files import Unreadable, check_case_rule, find_case
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
from supcam.data.roles_draw import deal_evenly, take_census
from supcam.data.split import ROLES, CaseRole, Roles, lin_roles

SOURCE = "chrcluster"
"""The name of its pictures in roles and parts."""
N_PICTURES = 6592
N_CLASSES = 4
LIN_SIDES = {"train": 5273, "select": 659, "report": 660}
"""Pictures on the sides of the published split."""
NAME_RULES = (r"^[0-9]+/([^/]+)/", r"/([^/_. -]+)[_. -][^/]*$")
"""What may name the case where nobody says: a folder within the class, or a file's name up to its first
separator. Both are guesses."""

_PARTS = 10
_LARGEST_SHARE = 0.2
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """What a folder in ChrCluster's layout holds.

    ``manifest`` has every picture as its own case; ``n_by_folder`` counts pictures by folder number, those
    that cannot be read included. ``pictures_sha256`` is over contents and folder numbers, so that two people
    can tell whether they have the same pictures. ``problems`` are differences from what was published, each
    with what was found and what was expected; ``notes`` what a person should know besides. ``unreadable``
    files hold their place in the split as far as they have any content.
    """

    manifest: Manifest
    n_by_folder: Mapping[int, int]
    pictures_sha256: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True)
class Division:
    """Pictures with their cases, the rule that names these, and the role of each case.

    Without roles, ``why_not`` says why the pictures cannot be divided in this way.
    """

    manifest: Manifest
    rule: str
    roles: Roles | None
    why_not: str = ""

    @property
    def n_by_role(self) -> dict[str, int]:
        """Pictures by role, those that are left out included; empty without roles."""
        counted = Counter(() if self.roles is None else self.roles.sides_of(self.manifest.samples))
        return {role: counted[role] for role in ROLES if counted[role]}


def check_folder(
    root: Path,
    *,
    label_map: Mapping[int, ClusterType] | None = None,
    image: ImageConfig | None = None,
    tick: Callable[[], None] | None = None,
) -> FolderCheck:
    """What ``root`` holds, every file opened and read once; differences are told, not raised.

    Raises ``ManifestError`` when there is no picture at all, when a picture lies outside the numbered
    folders, and for a label map that gives two folders one type.
    """
    options = ManifestOptions(source=SOURCE, case_rule="path")
    if label_map is not None:
        options = replace(options, label_map=dict(label_map))
    _require_a_type_each(options.label_map, where=root)
    manifest = read_manifest(root, layout="chrcluster", options=options)
    if not manifest.samples:
        raise ManifestError(
            "no picture that can be opened",
            expected="pictures in folders named by their class's number",
            remedy="check the path; the layout is FOLDER/NUMBER/PICTURE",
            where=root,
        )
    damaged = tuple(_damaged(manifest, image=image or ImageConfig(), tick=tick))
    unreadable = tuple(sorted({*manifest.unreadable, *damaged}))
    n_by_folder = _count(manifest, root=root)
    return FolderCheck(
        manifest=manifest,
        n_by_folder=n_by_folder,
        pictures_sha256=_hash(manifest, root=root),
        problems=(*_differences(manifest, n_by_folder=n_by_folder), *_unusable(unreadable, root=root)),
        notes=(*manifest.notes, *_about_copies(manifest)),
        unreadable=unreadable,
    )


def _require_a_type_each(label_map: Mapping[int, ClusterType], *, where: Path) -> None:
    if len({*label_map.values()}) < len(label_map):
        raise ManifestError(
            "a label map with one type for two folders",
            expected="a type of its own for each folder",
            remedy="correct the label map",
            where=where,
        )


def _damaged(
    manifest: Manifest, *, image: ImageConfig, tick: Callable[[], None] | None
) -> Iterator[Unreadable]:
    for sample in manifest.samples:
        try:
            read_grey(sample.path, config=image)
        except ImageError as error:
            yield Unreadable(sample.path, error.difference)
        if tick is not None:
            tick()


def _folder_number(path: Path, *, root: Path) -> int:
    return int(path.relative_to(root).parts[0])


def _count(manifest: Manifest, *, root: Path) -> dict[int, int]:
    paths = [sample.path for sample in manifest.samples]
    paths += [item.path for item in manifest.unreadable if item.path.parent != root]
    return dict(sorted(Counter(_folder_number(path, root=root) for path in paths).items()))


def _hash(manifest: Manifest, *, root: Path) -> str:
    lines = [f"{sample.sha256} {_folder_number(sample.path, root=root)}" for sample in manifest.samples]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _differences(manifest: Manifest, *, n_by_folder: Mapping[int, int]) -> Iterator[str]:
    n = len(manifest.samples)
    if n != N_PICTURES:
        yield (
            f"found {n:,} pictures that can be opened, expected {N_PICTURES:,}: the split is not the "
            "published one, and figures are not comparable with the published ones"
        )
    if len(n_by_folder) != N_CLASSES:
        yield (
            f"found {len(n_by_folder)} folders with pictures ({', '.join(map(str, n_by_folder))}), "
            f"expected {N_CLASSES}"
        )
    by_hash: dict[str, set[ClusterType | None]] = {}
    for sample in manifest.samples:
        by_hash.setdefault(sample.sha256, set()).add(sample.type)
    n_torn = sum(len(types) > 1 for types in by_hash.values())
    if n_torn:
        yield f"found {n_torn} pictures that lie in folders of two types, expected one type for each"


def _unusable(unreadable: Sequence[Unreadable], *, root: Path) -> Iterator[str]:
    if unreadable:
        shown = "; ".join(f"{_below(item.path, root=root)}: {item.reason}" for item in unreadable[:_SHOWN])
        more = ", and so on" if len(unreadable) > _SHOWN else ""
        yield f"found {len(unreadable)} files that cannot be read, expected none: {shown}{more}"


def _below(path: Path, *, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _about_copies(manifest: Manifest) -> Iterator[str]:
    n_copies = sum(len(group) - 1 for group in manifest.duplicates)
    if n_copies:
        yield (
            f"{n_copies} pictures are exact copies of others; those that would stand on two sides of the "
            "split are left out of the earlier one"
        )


# Divisions --------------------------------------------------------------------------------------------------


def divide_as_published(check: FolderCheck) -> Division:
    """Lin's split, by picture and not by case (``data/split.py``). Raises as ``lin_roles`` does."""
    return Division(check.manifest, rule="path", roles=lin_roles(check.manifest))


def divide_by_case(check: FolderCheck, *, root: Path, rule: str = "", seed: int = 0) -> Division:
    """Eight tenths of the cases to train, one to select, one to report, balanced in types.

    Cases are named by ``rule`` (``parent``, ``stem`` or a regular expression with one group), or by the first
    of ``NAME_RULES`` that divides the pictures into cases: ten at least, two pictures each on average, none
    with more than a fifth of all. Cases that share a picture stay together. Raises ``ManifestError`` for a
    ``rule`` that finds no case in a name.
    """
    if rule:
        check_case_rule(rule)
        return _dealt(_cased(check.manifest, root=root, rule=rule), rule=rule, seed=seed)
    for guess in NAME_RULES:
        try:
            cased = _cased(check.manifest, root=root, rule=guess)
        except ManifestError:
            continue
        if _are_cases([sample.case for sample in cased.samples]):
            return _dealt(cased, rule=guess, seed=seed)
    why_not = "names of folders and files do not tell which pictures are of one case"
    return Division(check.manifest, rule="", roles=None, why_not=why_not)


def _cased(manifest: Manifest, *, root: Path, rule: str) -> Manifest:
    samples = []
    for sample in manifest.samples:
        place = sample.path.relative_to(root).as_posix()
        try:
            samples.append(replace(sample, case=find_case(place, path=sample.path, rule=rule)))
        except ValueError as error:
            raise ManifestError(
                str(error), expected="a case in every name", remedy="correct the rule", where=sample.path
            ) from error
    return replace(manifest, samples=tuple(samples))


def _are_cases(cases: Sequence[str]) -> bool:
    counts = Counter(cases)
    return _PARTS <= len(counts) <= len(cases) / 2 and max(counts.values()) <= _LARGEST_SHARE * len(cases)


def _dealt(cased: Manifest, *, rule: str, seed: int) -> Division:
    """Ten parts of equal numbers of cases, the first to report, the second to select, the rest to train."""
    heads = _linked(cased)
    n_cases = len({*heads.values()})
    if n_cases < _PARTS:
        why_not = f"found {n_cases} cases by the rule {rule!r}, expected {_PARTS} or more"
        return Division(cased, rule=rule, roles=None, why_not=why_not)
    together = replace(cased, samples=tuple(replace(one, case=heads[one.case]) for one in cased.samples))
    dealt = deal_evenly(take_census(together), sides=[str(part) for part in range(_PARTS)], seed=seed)
    role_of = {row.case: {"0": "report", "1": "select"}.get(row.role, "train") for row in dealt}
    rows = [CaseRole(SOURCE, case, role_of[head]) for case, head in sorted(heads.items())]
    return Division(cased, rule=rule, roles=Roles(tuple(rows)))


def _linked(cased: Manifest) -> dict[str, str]:
    """For each case, the first of all cases that it shares pictures with, however far apart."""
    heads = {sample.case: sample.case for sample in cased.samples}
    case_of = {sample.path: sample.case for sample in cased.samples}
    for group in cased.duplicates:
        joined = {heads[case_of[path]] for path in group}
        heads = {case: min(joined) if head in joined else head for case, head in heads.items()}
    return heads
