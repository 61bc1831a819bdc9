"""What an analysis of one picture says: objects, counts, decision, and the ways to show and keep them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8, UInt16

from supcam.core.types import Box, ClusterType, Decision, PixelSize, Polarity, SupcamError
from supcam.spread.coco import coco_table
from supcam.spread.counting import Count, total_count
from supcam.spread.objects import SpreadObject
from supcam.spread.overlay import draw_overlay, png_bytes
from supcam.spread.picture import Grey
from supcam.spread.rows import OBJECT_COLUMNS, Row, object_row

if TYPE_CHECKING:
    import pandas as pd

LEAST_CONTRAST = 0.08
"""Below this typical stain a picture is called faint."""
LEAST_FOCUS = 0.22
"""Below this sharpness a picture is called out of focus."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a picture is.

    ``width_px`` is the median chromosome width. ``contrast`` is the typical stain of a chromosome: optical
    density in bright field, share of the range in fluorescence. ``focus`` is the median rise of stain over
    two pixels along the objects' edges, as a share of their stain: 0 is flat, 1 a step.
    """

    width_px: float
    contrast: float
    focus: float


@dataclass(frozen=True, eq=False)
class Analysis:
    """A metaphase picture, analysed.

    ``name`` is that of the file; ``size`` is (height, width) in pixels. ``preview`` is the picture in grey,
    reduced by ``preview_scale`` where it is very large. ``pixel_size`` is ``None`` where the file does not
    say it. ``in_context`` tells that objects were read in their picture, not each by itself. In a notebook it
    shows itself.
    """

    name: str
    size: tuple[int, int]
    objects: tuple[SpreadObject, ...]
    preview: Grey
    preview_scale: float
    polarity: Polarity
    quality: Quality
    model: str
    notes: tuple[str, ...] = ()
    pixel_size: PixelSize | None = None
    in_context: bool = False

    @cached_property
    def kept(self) -> tuple[SpreadObject, ...]:
        """The objects that are one or several chromosomes."""
        return tuple(item for item in self.objects if item.is_kept)

    @cached_property
    def rejected(self) -> tuple[SpreadObject, ...]:
        """The objects that are no chromosome, each with its reason."""
        return tuple(item for item in self.objects if not item.is_kept)

    @cached_property
    def count(self) -> Count:
        """The number of chromosomes of the whole picture, with its 90 % interval."""
        return total_count(
            [item.n_chromosomes for item in self.kept],
            chances=[item.number_chances for item in self.kept],
            in_context=self.in_context,
        )

    @cached_property
    def by_type(self) -> dict[str, int]:
        """The number of kept objects of each type."""
        seen = Counter(item.type for item in self.kept)
        return {kind.label: seen[kind.label] for kind in ClusterType}

    @property
    def cluster_share(self) -> float:
        """The share of the chromosomes that lie in unresolved clusters; 0 without any chromosome."""
        clusters = sum(item.n_chromosomes for item in self.kept if item.n_chromosomes > 1)
        return clusters / max(1, self.count.n)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why a person must look at the picture, in words; none when all of it is accepted."""
        return (*self._picture_reasons(), *self._object_reasons())

    @property
    def decision(self) -> Decision:
        """Accept when every object is accepted and the picture is fit to be read, else review."""
        return Decision.REVIEW if self.reasons else Decision.ACCEPT

    @property
    def labels(self) -> UInt16[np.ndarray, "height width"]:
        """The label picture: 0 for background, else the object's ``object_id``; rejected ones included."""
        return self.label_rows(0, self.size[0])

    def label_rows(self, top: int, bottom: int) -> UInt16[np.ndarray, "rows width"]:
        """Rows ``top`` to ``bottom`` of the label picture."""
        labels = np.zeros((bottom - top, self.size[1]), np.uint16)
        for item in self.objects:
            first, last = max(top, item.box.top), min(bottom, item.box.bottom)
            if first < last:
                mask = item.mask[first - item.box.top : last - item.box.top]
                labels[first - top : last - top, item.box.left : item.box.right][mask] = item.object_id
        return labels

    def areas_um2(self) -> dict[int, float] | None:
        """The area of every object in square micrometres, by ``object_id``.

        ``None`` where the file does not say how large a pixel is.
        """
        if self.pixel_size is None:
            return None
        return {item.object_id: item.area_px * self.pixel_size.area_um2 for item in self.objects}

    def to_coco(self) -> dict[str, object]:
        """The kept objects as a COCO table with masks as run lengths, ready for JSON."""
        return coco_table([(self.name, self.size, self.kept)])

    def to_json(self) -> dict[str, object]:
        """All that was found, ready for JSON: the document ``analysis`` of ``supcam schema``."""
        from supcam.spread.document import analysis_document, picture_entry  # noqa: PLC0415  as below
        from supcam.spread.outputs import make_record  # noqa: PLC0415  they build on this module

        return analysis_document([picture_entry(make_record(self, case="", stem=""), output=None)])

    def to_dataframe(self) -> pd.DataFrame:
        """The objects as a pandas table with the columns of ``objects.csv``.

        Raises ``SupcamError`` when pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415  only whoever asks for it needs it
        except ModuleNotFoundError as error:
            raise SupcamError(
                "no pandas in this installation",
                expected="pandas",
                remedy='pip install "supcam[measure]"',
            ) from error
        return pd.DataFrame(self.rows(), columns=list(OBJECT_COLUMNS))

    def rows(self) -> list[Row]:
        """One row of ``objects.csv`` for each object."""
        return [object_row(item, name=self.name) for item in self.objects]

    def overlay(self) -> UInt8[np.ndarray, "rows columns 3"]:
        """The picture in colour with every object outlined by its type, doubt and rejection marked."""
        return draw_overlay(self.preview, objects=self.objects, scale=self.preview_scale)

    def told(self) -> str:
        """The picture in one line."""
        count = self.count
        parts = [f"{count.n} chromosomes ({count.low} to {count.high}) in {len(self.kept)} objects"]
        parts += [f"{n} {label.replace('_', '-')}" for label, n in self.by_type.items() if n]
        parts.append(f"{len(self.rejected)} rejected")
        return f"{self.name}: {', '.join(parts)}; {self.decision.value}"

    def _repr_png_(self) -> bytes:
        return png_bytes(self.overlay())

    def _repr_html_(self) -> str:
        from supcam.spread.report import notebook_card  # noqa: PLC0415  it builds on this module

        return notebook_card(self)

    def _picture_reasons(self) -> list[str]:
        reasons = []
        if not self.kept:
            reasons.append("no chromosome was found")
        if self.quality.contrast < LEAST_CONTRAST:
            reasons.append("the stain is faint")
        if self.kept and self.quality.focus < LEAST_FOCUS:
            reasons.append("the picture is out of focus")
        return reasons

    def _object_reasons(self) -> list[str]:
        seen = Counter(doubt for item in self.objects for doubt in item.doubts)
        return [
            f"{count} object{'s' if count > 1 else ''}: {doubt.value}" for doubt, count in seen.most_common()
        ]


def place_of(box: Box, *, scale: float) -> Box:
    """``box`` in a picture reduced by ``scale``."""
    return Box(
        top=int(box.top * scale),
        left=int(box.left * scale),
        bottom=int(np.ceil(box.bottom * scale)),
        right=int(np.ceil(box.right * scale)),
    )
