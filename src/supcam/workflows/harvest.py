"""``supcam harvest``: metaphases with boxes to crops that a training can start from, and sheets of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import supcam
from supcam.core.config import CropConfig, ForegroundConfig, ImageConfig, StageConfig
from supcam.core.crop import network_input
from supcam.core.foreground import mask_box
from supcam.core.types import ManifestError, Region
from supcam.data.harvest import EMPTY, Harvest, harvest_metaphases
from supcam.data.layout import TABLE_NAME, Layout
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
from supcam.data.split import Roles
from supcam.workflows.composed_set import captioned, contact_sheet, encode_png, to_grey
from supcam.workflows.new_folder import NewFolder

if TYPE_CHECKING:
    from supcam.workflows.classify import Listener

_ON_SHEET = 48
_SHEET_PX = CropConfig(size_px=128)
_LABELS = ("path", "case", "source", "type", "n_chromosomes")
_OBJECTS = ("path", "kind", "picture", "top", "left", "bottom", "right")


class HarvestConfig(StageConfig):
    """How pictures are read and where objects begin."""

    image: ImageConfig = ImageConfig()
    foreground: ForegroundConfig = ForegroundConfig()


@dataclass(frozen=True)
class HarvestPlan:
    """``annotations``: metaphases with one box a chromosome (VOC or COCO); ``output``: a new folder.

    With ``roles``, only metaphases whose case plays ``role`` are read.
    """

    annotations: Path
    output: Path
    layout: Layout = "auto"
    options: ManifestOptions = field(default_factory=ManifestOptions)
    config: HarvestConfig = field(default_factory=HarvestConfig)
    roles: Roles | None = None
    role: str = ""


@dataclass(frozen=True)
class HarvestSummary:
    """How many objects of each kind there are, and how many pictures were not or not wholly used."""

    counts: Counter[str]
    n_pictures: int
    n_left_out: int

    def told(self) -> str:
        """The whole in one line."""
        kinds = ", ".join(f"{self.counts[kind]} {kind}" for kind in ("single", "cluster", "debris"))
        unused = f"; {self.n_left_out} reasons in left_out.csv" if self.n_left_out else ""
        return f"{self.n_pictures} metaphases: {kinds}{unused}"


def harvest(plan: HarvestPlan, *, listener: Listener | None = None) -> HarvestSummary:
    """Every object of the metaphases as a crop on white, in a new folder.

    ``single/``, ``cluster/`` and ``debris/`` hold the crops; ``labels.csv`` names case, type and number of
    the first two (clusters: the number from the boxes, the type blank), ``objects.csv`` where every crop was,
    ``left_out.csv`` what fits none of them or could not be read, with its reason; ``sheet_*.png`` show some
    of each. Raises ``ManifestError`` for annotations that cannot be used, ``SupcamError`` when the folder
    exists or cannot be written.
    """
    with NewFolder(plan.output) as folder:
        manifest = _chosen(plan)
        found = _harvested(manifest, config=plan.config, listener=listener)
        kinds = {"single": found.singles, "cluster": found.clusters, "debris": found.debris}
        rows = {kind: _write_crops(folder, kind=kind, regions=regions) for kind, regions in kinds.items()}
        labels = [one.label for kind in ("single", "cluster") for one in rows[kind]]
        folder.write_table(TABLE_NAME, columns=_LABELS, rows=labels)
        objects = [one.place for found_ones in rows.values() for one in found_ones]
        folder.write_table("objects.csv", columns=_OBJECTS, rows=objects)
        left_out = [(item.path, item.reason) for item in manifest.unreadable]
        left_out += [(item.path, item.reason) for item in found.left_out]
        folder.write_table("left_out.csv", columns=("path", "reason"), rows=left_out)
        about = {"supcam": supcam.__version__, "config": plan.config.model_dump(mode="json")}
        folder.write("config.json", (json.dumps(about, indent=2) + "\n").encode())
        folder.keep()
    counts = Counter({kind: len(regions) for kind, regions in kinds.items()})
    return HarvestSummary(counts, n_pictures=len(manifest.pictures), n_left_out=len(left_out))


def _chosen(plan: HarvestPlan) -> Manifest:
    """The annotated metaphases, those of the plan's role where it names one."""
    manifest = read_manifest(plan.annotations, layout=plan.layout, options=plan.options)
    if plan.roles is None:
        return manifest
    pictures = plan.roles.pick(manifest.pictures, roles=[plan.role])
    if not pictures:
        raise ManifestError(
            f"no metaphase of role {plan.role!r} among {len(manifest.pictures)}",
            expected="a role that some case plays",
            remedy="compare with the roles file",
        )
    return replace(manifest, pictures=pictures)


def _harvested(manifest: Manifest, *, config: HarvestConfig, listener: Listener | None) -> Harvest:
    if not manifest.pictures:
        raise ManifestError(
            "no metaphase with boxes",
            expected="Pascal VOC or COCO annotations with one box a chromosome",
            remedy="check the path, and name the folder of the pictures with --pictures",
        )
    if listener:
        listener.started(len(manifest.pictures))
    found = EMPTY
    for picture in manifest.pictures:
        found += harvest_metaphases([picture], image=config.image, foreground=config.foreground)
        if listener:
            listener.advanced(1)
    return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the tables say of one crop."""

    label: tuple[object, ...]
    place: tuple[object, ...]


def _write_crops(folder: NewFolder, *, kind: str, regions: Sequence[Region]) -> list[_Rows]:
    """The crops of one kind and a sheet of some of them; their rows for the tables."""
    rows = []
    for index, region in enumerate(regions):
        name = f"{kind}/{index:06d}.png"
        folder.write(name, encode_png(to_grey(region.stain)))
        rows.append(_rows(region, name=name, kind=kind))
    if regions:
        folder.write(f"sheet_{kind}.png", encode_png(_sheet(regions)))
    return rows


def _rows(region: Region, *, name: str, kind: str) -> _Rows:
    label = "" if region.type is None else region.type.label
    box = region.box
    return _Rows(
        label=(name, region.case, region.source, label, region.n_chromosomes or ""),
        place=(name, kind, region.picture, box.top, box.left, box.bottom, box.right),
    )


def _sheet(regions: Sequence[Region]) -> np.ndarray:
    """Some of the regions, spread over all of them, each with its number of chromosomes."""
    step = max(1, len(regions) // _ON_SHEET)
    shown = [region for region in regions[::step][:_ON_SHEET] if mask_box(region.mask).width]
    tiles = [
        captioned(to_grey(network_input(region, config=_SHEET_PX)), text=str(region.n_chromosomes or "none"))
        for region in shown
    ]
    return contact_sheet(tiles)
