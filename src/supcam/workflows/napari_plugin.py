"""The napari plugin: open a metaphase, let the model read it, correct types, export.

napari finds it by ``supcam/napari.yaml``. Qt and napari are loaded when a widget is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey
from supcam.core.types import SupcamError
from supcam.spread.analyze import analyze
from supcam.workflows.correcting import KEYS, Said, colours_of, corrected, export, features_of, said_of

if TYPE_CHECKING:
    from napari import Viewer

LayerData = tuple[np.ndarray, dict[str, Any], str]
_LABELS = "SupCAM"


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """The reader for one picture; ``None`` for several paths at once."""
    return read_layers if isinstance(path, str) else None


def read_layers(path: str | list[str]) -> list[LayerData]:
    """The picture as one image layer, in grey; in micrometres where the file says how large a pixel is."""
    assert isinstance(path, str)
    image = read_grey(path, config=ImageConfig(max_megapixels=400))
    settings: dict[str, Any] = {"name": Path(path).name, "contrast_limits": (0.0, image.white)}
    if image.pixel_size:
        settings |= {"scale": (image.pixel_size.height_um, image.pixel_size.width_um), "units": "µm"}
    return [(image.pixels, settings, "image")]


class Corrector:
    """What the widget does, given a viewer: analyse the selected picture, correct, export."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Any = None
        self._said: tuple[Said, ...] = ()
        self._name = ""

    def analyse(self) -> str:
        """One line about the chosen image layer, now with a layer of labels. Raises ``SupcamError``."""
        from napari.layers import Image  # noqa: PLC0415  only where napari is

        image = self._viewer.layers.selection.active
        if not isinstance(image, Image):
            images = [layer for layer in self._viewer.layers if isinstance(layer, Image)]
            if len(images) != 1:
                raise SupcamError("no chosen picture", expected="an image layer", remedy="select one")
            image = images[0]
        analysis = analyze(np.asarray(image.data))
        self._said, self._name = said_of(analysis), image.name
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self._layer = self._viewer.add_labels(analysis.labels, name=_LABELS, scale=image.scale[-2:])
        self._show()
        for key, kind in KEYS.items():
            self._layer.bind_key(key, partial(self._key, kind=kind), overwrite=True)
        return analysis.told()

    def correct(self, kind: str) -> None:
        """The selected object is of that type now. Raises ``SupcamError`` without one."""
        selected = int(self._layer.selected_label) if self._layer is not None else 0
        self._said = corrected(self._said, object_id=selected, kind=kind)
        self._show()

    def export(self, folder: Path) -> tuple[Path, Path]:
        """The tables written to ``folder``. Raises ``SupcamError``."""
        if self._layer is None:
            raise SupcamError("nothing to export", expected="an analysed picture", remedy="analyse one first")
        labels = np.asarray(self._layer.data, dtype=np.uint16)
        return export(folder, labels=labels, said=self._said, name=self._name)

    def _key(self, _layer: object, *, kind: str) -> None:
        self.correct(kind)

    def _show(self) -> None:
        from napari.utils.colormaps import DirectLabelColormap  # noqa: PLC0415  only where napari is

        self._layer.features = features_of(self._said)
        colours: dict[int | None, object] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
        self._layer.colormap = DirectLabelColormap(color_dict=colours | dict(colours_of(self._said)))


def make_widget(napari_viewer: Viewer) -> object:
    """The panel: analyse, a button for each type, export; what went wrong stands below."""
    from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton, QVBoxLayout, QWidget  # noqa: PLC0415

    panel, corrector = QWidget(), Corrector(napari_viewer)
    layout, told = QVBoxLayout(panel), QLabel("Open a metaphase, then analyse it.")
    told.setWordWrap(True)

    def button(text: str, *, act: Callable[[], str]) -> None:
        def clicked() -> None:
            try:
                told.setText(act())
            except SupcamError as error:
                told.setText(str(error))

        made = QPushButton(text)
        made.clicked.connect(clicked)
        layout.addWidget(made)

    def correct(kind: str) -> str:
        corrector.correct(kind)
        return f"It is {kind.replace('_', '-')} now."

    def save() -> str:
        folder = QFileDialog.getExistingDirectory(panel, "Folder for objects.csv and coco.json")
        return f"Written: {corrector.export(Path(folder))[1]}" if folder else "Not exported."

    button("Analyse", act=corrector.analyse)
    for key, kind in KEYS.items():
        button(f"{key}  {kind.replace('_', '-')}", act=partial(correct, kind))
    button("Export", act=save)
    layout.addWidget(told)
    panel.corrector = corrector
    return panel
