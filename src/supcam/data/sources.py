"""The published pictures that the project is built on, each with the rule that names its cases.

``data`` is the folder that holds ``cci``, ``tseng24`` and ``adir`` (see ``docs/data.md`` for where they
come from).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from supcam.core.types import ManifestError
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest

TSENG_CASE_RULE = r"(?:^|/)(unknow[^/]*|[0-9]+(?=[0-9](?:_1)?$))"
"""A file is named by its case number and one digit for the cell; a file of unknown case is its own case."""

ADIR_CASE_RULE = r"(?:^|/)([A-Z][0-9]{2})[^/]*_dapi$"
"""A file is named by probe set and slide, then cell and karyotype: metaphases of one slide are one case."""


@dataclass(frozen=True)
class SharedPictures:
    """The three published sources: typed crops of two laboratories, annotated metaphases, DAPI metaphases."""

    cci: Manifest
    tseng_crops: Manifest
    tseng_metaphases: Manifest
    adir: Manifest

    @property
    def all(self) -> Manifest:
        """The four manifests as one."""
        return self.cci + self.tseng_crops + self.tseng_metaphases + self.adir


def read_shared_pictures(data: Path) -> SharedPictures:
    """All published pictures below ``data``. Raises ``ManifestError`` when a source is missing."""
    return SharedPictures(
        cci=read_cci(data),
        tseng_crops=read_tseng_crops(data),
        tseng_metaphases=read_tseng_metaphases(data),
        adir=read_adir(data),
    )


def read_cci(data: Path) -> Manifest:
    """The crops of ten clinical cases, white outside the object (Lin et al., BIBM 2020)."""
    return read_manifest(data / "cci" / "labels.csv", layout="csv", options=ManifestOptions(source="cci"))


def read_tseng_crops(data: Path) -> Manifest:
    """Clusters cut from Tseng's metaphases and typed by one rater: for validation, never for training."""
    return read_manifest(
        data / "tseng24" / "labels.csv", layout="csv", options=ManifestOptions(source="tseng24")
    )


def read_tseng_metaphases(data: Path) -> Manifest:
    """Raw metaphases with one box a chromosome (Tseng et al., Scientific Data 2023)."""
    options = ManifestOptions(
        source="tseng24", case_rule=TSENG_CASE_RULE, pictures_folder=data / "tseng24" / "images"
    )
    return read_manifest(data / "tseng24" / "annotations", layout="voc", options=options)


def read_adir(data: Path) -> Manifest:
    """DAPI metaphases of the ADIR M-FISH set (Schwartzkopf 2000), bright on black; its masks are not read."""
    options = ManifestOptions(source="adir", case_rule=ADIR_CASE_RULE, pattern="*_dapi.png")
    return read_manifest(data / "adir", layout="folder", options=options)


def tseng_case(stem: str) -> str:
    """The case of one of Tseng's metaphases, by the stem of its file. Raises ``ManifestError``."""
    match = re.search(TSENG_CASE_RULE, stem)
    if match is None:
        raise ManifestError(
            f"the name {stem!r}",
            expected="digits, or a name that begins with unknow",
            remedy="check the name",
        )
    return match.group(1)
