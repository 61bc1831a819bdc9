"""``supcam convert``: results -> other programs' annotations; what people made of them -> training sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.types import Box, ConfigError, ImageError, ManifestError
from supcam.data.decided import REJECTED_TABLE, SOURCE
from supcam.data.exchange.coco import write_coco
from supcam.data.exchange.cvat import labels_json, write_cvat
from supcam.data.exchange.label_studio import labelling_interface, write_label_studio
from supcam.data.exchange.marked import REJECTED, Marked, MarkedPicture, NotUsed
from supcam.data.layout import TABLE_NAME
from supcam.spread.crops import cut_from
from supcam.spread.finding import find_ground
from supcam.spread.overlay import png_bytes
from supcam.spread.picture import OpenPicture, open_picture
from supcam.workflows.marked_sources import (
    FIFTYONE_LABELS,
    FIFTYONE_PICTURES,
    SourceFormat,
    find_format,
    read_marked,
)
from supcam.workflows.naming import name_pictures
from supcam.workflows.new_folder import NewFolder

if TYPE_CHECKING:
    from supcam.workflows.classify import Listener

TargetFormat = Literal["coco", "label-studio", "cvat", "fiftyone", "training"]
TARGET_FORMATS: tuple[str, ...] = get_args(TargetFormat)
LABEL_STUDIO_PREFIX = "/data/local-files/?d=images/"
"""Where Label Studio finds pictures below the folder that it serves (LOCAL_FILES_DOCUMENT_ROOT)."""
LEFT_OUT = "left_out.csv"
_PICTURES = "images"
_LABEL_COLUMNS = ("path", "type", "n_chromosomes", "case", "source")


@dataclass(frozen=True)
class ConvertPlan:
    """What to read, into which format, in which new folder.

    ``pictures`` is the folder in which the pictures of the annotations lie; ``None``: that of the
    annotations, where pictures are needed, or for an analysis the paths that it was given. ``cases`` is as in
    ``AnalyzePlan``; blank: as the annotations say. ``prefix`` stands before names in tasks of Label Studio.
    """

    source: Path
    output: Path
    target: TargetFormat
    format: SourceFormat | Literal["auto"] = "auto"
    pictures: Path | None = None
    cases: str = ""
    rejected: bool = False
    prefix: str = LABEL_STUDIO_PREFIX
    image: ImageConfig = field(default_factory=ImageConfig)


@dataclass(frozen=True)
class ConvertSummary:
    """How many objects of each kind were written, of how many pictures, and what was not used."""

    counts: Counter[str]
    n_pictures: int
    not_used: tuple[NotUsed, ...]
    output: Path

    def told(self) -> str:
        """The whole in one line."""
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.counts.items())) or "no object"
        unused = f"; {len(self.not_used)} left out -> {self.output / LEFT_OUT}" if self.not_used else ""
        return f"{self.n_pictures} pictures -> {self.output}: {kinds}{unused}"


def convert(plan: ConvertPlan, *, listener: Listener | None = None) -> ConvertSummary:
    """What is marked in ``plan.source``, written anew to ``plan.output``, which must not exist.

    Raises ``ManifestError`` for a source that cannot be read or holds nothing that can be used,
    ``ConfigError`` for a training set of what nobody has checked, ``SupcamError`` for an output that cannot
    be written.
    """
    found = find_format(plan.source) if plan.format == "auto" else plan.format
    if found == "analysis" and plan.target == "training":
        raise ConfigError(
            "an analysis, which is the model's own word",
            expected="annotations that people have checked",
            remedy="correct them first, or cut crops with supcam analyze --crops and check their labels.csv",
        )
    marked = read_marked(plan.source, format=found, rejected=plan.rejected)
    with NewFolder(plan.output) as folder:
        writer = _Writer(folder, plan=plan, marked=marked, is_analysis=found == "analysis")
        writer.write(listener)
        if not writer.pictures:
            first = (
                f", the first: {writer.not_used[0].where}: {writer.not_used[0].reason}"
                if writer.not_used
                else ""
            )
            raise ManifestError(
                f"no picture that can be used{first}",
                expected="annotated pictures, and where they are needed their files",
                remedy="check the annotations, and name the folder of the pictures with --pictures",
                where=plan.source,
            )
        if writer.not_used:
            rows = [(each.where, each.reason) for each in writer.not_used]
            folder.write_table(LEFT_OUT, columns=("picture", "reason"), rows=rows)
        folder.keep()
    return ConvertSummary(
        Counter(item.kind for picture in writer.pictures for item in picture.objects),
        n_pictures=len(writer.pictures),
        not_used=tuple(writer.not_used),
        output=plan.output,
    )


class _Writer:
    """Writes pictures and annotations; ``pictures`` are those that were used, ``not_used`` the rest."""

    def __init__(self, folder: NewFolder, *, plan: ConvertPlan, marked: Marked, is_analysis: bool) -> None:
        self._folder, self._plan, self._marked, self._is_analysis = folder, plan, marked, is_analysis
        self._needs_files = plan.target in ("fiftyone", "training") or plan.pictures is not None
        names = [picture.file_name for picture in marked.pictures]
        self._twice = Counter(Path(name).name for name in names)
        named = name_pictures(list(dict.fromkeys(names)), cases=plan.cases, pseudonymise=False)
        self._stems, self._cases = named.stems, named.cases
        self._labels: list[tuple[object, ...]] = []
        self._rejects: list[tuple[object, ...]] = []
        self.pictures: list[MarkedPicture] = []
        self.not_used: list[NotUsed] = [*marked.not_used]

    def write(self, listener: Listener | None) -> None:
        """All of it, but for the list of what was not used."""
        if listener:
            listener.started(len(self._marked.pictures))
        for picture in self._marked.pictures:
            try:
                self.pictures.append(self._use(picture))
            except ImageError as error:
                self.not_used.append(NotUsed(picture.file_name, error.reason))
            if listener:
                listener.advanced(1)
        for name, content in self._annotations():
            self._folder.write(name, content)
        if self._plan.target == "training" and self.pictures:
            self._folder.write_table(TABLE_NAME, columns=_LABEL_COLUMNS, rows=self._labels)
            self._folder.write_table(REJECTED_TABLE, columns=("path", "case"), rows=self._rejects)

    def _use(self, picture: MarkedPicture) -> MarkedPicture:
        """The picture as it is written, its file or crops written too. Raises ``ImageError``."""
        case = self._cases[picture.file_name] if self._plan.cases or not picture.case else picture.case
        picture = replace(picture, case=case)
        if not self._needs_files:
            if not picture.height:
                raise _unusable("no region on it, and so no size", remedy="name the pictures with --pictures")
            return picture
        with open_picture(self._find(picture), config=self._plan.image) as opened:
            height, width = opened.size
            if picture.height and (picture.height, picture.width) != opened.size:
                raise _unusable(
                    f"{width} x {height} pixels where {picture.width} x {picture.height} were annotated",
                    remedy="give the pictures that were annotated",
                )
            if self._plan.target == "training":
                self._cut(picture, opened=opened)
                return picture
            stem = self._stems[picture.file_name]
            below = FIFTYONE_PICTURES if self._plan.target == "fiftyone" else _PICTURES
            grey = opened.grey(Box(0, 0, height, width))
            self._folder.write(f"{below}/{stem}.png", png_bytes(grey))
        return replace(picture, file_name=f"{stem}.png", height=height, width=width)

    def _cut(self, picture: MarkedPicture, *, opened: OpenPicture) -> None:
        """The crops of a picture, and their rows."""
        if not picture.objects:
            return
        width_px = find_ground(opened, config=ForegroundConfig()).levels.width_px
        stem = self._stems[picture.file_name]
        for number, item in enumerate(picture.objects, start=1):
            place = f"{item.kind}/{stem}_{number}.png"
            cut = cut_from(opened, box=item.box, mask=item.mask, width_px=width_px)
            self._folder.write(place, png_bytes(cut))
            if item.kind == REJECTED:
                self._rejects.append((place, picture.case))
            else:
                number_told = item.n_chromosomes or ""
                self._labels.append((place, item.kind, number_told, picture.case, SOURCE))

    def _find(self, picture: MarkedPicture) -> Path:
        """The file of a picture, which never leads out of the folder. Raises ``ImageError``."""
        name, folder = picture.file_name, self._plan.pictures
        if folder is None and self._is_analysis:
            return Path(name)
        if folder is None:
            folder = self._plan.source if self._plan.source.is_dir() else self._plan.source.parent
        last = Path(name.replace("\\", "/")).name
        tails = [name] if self._twice[Path(name).name] > 1 else [name, last]
        for tail in tails:
            for below in ("", _PICTURES, FIFTYONE_PICTURES):
                place = folder / below / tail
                if _is_file_below(place, folder=folder):
                    return place
        raise _unusable(f"no file of this name in {folder}", remedy="name their folder with --pictures")

    def _annotations(self) -> Iterator[tuple[str, bytes]]:
        """The files of annotations with their content."""
        pictures, plan = self.pictures, self._plan
        if plan.target == "coco":
            yield "coco.json", write_coco(pictures)
        if plan.target == "fiftyone":
            yield FIFTYONE_LABELS, write_coco(pictures)
        if plan.target == "cvat":
            yield "annotations.xml", write_cvat(pictures)
            yield "labels.json", labels_json()
        if plan.target == "label-studio":
            tasks = write_label_studio(pictures, model=self._marked.model, prefix=plan.prefix)
            yield "tasks.json", tasks
            yield "label_config.xml", labelling_interface()


def _is_file_below(place: Path, *, folder: Path) -> bool:
    try:
        return place.is_file() and place.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def _unusable(found: str, *, remedy: str) -> ImageError:
    return ImageError(found, expected="the picture that was annotated", remedy=remedy)
