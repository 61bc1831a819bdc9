"""Files -> table of samples: what a picture is said to show, its case, its content hash; what failed.

Every file is opened once, to hash it, and none is decoded: pixels are read by ``core/image.py`` alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from supcam.core.types import Box, ClusterType, ManifestError, Sample
from supcam.data.annotation import NamedBox
from supcam.data.files import Unreadable, check_case_rule, find_case, hash_file
from supcam.data.layout import Claim, Claims, Layout, ManifestOptions, find_layout, read_claims

__all__ = ["AnnotatedPicture", "Layout", "Manifest", "ManifestOptions", "Unreadable", "read_manifest"]


@dataclass(frozen=True, slots=True)
class AnnotatedPicture:
    """A picture with one box an object, clipped to the picture; ``names`` are the annotator's, one a box."""

    path: Path
    case: str
    source: str
    boxes: tuple[Box, ...]
    sha256: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """Pictures with what is known about them, sorted by path.

    ``samples`` are pictures, typed or not, or the boxes of annotated pictures; ``pictures`` holds annotated
    pictures whole, those without a box included. A box says that an object is there, not that it stands
    alone: its sample has a type only where the annotator's name for it is one of the four. ``notes`` are
    assumptions that a person should see; ``label_map`` is the map of numbered folders that was used.
    """

    samples: tuple[Sample, ...] = ()
    pictures: tuple[AnnotatedPicture, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()
    layout: Layout = "auto"
    label_map: dict[int, ClusterType] = field(default_factory=dict)

    @cached_property
    def items(self) -> tuple[Sample | AnnotatedPicture, ...]:
        """Every file once: annotated pictures whole, then the samples that are pictures themselves."""
        return (*self.pictures, *(sample for sample in self.samples if sample.box is None))

    @cached_property
    def duplicates(self) -> tuple[tuple[Path, ...], ...]:
        """Groups of two and more files with the same bytes, each sorted by path."""
        by_hash: dict[str, set[Path]] = {}
        for item in self.items:
            by_hash.setdefault(item.sha256, set()).add(item.path)
        return tuple(sorted(tuple(sorted(paths)) for paths in by_hash.values() if len(paths) > 1))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all pictures and all that is said of them, wherever they lie and in whatever order."""
        lines = [
            f"{item.sha256} {item.source!r} {item.case!r} {item.type!r} {item.n_chromosomes} {item.box}"
            for item in self.samples
        ]
        lines += [f"{item.sha256} {item.source!r} {item.case!r} {item.names}" for item in self.pictures]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def __add__(self, other: Manifest) -> Manifest:
        """Both together; the layout stays where it is the same. Duplicates are found across the two."""
        return Manifest(
            samples=self.samples + other.samples,
            pictures=self.pictures + other.pictures,
            unreadable=self.unreadable + other.unreadable,
            notes=self.notes + other.notes,
            layout=self.layout if self.layout == other.layout else "auto",
            label_map=self.label_map | other.label_map,
        )


def read_manifest(path: Path, *, layout: Layout = "auto", options: ManifestOptions | None = None) -> Manifest:
    """Everything that ``path`` (a CSV, a COCO table, or a folder) says about its pictures.

    ``auto`` takes a ``.csv`` or ``.json`` file by its ending and a folder by what it holds: ``labels.csv``,
    VOC files (in it or in ``annotations``), pictures in numbered folders only (ChrCluster), or else plain
    pictures. Files that cannot be opened are listed as unreadable and the rest goes on. Raises
    ``ManifestError`` when ``path`` is missing or of no known layout, and, naming the lines, when a table
    contradicts itself.
    """
    options = options or ManifestOptions()
    check_case_rule(options.case_rule)
    if not path.exists():
        raise ManifestError(
            "nothing there", expected="a table or a folder", remedy="check the path", where=path
        )
    found = find_layout(path) if layout == "auto" else layout
    folder = path if path.is_dir() else path.absolute().parent
    named = replace(options, source=options.source or folder.resolve().name)
    claims = read_claims(path, layout=found, options=named)
    return replace(_open_all(claims, options=named), layout=found)


def _open_all(claims: Claims, *, options: ManifestOptions) -> Manifest:
    samples: list[Sample] = []
    pictures: list[AnnotatedPicture] = []
    unreadable = list(claims.unreadable)
    for claim in sorted(claims.claims, key=lambda each: str(each.path)):
        try:
            sample = _open(claim, options=options)
        except (OSError, ValueError) as error:
            unreadable.append(Unreadable.from_error(claim.path, error))
            continue
        if claim.objects is None:
            samples.append(sample)
        else:
            pictures.append(_annotated(sample, objects=claim.objects))
            samples.extend(_box_samples(sample, objects=claim.objects))
    return Manifest(
        samples=tuple(samples),
        pictures=tuple(pictures),
        unreadable=tuple(sorted(unreadable)),
        notes=claims.notes,
        label_map=claims.label_map,
    )


def _open(claim: Claim, *, options: ManifestOptions) -> Sample:
    return Sample(
        path=claim.path,
        case=claim.case or find_case(claim.place, path=claim.path, rule=options.case_rule or "path"),
        source=claim.source or options.source,
        type=claim.type,
        n_chromosomes=claim.n_chromosomes,
        sha256=hash_file(claim.path),
    )


def _annotated(sample: Sample, *, objects: tuple[NamedBox, ...]) -> AnnotatedPicture:
    return AnnotatedPicture(
        path=sample.path,
        case=sample.case,
        source=sample.source,
        boxes=tuple(each.box for each in objects),
        sha256=sample.sha256,
        names=tuple(each.name for each in objects),
    )


def _box_samples(sample: Sample, *, objects: tuple[NamedBox, ...]) -> Iterator[Sample]:
    for each in objects:
        kind = _named_type(each.name)
        count = 1 if kind is ClusterType.INSTANCE else None
        yield replace(sample, type=kind, n_chromosomes=count, box=each.box)


def _named_type(name: str) -> ClusterType | None:
    try:
        return ClusterType.from_label(name)
    except ValueError:
        return None
