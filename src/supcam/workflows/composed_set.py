"""Composed samples on disk: a data set in ChrCluster's layout with tables and masks, or a contact sheet."""

from __future__ import annotations

import io
import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt16

import supcam
from supcam.data.composition import Composed
from supcam.data.harvest import LeftOut
from supcam.data.layout import TABLE_NAME
from supcam.workflows.new_folder import NewFolder, unplaceable

GreyPicture = UInt8[np.ndarray, "height width"]
Tile = UInt8[np.ndarray, "tile_height tile_width"]
Sheet = UInt8[np.ndarray, "sheet_height sheet_width"]

_WHITE, _PAPER, _INK = 255, 232, 0
_GAP_PX, _CAPTION_PX = 4, 18
_PLANE = (cv2.FONT_HERSHEY_SIMPLEX, 0.38)


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A composed sample and the names of the single chromosomes that it was made of."""

    sample: Composed
    parents: tuple[str, ...]


class ComposedSet:
    """A new folder of composed samples that appears whole, by ``keep``, or not at all.

    - ``<type>/<number>.png``: 8-bit grey, dark bodies on exact white; folders are named 0 instance,
      1 touching, 2 overlapping, 3 touching_overlapping, as ``read_manifest`` reads them.
    - ``labels.csv``: path, case, source, type, n_chromosomes. Case and source are those of the chromosomes
      (several joined by "+"), so that what is composed from a case can keep its role.
    - ``compositions.csv``: path, parents, contacts (each a list joined by ";") and the file of the masks.
    - ``masks/<number>.npz``: ``masks``, bool (bodies, height, width), one for each parent in their order;
      masks of overlapping bodies share pixels.
    - ``left_out.csv``: pictures and objects that could not be used; ``config.json``: all that decided the
      rest.

    Raises ``SupcamError`` when there is something at ``path``, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folder = NewFolder(path)
        self._labels: list[tuple[object, ...]] = []
        self._compositions: list[tuple[object, ...]] = []

    def __enter__(self) -> ComposedSet:
        self._folder.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.__exit__(kind, error, trace)

    def add(self, named: Named) -> None:
        """One more sample."""
        sample = named.sample
        stem = f"{len(self._labels):06d}"
        picture, masks = f"{int(sample.type)}/{stem}.png", f"masks/{stem}.npz"
        source, case = (_joined(sample, part) for part in ("source", "case"))
        self._labels.append((picture, case, source, sample.type.label, sample.n_chromosomes))
        contacts = ";".join(contact.value for contact in sample.contacts)
        self._compositions.append((picture, ";".join(named.parents), contacts, masks))
        self._folder.write(picture, encode_png(to_grey(sample.stain)))
        packed = io.BytesIO()
        np.savez_compressed(packed, masks=sample.masks)
        self._folder.write(masks, packed.getvalue())

    def keep(self, about: Mapping[str, object], *, left_out: Sequence[LeftOut] = ()) -> None:
        """The folder has its name now, with the tables and ``about`` in it."""
        columns = ("path", "case", "source", "type", "n_chromosomes")
        self._folder.write_table(TABLE_NAME, columns=columns, rows=self._labels)
        parts = ("path", "parents", "contacts", "masks")
        self._folder.write_table("compositions.csv", columns=parts, rows=self._compositions)
        reasons = [(one.path, one.reason) for one in left_out]
        self._folder.write_table("left_out.csv", columns=("path", "reason"), rows=reasons)
        content = {"supcam": supcam.__version__, **about}
        self._folder.write("config.json", (json.dumps(content, indent=2) + "\n").encode())
        self._folder.keep()


def to_grey(stain: Float32[np.ndarray, "height width"]) -> GreyPicture:
    """``stain`` as an optical density on exact white: 255 * 10^-stain, at least 1."""
    light = np.exp(np.float32(-math.log(10)) * stain)
    return np.asarray(np.clip(np.rint(_WHITE * light), 1, _WHITE), np.uint8)


def write_sheet(samples: Sequence[Composed], *, path: Path) -> None:
    """A contact sheet of the samples, ordered by type and count, each with both below it. PNG."""
    ordered = sorted(samples, key=lambda one: (one.type, one.n_chromosomes))
    save_sheet([_tile(sample) for sample in ordered], path=path)


def save_sheet(tiles: Sequence[Tile], *, path: Path) -> None:
    """A contact sheet of the tiles as a PNG that appears whole. Raises ``SupcamError``."""
    sheet = contact_sheet(tiles)
    part = path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(encode_png(sheet))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unplaceable(path, error) from error


def contact_sheet(tiles: Sequence[Tile]) -> Sheet:
    """Tiles of one size in rows, a little wider than high."""
    columns = max(1, math.ceil(1.3 * math.sqrt(len(tiles))))
    height, width = tiles[0].shape
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * height, min(columns, len(tiles)) * width), _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return sheet


def _tile(sample: Composed) -> Tile:
    text = f"{sample.type.label.replace('_', '-')} {sample.n_chromosomes}"
    return captioned(to_grey(sample.stain), text=text)


def captioned(picture: GreyPicture, *, text: str) -> Tile:
    """A picture with its caption below it, and some paper to the right."""
    tile = np.pad(picture, ((0, _CAPTION_PX), (0, _GAP_PX)), constant_values=_PAPER)
    cv2.putText(tile, text, (2, picture.shape[0] + 12), *_PLANE, _INK, 1, cv2.LINE_AA)
    return tile


def encode_png(picture: GreyPicture | Sheet | UInt16[np.ndarray, "height width"]) -> bytes:
    """The bytes of a PNG file, of 8 or 16 bits."""
    done, content = cv2.imencode(".png", picture)
    assert done
    return content.tobytes()


def _joined(sample: Composed, part: str) -> str:
    """The source, or the case, of all parents; each once."""
    names = []
    for piece in sample.parents:
        source, _, rest = piece.group.partition("/")
        names.append(source if part == "source" else rest.rpartition("/")[0])
    return "+".join(dict.fromkeys(names))
