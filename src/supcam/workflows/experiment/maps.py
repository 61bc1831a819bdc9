"""``supcam experiment embed``: labelled pictures as networks see them, as maps and in figures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np

import supcam
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, ConfigError, Region
from supcam.learn.features import Backbone, backbone_by_chance, backbone_of, features_of
from supcam.learn.mixing import example_of
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.sources import PartsReader
from supcam.measure.comparison import Compared, compare
from supcam.measure.maps_figure import FeatureMap, maps_figure
from supcam.measure.separation import (
    Embedded,
    Reducer,
    drawn_rows,
    flat,
    laboratory_read,
    read_by_neighbours,
    silhouettes_by_type,
)
from supcam.measure.table import PredictionTable
from supcam.pack.restore import restore
from supcam.workflows.experiment.table import difference_cell, figure_cell, line_of
from supcam.workflows.new_folder import NewFolder

CHANCE = "chance"
"""In place of a checkpoint: the recipe's network with weights drawn by chance."""
PICTURE, PAGE, FIGURES = "maps.png", "maps.md", "maps.json"
_EVERYWHERE = "all"
_READ_BY = "macro_recall"


@dataclass(frozen=True, slots=True)
class Weights:
    """What a network is called on its map, and its weights: a checkpoint, a model folder, or ``CHANCE``."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class MapsPlan:
    """Which networks are shown on which pictures.

    ``recipe`` says where the pictures lie and which parts they play, and what network ``CHANCE`` draws; all
    else each network's own recipe says. ``neighbours`` read a picture's type. At most ``most`` pictures of
    each type and source are taken, drawn by ``seed``, so that types are nearer to each other in number. The
    first network is what the others are compared with.
    """

    recipe: Path
    weights: tuple[Weights, ...]
    parts: tuple[str, ...]
    output: Path
    how: Reducer = "tsne"
    neighbours: int = 5
    most: int = 300
    seed: int = 0
    command: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is said of one network.

    ``learnt_from`` are those of the shown parts that its last step learnt from; ``read`` is the macro recall
    of types read by neighbours of other cases, on all pictures and on each source's.
    """

    weights: Weights
    learnt_from: tuple[str, ...]
    silhouettes: Mapping[ClusterType, float]
    read: Mapping[str, Compared]
    laboratory: float | None

    @property
    def silhouette(self) -> float:
        """The mean over the types."""
        return float(np.mean([*self.silhouettes.values()]))


def draw_maps(plan: MapsPlan) -> tuple[Seen, ...]:
    """What is said of each network, in a new folder: ``maps.png``, ``maps.md`` and ``maps.json``.

    Raises ``ConfigError`` for names that are not told apart, parts that no case plays, and networks that see
    other objects; ``TrainingError`` or ``BundleError`` for weights that cannot be used; ``SupcamError`` where
    there are too few types or cases, or something at ``output``.
    """
    _check(plan)
    with NewFolder(plan.output) as folder:
        recipe = read_recipe(plan.recipe)
        reader = PartsReader(folder=plan.recipe.parent)
        embedded = [_embedded(one, plan=plan, recipe=recipe, reader=reader) for one in plan.weights]
        _require_same(embedded, plan=plan)
        tables = [read_by_neighbours(one.pictures, neighbours=plan.neighbours) for one in embedded]
        seen = tuple(
            _seen(weights, one=one, table=table, reference=tables[0], plan=plan)
            for weights, one, table in zip(plan.weights, embedded, tables, strict=True)
        )
        folder.write(PICTURE, _picture([one.pictures for one in embedded], seen=seen, plan=plan))
        folder.write(PAGE, ("\n".join(told(seen)) + "\n").encode())
        values = _values(seen, pictures=embedded[0].pictures, plan=plan)
        folder.write(FIGURES, (json.dumps(values, indent=1, allow_nan=False) + "\n").encode())
        folder.keep()
    return seen


def told(seen: Sequence[Seen]) -> Iterator[str]:
    """The figures as a table in Markdown."""
    sources = [name for name in seen[0].read if name != _EVERYWHERE]
    heads = [
        "network", "silhouette of the types", "types by neighbours", f"against {seen[0].weights.name}",
        *(f"on {name} alone" for name in sources), "laboratory", "learnt from what is shown",
    ]  # fmt: skip
    yield line_of(heads)
    yield "|" + "---|" * len(heads)
    for one in seen:
        everywhere = one.read[_EVERYWHERE]
        yield line_of(
            [
                one.weights.name,
                f"{one.silhouette:+.3f}",
                figure_cell(everywhere),
                "–" if one is seen[0] else difference_cell(everywhere),
                *(figure_cell(one.read[name]) for name in sources),
                "–" if one.laboratory is None else f"{one.laboratory:.3f}",
                ", ".join(one.learnt_from) or "no",
            ]
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """A network's view of all pictures of known type."""

    pictures: Embedded
    learnt_from: tuple[str, ...]


def _check(plan: MapsPlan) -> None:
    names = [one.name for one in plan.weights]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"networks {', '.join(names) or 'none'}",
            expected="at least one network, each with a name of its own",
            remedy="name them: NAME=CHECKPOINT",
        )


def _embedded(weights: Weights, *, plan: MapsPlan, recipe: Recipe, reader: PartsReader) -> _Shown:
    backbone = _backbone(weights, recipe=recipe)
    own = backbone.recipe.model_copy(update={"data": recipe.data})
    typed = _taken(reader.regions(own, parts=plan.parts), plan=plan)
    seen = [example_of(one, picture=network_input(one, config=own.crop)) for one in typed]
    features = features_of(backbone, examples=seen)
    return _Shown(
        Embedded(
            features=features,
            types=np.array([example.type for example in seen], np.int64),
            sources=_words(typed, name="source"),
            cases=_words(typed, name="case"),
        ),
        learnt_from=tuple(part for part in plan.parts if part in backbone.learnt_from),
    )


def _taken(regions: Sequence[Region], *, plan: MapsPlan) -> list[Region]:
    """Those of known type, or as many of them as the plan takes."""
    typed = [region for region in regions if region.type is not None]
    rows = drawn_rows(
        np.array([region.type for region in typed], np.int64),
        sources=_words(typed, name="source"),
        most=plan.most,
        rng=np.random.default_rng(plan.seed),
    )
    return [typed[row] for row in rows]


def _backbone(weights: Weights, *, recipe: Recipe) -> Backbone:
    if weights.place == CHANCE:
        return backbone_by_chance(recipe)
    place = Path(weights.place)
    if not place.is_dir():
        return backbone_of(place)
    restored = restore(place)
    learnt_from = restored.files.card.data.roles.get("train", ())
    return Backbone(restored.network, restored.recipe, learnt_from=tuple(learnt_from))


def _words(regions: Sequence[Region], *, name: str) -> np.ndarray:
    return np.array([getattr(region, name) for region in regions], np.str_)


def _require_same(embedded: Sequence[_Shown], *, plan: MapsPlan) -> None:
    first = embedded[0].pictures
    for weights, one in zip(plan.weights, embedded, strict=True):
        mine = one.pictures
        if [*mine.case_keys] != [*first.case_keys] or [*mine.types] != [*first.types]:
            raise ConfigError(
                f"{len(mine.types)} objects for {weights.name}, not {len(first.types)}",
                expected="networks whose recipes find the same objects in the pictures",
                remedy="compare their tables [image] and [foreground], or draw a map of each",
            )


def _seen(
    weights: Weights, *, one: _Shown, table: PredictionTable, reference: PredictionTable, plan: MapsPlan
) -> Seen:
    rows = {_EVERYWHERE: np.ones(len(table), bool)}
    names = [str(name) for name in np.unique(table.sources)]
    rows |= {name: table.sources == name for name in names if len(names) > 1}
    return Seen(
        weights=weights,
        learnt_from=one.learnt_from,
        silhouettes=silhouettes_by_type(one.pictures),
        read={
            name: compare(
                table.take(some), reference=reference.take(some), rng=np.random.default_rng(plan.seed)
            )[_READ_BY]
            for name, some in rows.items()
        },
        laboratory=laboratory_read(one.pictures),
    )


def _picture(pictures: Sequence[Embedded], *, seen: Sequence[Seen], plan: MapsPlan) -> bytes:
    maps = [
        FeatureMap(
            title=f"{one.weights.name}\nsilhouette {one.silhouette:+.2f}, "
            f"types by neighbours {one.read[_EVERYWHERE].value:.2f}",
            points=flat(shown, how=plan.how, seed=plan.seed),
            types=shown.types,
            sources=shown.sources,
        )
        for shown, one in zip(pictures, seen, strict=True)
    ]
    file = io.BytesIO()
    maps_figure(maps).savefig(file, format="png", dpi=110, metadata={"Software": None})
    return file.getvalue()


def _values(seen: Sequence[Seen], *, pictures: Embedded, plan: MapsPlan) -> dict[str, object]:
    return {
        "command": plan.command,
        "commit": plan.commit,
        "supcam_version": supcam.__version__,
        "seed": plan.seed,
        "map": plan.how,
        "neighbours": plan.neighbours,
        "most_of_a_type_and_source": plan.most,
        "parts": list(plan.parts),
        "pictures": {
            str(source): {
                kind.label: int(np.sum(pictures.types[pictures.sources == source] == kind))
                for kind in ClusterType
            }
            for source in np.unique(pictures.sources)
        },
        "networks": [
            {
                "name": one.weights.name,
                "weights": one.weights.place,
                "learnt_from_what_is_shown": list(one.learnt_from),
                "silhouettes": {kind.label: round(value, 5) for kind, value in one.silhouettes.items()},
                "silhouette": round(one.silhouette, 5),
                "macro_recall_by_neighbours": {
                    name: {key: _number(value) for key, value in asdict(figure).items()}
                    for name, figure in one.read.items()
                },
                "laboratory_of_single_chromosomes": _number(one.laboratory),
            }
            for one in seen
        ],
    }


def _number(value: float | None) -> float | None:
    return round(value, 5) if value is not None and isfinite(value) else None
