"""``supcam compose``: single chromosomes to a contact sheet, or a data set, of composed clusters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from supcam.core.config import (
    CompositionConfig,
    CropConfig,
    ForegroundConfig,
    ImageConfig,
    StageConfig,
    parse_config,
    read_toml,
)
from supcam.core.types import ClusterType, ConfigError, ManifestError, Region, Sample, SupcamError
from supcam.data.bending import bent_copies
from supcam.data.composition import Composed, Composer
from supcam.data.drawn_singles import DrawnSingles, draw_singles
from supcam.data.harvest import EMPTY, Harvest, LeftOut, harvest_crops, harvest_metaphases
from supcam.data.manifest import AnnotatedPicture, Layout, Manifest, ManifestOptions, read_manifest
from supcam.data.piece import Piece, prepare
from supcam.data.synthesis import SynthesisConfig
from supcam.workflows.composed_set import ComposedSet, Named, write_sheet

if TYPE_CHECKING:
    from supcam.workflows.classify import Listener


_MOST_ON_SHEET, _BENT = 600, " (bent)"


class ComposeConfig(StageConfig):
    """Everything that decides what is composed; the tables of ``--config``."""

    composition: CompositionConfig = Field(CompositionConfig(), description="How clusters are made.")
    crop: CropConfig = Field(CropConfig(), description="Size of the pictures and width of a chromosome.")
    image: ImageConfig = Field(ImageConfig(), description="How files are read.")
    foreground: ForegroundConfig = Field(ForegroundConfig(), description="What is foreground and contact.")
    synthesis: SynthesisConfig = Field(
        SynthesisConfig(), description="How chromosomes are drawn, if they are."
    )


@dataclass(frozen=True)
class ComposePlan:
    """What is composed, and where it goes: ``sheet`` is a PNG, ``output`` a new folder; one of them or both.

    ``singles`` is any manifest; either it is given or ``drawn`` is set. Sample i follows from ``seed`` and i.
    """

    singles: Path | None = None
    drawn: bool = False
    n: int = 48
    seed: int = 0
    sheet: Path | None = None
    output: Path | None = None
    config: ComposeConfig = field(default_factory=ComposeConfig)
    layout: Layout = "auto"
    options: ManifestOptions = field(default_factory=ManifestOptions)


@dataclass(frozen=True)
class ComposeSummary:
    """What came of it: samples by type, how many singles they were made of, what was left out, remarks."""

    counts: Counter[ClusterType]
    n_singles: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    def told(self) -> str:
        """The whole in one line."""
        kinds = ", ".join(f"{self.counts[kind]} {kind.label}" for kind in ClusterType if self.counts[kind])
        unused = f"; {len(self.left_out)} pictures not or not wholly used" if self.left_out else ""
        return f"{self.counts.total()} composed of {self.n_singles} single chromosomes: {kinds}{unused}"


@dataclass(frozen=True, eq=False)
class Singles:
    """Single chromosomes ready for composition, each with a name to find it again by."""

    pieces: tuple[Piece, ...]
    names: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_own(self) -> int:
        """How many there are without the bent copies."""
        return sum(not name.endswith(_BENT) for name in self.names)

    @cached_property
    def _names_by_id(self) -> dict[int, str]:
        return {id(piece): name for piece, name in zip(self.pieces, self.names, strict=True)}

    def name_of(self, piece: Piece) -> str:
        """The name of one of ``pieces``."""
        return self._names_by_id[id(piece)]


def read_compose_config(path: Path | None, *, types: str = "") -> ComposeConfig:
    """The tables of a TOML file (``None``: defaults), with the shares of ``types`` in place of its own.

    ``types`` names types with their shares: ``touching=2,overlapping=1``; a bare name has share 1, a type
    that is not named 0. Raises ``ConfigError``.
    """
    values = {} if path is None else read_toml(path)
    config = parse_config(ComposeConfig, values, where=path or "")
    if not types:
        return config
    composition = {**config.composition.model_dump(), "type_shares": _type_shares(types)}
    return config.model_copy(
        update={"composition": parse_config(CompositionConfig, composition, where="--types")}
    )


def _type_shares(text: str) -> tuple[float, ...]:
    shares = dict.fromkeys(ClusterType, 0.0)
    try:
        for item in text.split(","):
            name, _, share = item.partition("=")
            shares[ClusterType.from_label(name)] += float(share) if share.strip() else 1.0
    except ValueError as error:
        raise ConfigError(
            str(error),
            expected="types with shares, such as touching=2,overlapping=1",
            remedy="correct the list",
            where="--types",
        ) from error
    return tuple(shares.values())


def compose(plan: ComposePlan, *, listener: "Listener | None" = None) -> ComposeSummary:
    """Composed samples as a contact sheet (of the first 600), a data set, or both.

    ``ComposedSet`` says how a data set is laid out.

    Raises ``SupcamError`` when there is nothing to compose from, when a sample cannot be made as asked, or
    when ``plan.output`` exists; then neither sheet nor folder appears.
    """
    if plan.sheet is None and plan.output is None:
        raise SupcamError(
            "nowhere to write", expected="a sheet, an output or both", remedy="name one of them"
        )
    if (plan.singles is None) is not plan.drawn:
        raise SupcamError(
            "both pictures and drawn ones asked for" if plan.drawn else "nothing to compose from",
            expected="single chromosomes or --drawn",
            remedy="give one of the two",
        )
    with ExitStack() as stack:
        made = stack.enter_context(ComposedSet(plan.output)) if plan.output else None
        singles = _read_singles(plan, listener=listener)
        composer = Composer(singles.pieces, config=plan.config.composition, crop=plan.config.crop)
        samples: list[Composed] = []
        counts: Counter[ClusterType] = Counter()
        for sample in _drawn(composer, plan=plan):
            counts[sample.type] += 1
            if made:
                made.add(Named(sample, parents=tuple(map(singles.name_of, sample.parents))))
            if plan.sheet and len(samples) < _MOST_ON_SHEET:
                samples.append(sample)
            if listener:
                listener.advanced(1)
        if plan.sheet:
            write_sheet(samples, path=plan.sheet)
        if made:
            made.keep(_about(plan, singles=singles), left_out=singles.left_out)
    return ComposeSummary(counts, singles.n_own, left_out=singles.left_out, notes=singles.notes)


def _drawn(composer: Composer, *, plan: ComposePlan) -> Iterator[Composed]:
    return (composer.draw(np.random.default_rng([plan.seed, index])) for index in range(plan.n))


def _about(plan: ComposePlan, *, singles: Singles) -> dict[str, object]:
    return {
        "n": plan.n,
        "seed": plan.seed,
        "singles": singles.n_own,
        "source": "drawn" if plan.singles is None else plan.singles.name,
        "config": plan.config.model_dump(mode="json"),
    }


def _read_singles(plan: ComposePlan, *, listener: "Listener | None") -> Singles:
    if plan.singles is None:
        drawing = DrawnSingles(
            synthesis=plan.config.synthesis, image=plan.config.image, foreground=plan.config.foreground
        )
        if listener:
            listener.started(plan.n)
        regions = draw_singles(drawing, seed=plan.seed)
        return _prepared(regions, [f"drawn {i}" for i in range(len(regions))], config=plan.config)
    manifest = read_manifest(plan.singles, layout=plan.layout, options=plan.options)
    if listener:
        listener.started(len(manifest.items) + plan.n)
    return _from_disk(manifest, root=plan.singles, config=plan.config, listener=listener)


def _from_disk(
    manifest: Manifest, *, root: Path, config: ComposeConfig, listener: "Listener | None"
) -> Singles:
    """The single chromosomes of crops and of annotated metaphases, in the manifest's order."""
    all_single = manifest.layout == "folder"
    regions: list[Region] = []
    names: list[str] = []
    left_out = [LeftOut(item.path, item.reason) for item in manifest.unreadable]
    for item in manifest.items:
        harvest = _harvested(item, all_single=all_single, config=config)
        regions += harvest.singles
        names += [_name(region, path=item.path, root=root) for region in harvest.singles]
        left_out += harvest.left_out
        if listener:
            listener.advanced(1)
    found = _prepared(regions, names, config=config)
    note = "a plain folder: every picture in it was taken for one chromosome"
    notes = manifest.notes + ((note,) if all_single else ())
    return Singles(found.pieces, found.names, left_out=tuple(left_out), notes=notes)


def _harvested(item: Sample | AnnotatedPicture, *, all_single: bool, config: ComposeConfig) -> Harvest:
    if isinstance(item, AnnotatedPicture):
        return harvest_metaphases([item], image=config.image, foreground=config.foreground)
    if item.type not in (None, ClusterType.INSTANCE):
        return EMPTY
    sample = replace(item, type=ClusterType.INSTANCE, n_chromosomes=1) if all_single else item
    return harvest_crops([sample], image=config.image, foreground=config.foreground)


def _name(region: Region, *, path: Path, root: Path) -> str:
    """A crop by its path within the manifest's folder, an object of a metaphase by its box as well."""
    folder = root if root.is_dir() else root.parent
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
    box = region.box
    return f"{name}#{box.top},{box.left},{box.bottom},{box.right}" if region.picture else name


def _prepared(regions: Sequence[Region], names: Sequence[str], *, config: ComposeConfig) -> Singles:
    """Those that have enough of a body to be composed, and bent copies of some of them."""
    bent = bent_copies(regions, config=config.composition)
    every = [
        *zip(regions, names, strict=True),
        *((copy, names[index] + _BENT) for index, copy in bent.items()),
    ]
    prepared = [(prepare(region, config=config.foreground), name) for region, name in every]
    pieces = tuple((piece, name) for piece, name in prepared if piece is not None)
    if not pieces:
        raise ManifestError(
            f"no single chromosome that can be composed among {len(regions)}",
            expected="pictures typed instance, a plain folder of them, or metaphases with boxes",
            remedy="check the manifest, or compose drawn ones",
        )
    return Singles(tuple(piece for piece, _ in pieces), tuple(name for _, name in pieces))
