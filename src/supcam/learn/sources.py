"""Manifests and roles -> what a run learns from and is watched on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import is_
from pathlib import Path

from supcam.core.config import DataConfig, SourceConfig
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, ConfigError, Region
from supcam.data.bending import bent_copies
from supcam.data.composition import Composer
from supcam.data.harvest import EMPTY, Harvest, harvest_crops, harvest_metaphases
from supcam.data.leak import refuse_leaks
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
from supcam.data.piece import Piece, prepare
from supcam.data.split import ROLES, Cased, CaseRole, Roles, read_roles
from supcam.learn.batches import Example, ExampleSource, TrainingSources
from supcam.learn.label_thrift import with_few_labels
from supcam.learn.mixing import MixedSource, RealSource, example_of, pool_of, real_source, require_several
from supcam.learn.recipe import Recipe
from supcam.learn.run_folder import sha256_of
from supcam.learn.stages import Stages, read_stages
from supcam.learn.weak_types import with_weak_types

Tick = Callable[[], None]
PiecesOf = Callable[[Sequence[Region], Stages], Sequence[Piece]]


def build_sources(recipe: Recipe, *, folder: Path = Path(), tick: Tick | None = None) -> TrainingSources:
    """The training source and the validation sets of ``recipe``; the roles file is looked for in ``folder``.

    Raises ``ConfigError`` for a part that no case plays, ``ManifestError`` for tables that cannot be used.
    """
    return PartsReader(folder=folder, tick=tick).sources(recipe)


class PartsReader:
    """Parts of the sources (``source:role``), harvested when first asked for and kept for further recipes.

    ``folder`` is where recipes look for their roles files. Methods raise ``ConfigError`` for a part that no
    case plays, ``ManifestError`` for tables that cannot be used.
    """

    def __init__(self, *, folder: Path = Path(), tick: Tick | None = None) -> None:
        self._folder = folder
        self._tick = tick
        self._read: dict[str, tuple[Manifest, Roles]] = {}
        self._harvested: dict[str, Harvest] = {}
        self._prepared: _Prepared | None = None

    def sources(self, recipe: Recipe) -> TrainingSources:
        """What either step of ``recipe`` learns from, and what both are watched on."""
        stages = read_stages(recipe)
        data = stages.data
        validation = {name: self.examples(recipe, parts=parts) for name, parts in data.validation.items()}
        learnt = self.harvest(recipe, parts=data.train)
        data_hash = self._hash(stages)
        if data.clusters_a_class is not None:
            n, seed = data.clusters_a_class, recipe.train.seed
            learnt = with_few_labels(learnt, clusters_a_class=n, seed=seed)
            data_hash = f"{data_hash} {n} of seed {seed}"
        if data.typed_by is not None:
            checkpoint = Path(data.typed_by)
            learnt = with_weak_types(learnt, checkpoint=checkpoint, least=data.typed_from)
            data_hash = f"{data_hash} {sha256_of(checkpoint)}"
        if recipe.train.teacher is not None:
            data_hash = f"{data_hash} taught by {sha256_of(Path(recipe.train.teacher))}"
        return sources_of(
            learnt, validation=validation, data_hash=data_hash, stages=stages, pieces=self._pieces
        )

    def regions(self, recipe: Recipe, *, parts: Sequence[str]) -> tuple[Region, ...]:
        """The single chromosomes and clusters of ``parts``, always in the same order."""
        harvest = self.harvest(recipe, parts=parts)
        return (*harvest.singles, *harvest.clusters)

    def examples(self, recipe: Recipe, *, parts: Sequence[str]) -> tuple[Example, ...]:
        """What the network of ``recipe`` sees of ``regions``."""
        regions = self.regions(recipe, parts=parts)
        return tuple(example_of(one, picture=network_input(one, config=recipe.crop)) for one in regions)

    def harvest(self, recipe: Recipe, *, parts: Sequence[str]) -> Harvest:
        """Everything cut from the pictures whose case plays one of ``parts``."""
        stages = read_stages(recipe)
        return sum((self._part(part, stages=stages) for part in parts), EMPTY)

    def _pieces(self, singles: Sequence[Region], stages: Stages) -> Sequence[Piece]:
        """Those of ``pieces_of``, kept for the next recipe that composes the same singles alike."""
        config = f"{stages.recipe.foreground.model_dump_json()}\n{stages.composition.model_dump_json()}"
        if self._prepared is None or not self._prepared.is_of(singles, config=config):
            self._prepared = _Prepared((*singles,), config, (*pieces_of(singles, stages),))
        return self._prepared.pieces

    def _part(self, part: str, *, stages: Stages) -> Harvest:
        recipe = stages.recipe
        key = "\n".join(
            [part, _key(stages.data), *(c.model_dump_json() for c in (recipe.image, recipe.foreground))]
        )
        if key not in self._harvested:
            manifest, roles = self._manifest(stages.data)
            self._harvested[key] = _harvest_part(
                manifest, roles=roles, part=part, recipe=recipe, tick=self._tick
            )
        return self._harvested[key]

    def _manifest(self, data: DataConfig) -> tuple[Manifest, Roles]:
        """All sources and who plays what, with no picture on two sides."""
        key = _key(data)
        if key not in self._read:
            manifest = read_sources(data)
            roles = _with_own(read_roles(self._folder / data.roles), manifest=manifest, data=data)
            refuse_leaks(manifest, roles=roles)
            self._read[key] = manifest, roles
        return self._read[key]

    def _hash(self, stages: Stages) -> str:
        manifest, roles = self._manifest(stages.data)
        data = stages.data
        used = (*data.train, *(part for parts in data.validation.values() for part in parts))
        return _data_hash(manifest, roles=roles, parts=used)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """Pieces, the singles that they were made of, and the settings by which."""

    singles: tuple[Region, ...]
    config: str
    pieces: tuple[Piece, ...]

    def is_of(self, singles: Sequence[Region], *, config: str) -> bool:
        """Whether these very singles would give the same pieces."""
        same = len(singles) == len(self.singles) and all(map(is_, singles, self.singles))
        return same and config == self.config


def _with_own(roles: Roles, *, manifest: Manifest, data: DataConfig) -> Roles:
    """``roles``, and those of the sources that have one for all their cases. Raises ``ConfigError``."""
    own = {source.source: source.role for source in data.sources.values() if source.role is not None}
    unknown = sorted({role for role in own.values() if role not in ROLES})
    if unknown:
        raise ConfigError(
            f"the role {', '.join(map(repr, unknown))} of a source",
            expected=f"one of {', '.join(ROLES)}",
            remedy="correct [data.sources] in the recipe",
        )
    items: tuple[Cased, ...] = (*manifest.samples, *manifest.pictures)
    cases = {(item.source, item.case) for item in items if item.source in own}
    return Roles((*roles.rows, *(CaseRole(source, case, own[source]) for source, case in sorted(cases))))


def _key(data: DataConfig) -> str:
    """What decides which pictures there are and what they play."""
    return data.model_dump_json(include={"root", "sources", "roles"})


def read_sources(config: DataConfig) -> Manifest:
    """All configured sources as one manifest. Raises ``ConfigError`` when the root is not set."""
    manifest = Manifest()
    for source in config.sources.values():
        manifest += _read_source(source, root=_folder_of(config.root if source.root is None else source.root))
    return manifest


def _folder_of(text: str) -> Path:
    root = Path(os.path.expandvars(text)).expanduser()
    if "$" in str(root):
        raise ConfigError(
            f"root {text!r} that is not set",
            expected="a folder",
            remedy="set the environment variable, or write the folder into [data] root",
        )
    return root


def _read_source(source: SourceConfig, *, root: Path) -> Manifest:
    options = ManifestOptions(
        source=source.source,
        case_rule=source.case_rule or "",
        pictures_folder=None if source.pictures is None else root / source.pictures,
    )
    if source.label_map is not None:
        types = {number: ClusterType.from_label(label) for number, label in source.label_map.items()}
        options = replace(options, label_map=types)
    return read_manifest(root / source.path, layout=source.layout, options=options)


def _harvest_part(
    manifest: Manifest, *, roles: Roles, part: str, recipe: Recipe, tick: Tick | None
) -> Harvest:
    """Everything cut from the pictures whose case plays ``part`` (``source:role``)."""
    source, _, role = part.partition(":")
    crops = [one for one in manifest.samples if one.box is None and one.source == source]
    pictures = [one for one in manifest.pictures if one.source == source]
    chosen, spreads = roles.pick(crops, roles=[role]), roles.pick(pictures, roles=[role])
    if not chosen and not spreads:
        raise ConfigError(
            f"part {part!r} without a picture",
            expected="source:role",
            remedy="compare with the roles file",
        )
    harvest = harvest_crops(chosen, image=recipe.image, foreground=recipe.foreground, tick=tick)
    return harvest + harvest_metaphases(spreads, image=recipe.image, foreground=recipe.foreground, tick=tick)


def sources_of(
    harvest: Harvest,
    *,
    validation: Mapping[str, Sequence[Example]],
    data_hash: str,
    stages: Stages,
    pieces: PiecesOf | None = None,
) -> TrainingSources:
    """What either step of the recipe learns from, and what both are watched on; ``pieces`` is ``pieces_of``.

    Raises ``CompositionError`` when there is no single to compose from, ``ConfigError`` when a step that does
    not compose has nothing to tell apart; contrast by type needs several types.
    """
    train, pretrain = stages.recipe.train, stages.recipe.pretrain
    source = partial(_source, harvest, stages=stages, pieces=pieces or pieces_of)
    learnt_from = source(compose=train.compose)
    before = None
    if pretrain is not None:
        alike = pretrain.compose == train.compose
        before = learnt_from if alike else source(compose=pretrain.compose)
        if isinstance(before, RealSource) and pretrain.method != "moco":
            require_several(before.kinds - {None})
    return TrainingSources(learnt_from, validation=validation, data_hash=data_hash, pretrain=before)


def _source(harvest: Harvest, *, stages: Stages, compose: bool, pieces: PiecesOf) -> ExampleSource:
    if compose:
        return source_of(harvest, stages=stages, pieces=pieces)
    return uncomposed_source(harvest, stages=stages)


def pieces_of(singles: Sequence[Region], stages: Stages) -> list[Piece]:
    """What is composed of ``singles``: each of them, and the bent copies, as far as they can be composed."""
    bodies = [*singles, *bent_copies(singles, config=stages.composition).values()]
    prepared = (prepare(region, config=stages.recipe.foreground) for region in bodies)
    return [piece for piece in prepared if piece is not None]


def source_of(harvest: Harvest, *, stages: Stages, pieces: PiecesOf = pieces_of) -> MixedSource:
    """A training source from what was harvested. Raises ``CompositionError`` when there is no single."""
    shares = stages.composition.source_shares
    return MixedSource(
        composer=Composer(pieces(harvest.singles, stages), config=stages.composition, crop=stages.crop),
        singles=pool_of(harvest.singles, shares=shares),
        clusters=pool_of(_used_clusters(harvest, stages.data), shares=shares),
        debris=pool_of(harvest.debris, shares=shares),
        stages=stages,
    )


def uncomposed_source(harvest: Harvest, *, stages: Stages) -> RealSource:
    """The same without compositions. Raises ``ConfigError`` when there is nothing to tell apart."""
    regions = [*harvest.singles, *_used_clusters(harvest, stages.data), *harvest.debris]
    return real_source(regions, stages=stages)


def _used_clusters(harvest: Harvest, data: DataConfig) -> list[Region]:
    return [one for one in harvest.clusters if _is_used(one, data)]


def _is_used(region: Region, data: DataConfig) -> bool:
    return data.counted_clusters if region.type is None else data.typed_clusters


def _data_hash(manifest: Manifest, *, roles: Roles, parts: Sequence[str]) -> str:
    """SHA-256 of the pictures that play one of ``parts``, with what is said of them and their roles."""

    def plays(item: Cased) -> bool:
        return f"{item.source}:{roles.role_of(source=item.source, case=item.case)}" in parts

    used = replace(
        manifest,
        samples=tuple(item for item in manifest.samples if plays(item)),
        pictures=tuple(item for item in manifest.pictures if plays(item)),
    )
    cases = sorted({(item.source, item.case) for item in used.items})
    played = [f"{source}:{roles.role_of(source=source, case=case)} {case}" for source, case in cases]
    return hashlib.sha256("\n".join([used.fingerprint, *played]).encode()).hexdigest()
