"""``supcam synth``: karyotype and virtual laboratory -> pictures of metaphases with everything known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import Field

from supcam.core.config import StageConfig, parse_config, read_toml
from supcam.core.types import CompositionError, ConfigError, SupcamError
from supcam.data.karyotype import parse_karyotype
from supcam.data.laboratory import N_LABORATORIES, Laboratory, virtual_laboratory
from supcam.data.recovery import Found
from supcam.data.slide import DrawnObject, ObjectKind
from supcam.data.virtual_metaphase import MetaphasePlan, VirtualMetaphase, draw_virtual_metaphase
from supcam.workflows.composed_set import Tile, captioned, save_sheet
from supcam.workflows.synthetic_set import PictureFormat, SyntheticSet

if TYPE_CHECKING:
    from supcam.workflows.classify import Listener

_ATTEMPTS = 5
_MOST_ON_SHEET = 600
_TILE_PX = 128
_WIDTH_ON_SHEET_PX = 14


class SynthConfig(StageConfig):
    """Everything that decides what is drawn; the tables of ``--config``."""

    metaphase: MetaphasePlan = Field(MetaphasePlan(), description="What a metaphase holds.")
    laboratory: Laboratory | None = Field(None, description="One's own; none: virtual laboratories.")


@dataclass(frozen=True)
class SynthPlan:
    """What is drawn, and where it goes: ``sheet`` is a PNG, ``output`` a new folder; one of them or both.

    ``laboratory`` is a number, or ``all``: the 20 virtual laboratories take turns. Picture i follows from
    ``seed`` and i, whatever ``n`` is; so do the laboratories from the seed.
    """

    n: int = 20
    seed: int = 0
    laboratory: str = "all"
    sheet: Path | None = None
    output: Path | None = None
    picture_format: PictureFormat = "png"
    config: SynthConfig = field(default_factory=SynthConfig)


@dataclass(frozen=True)
class SynthSummary:
    """What came of it: objects by what they are, and by how the foreground shows them."""

    n_pictures: int
    kinds: Counter[str]
    found: Counter[Found]

    def told(self) -> str:
        """The whole in one line."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.kinds.most_common())
        other = sum(n for found, n in self.found.items() if found is not Found.WHOLE)
        share = f"{other} of {self.found.total()} instances and clusters are not found as one object"
        return f"{self.n_pictures} metaphases: {kinds}; {share}"


def read_synth_config(path: Path | None, *, asked: dict[str, object]) -> SynthConfig:
    """The tables of a TOML file (``None``: defaults), with ``asked`` in place of its [metaphase] values.

    Raises ``ConfigError``.
    """
    values = {} if path is None else read_toml(path)
    config = parse_config(SynthConfig, values, where=path or "")
    metaphase = {**config.metaphase.model_dump(), **asked}
    plan = parse_config(MetaphasePlan, metaphase, where="options")
    return config.model_copy(update={"metaphase": plan})


def asked_of(
    *, karyotype: str, contacts: str, size: tuple[int, int] | None, picture_format: PictureFormat
) -> dict[str, object]:
    """The values of ``MetaphasePlan`` that options ask for. Raises ``ConfigError``.

    ``contacts`` names shares, ``touching=2,heap``; a bare name has share 1. ``size`` is width and height.
    """
    asked: dict[str, object] = {"bit_depth": 16} if picture_format == "tiff" else {}
    if karyotype:
        asked["karyotype"] = parse_karyotype(karyotype).formula
    if contacts:
        asked["contact_shares"] = _shares(contacts)
    if size:
        asked["picture_px"] = (size[1], size[0])
    return asked


def _shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = item.partition("=")
        try:
            shares[name.strip().lower().replace("-", "_")] = float(share) if share.strip() else 1.0
        except ValueError as error:
            raise ConfigError(
                f"the share {share!r}",
                expected="names with shares, such as instance=3,touching=1,heap=1",
                remedy="correct the list",
                where="--contacts",
            ) from error
    return shares


def synth(plan: SynthPlan, *, listener: Listener | None = None) -> SynthSummary:
    """Metaphases as a data set, as a contact sheet of some of their objects, or both.

    ``SyntheticSet`` says how a data set is laid out. Raises ``SupcamError`` when a metaphase cannot be drawn
    as asked, or when ``plan.output`` exists; then neither sheet nor folder appears.
    """
    if plan.sheet is None and plan.output is None:
        raise SupcamError(
            "nowhere to write", expected="a sheet, an output or both", remedy="name one of them"
        )
    laboratories = _laboratories(plan)
    if listener:
        listener.started(plan.n)
    kinds: Counter[str] = Counter()
    found: Counter[Found] = Counter()
    tiles: list[Tile] = []
    with ExitStack() as stack:
        made = None
        if plan.output:
            made = stack.enter_context(SyntheticSet(plan.output, picture_format=plan.picture_format))
        for index in range(plan.n):
            metaphase = draw(plan, laboratory=laboratories[index % len(laboratories)], index=index)
            _count(metaphase, kinds=kinds, found=found)
            if made:
                made.add(metaphase)
            if plan.sheet and len(tiles) < _MOST_ON_SHEET:
                tiles += _tiles(metaphase, n=max(1, _MOST_ON_SHEET // plan.n), index=index)
            if listener:
                listener.advanced(1)
        if plan.sheet:
            save_sheet(tiles, path=plan.sheet)
        if made:
            made.keep(_about(plan, laboratories=laboratories))
    return SynthSummary(plan.n, kinds=kinds, found=found)


def draw(plan: SynthPlan, *, laboratory: Laboratory, index: int) -> VirtualMetaphase:
    """Picture ``index`` of the plan. Raises ``CompositionError`` when it failed a few times over."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return _drawn(plan, laboratory=laboratory, numbers=(index, attempt))
        except CompositionError:
            continue
    return _drawn(plan, laboratory=laboratory, numbers=(index, _ATTEMPTS - 1))


def _drawn(plan: SynthPlan, *, laboratory: Laboratory, numbers: tuple[int, int]) -> VirtualMetaphase:
    rng = np.random.default_rng([plan.seed, *numbers])
    return draw_virtual_metaphase(rng, laboratory=laboratory, plan=plan.config.metaphase)


def _laboratories(plan: SynthPlan) -> list[Laboratory]:
    """Those that take turns."""
    own = plan.config.laboratory
    if own is not None and plan.laboratory != "all":
        raise ConfigError(
            f"the laboratory {plan.laboratory} beside one of one's own",
            expected="either of the two",
            remedy="leave out --laboratory, or [laboratory] in the configuration",
            where="--laboratory",
        )
    if own is not None:
        return [own]
    if plan.laboratory == "all":
        return [virtual_laboratory(number, seed=plan.seed) for number in range(N_LABORATORIES)]
    if not plan.laboratory.isdecimal():
        raise ConfigError(
            f"the laboratory {plan.laboratory!r}",
            expected="a number from 0, or all",
            remedy="choose one of them",
            where="--laboratory",
        )
    return [virtual_laboratory(int(plan.laboratory), seed=plan.seed)]


def _count(metaphase: VirtualMetaphase, *, kinds: Counter[str], found: Counter[Found]) -> None:
    for one, how in zip(metaphase.objects, metaphase.found, strict=True):
        kinds[one.kind.value if one.type is None else one.type.label] += 1
        if one.kind is ObjectKind.CHROMOSOMES:
            found[how] += 1


def _about(plan: SynthPlan, *, laboratories: list[Laboratory]) -> dict[str, object]:
    return {
        "n": plan.n,
        "seed": plan.seed,
        "metaphase": plan.config.metaphase.model_dump(mode="json"),
        "laboratories": [laboratory.model_dump(mode="json") for laboratory in laboratories],
    }


def _tiles(metaphase: VirtualMetaphase, *, n: int, index: int) -> Iterator[Tile]:
    """Some single chromosomes and clusters of a metaphase; all chromosomes on the sheet are equally wide."""
    objects = [one for one in metaphase.objects if one.type is not None]
    chosen = np.random.default_rng(index).permutation(len(objects))[:n]
    for one in sorted((objects[k] for k in chosen), key=lambda one: one.type or 0):
        yield captioned(_cut(metaphase, one), text=_caption(one, laboratory=metaphase.laboratory))


def _caption(one: DrawnObject, *, laboratory: str) -> str:
    """Type and count, or a single chromosome's own type; then the laboratory."""
    if one.type is None or one.n_chromosomes == 1:
        return f"{one.chromosomes[0]}, {laboratory}"
    return f"{one.type.label.replace('_', '-')} {one.n_chromosomes}, {laboratory}"


def _cut(metaphase: VirtualMetaphase, one: DrawnObject) -> np.ndarray:
    """A square around an object, larger where the object is; what lies beyond the border is repeated."""
    scale = _WIDTH_ON_SHEET_PX / metaphase.width_px
    side = max(round(_TILE_PX / scale), one.box.height + 8, one.box.width + 8)
    top, left = (one.box.top + one.box.bottom - side) // 2, (one.box.left + one.box.right - side) // 2
    grey = metaphase.pixels if metaphase.pixels.dtype == np.uint8 else metaphase.pixels // 257
    framed = np.pad(grey.astype(np.uint8), side, mode="edge")
    square = framed[top + side : top + 2 * side, left + side : left + 2 * side]
    return cv2.resize(square, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
