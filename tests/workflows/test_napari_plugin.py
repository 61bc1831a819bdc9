"""The napari plugin, offscreen; what needs napari is skipped where it is not installed.

QT_QPA_PLATFORM=offscreen pytest tests/workflows/test_napari_plugin.py
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import yaml
from tests.drawn_spreads import drawn, write_spread

import supcam
from supcam.data.files import PICTURE_SUFFIXES
from supcam.workflows import napari_plugin
from supcam.workflows.napari_plugin import get_reader, make_widget, read_layers

MANIFEST = Path(supcam.__file__).parent / "napari.yaml"
needs_napari = pytest.mark.skipif(
    importlib.util.find_spec("napari") is None, reason='napari is not installed: pip install "supcam[napari]"'
)


def test_the_reader_gives_the_picture_and_the_size_of_its_pixels(tmp_path: Path) -> None:
    sides = {"PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, drawn(0).grey, photometric="minisblack", metadata={"axes": "YX", **sides})
    reader = get_reader(str(path))
    assert reader is not None
    ((pixels, settings, kind),) = reader(str(path))
    np.testing.assert_array_equal(pixels, drawn(0).grey)
    assert (kind, settings["name"], settings["scale"]) == ("image", "a.ome.tif", (0.2, 0.1))
    assert get_reader([str(path)]) is None
    (tmp_path / "b.png").write_bytes(cv2.imencode(".png", drawn(0).grey)[1].tobytes())
    assert "scale" not in read_layers(str(tmp_path / "b.png"))[0][1]


def test_the_manifest_names_what_is_there() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    for command in manifest["contributions"]["commands"]:
        module, _, name = command["python_name"].partition(":")
        assert module == napari_plugin.__name__
        assert callable(getattr(napari_plugin, name))
    (reader,) = manifest["contributions"]["readers"]
    assert reader["filename_patterns"] == [f"*{suffix}" for suffix in PICTURE_SUFFIXES]


@needs_napari
def test_the_manifest_is_one_of_npe2() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.name == "supcam"
    assert manifest.contributions.widgets


@needs_napari
def test_open_analyse_correct_and_export_in_a_viewer(tmp_path: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from napari.components import ViewerModel  # a viewer without its window, which would need OpenGL
    from qtpy.QtWidgets import QApplication, QLabel, QPushButton

    application = QApplication.instance() or QApplication([])
    viewer = ViewerModel()
    for pixels, settings, _ in read_layers(str(write_spread(tmp_path / "a.png"))):
        viewer.add_image(pixels, **settings)
    panel: Any = make_widget(viewer)
    buttons = {made.text(): made for made in panel.findChildren(QPushButton)}
    told = panel.findChild(QLabel)
    buttons["2  touching"].click()
    assert "select an object first" in told.text()
    buttons["Analyse"].click()
    assert "chromosomes" in told.text()
    layer = viewer.layers["SupCAM"]
    _correct_the_last(layer, buttons=buttons, told=told)
    _, coco = panel.corrector.export(tmp_path / "out")
    assert f'"object_id": "{layer.selected_label}"' in coco.read_text()
    application.processEvents()


def _correct_the_last(layer: Any, *, buttons: dict[str, Any], told: Any) -> None:  # noqa: ANN401  napari's and Qt's
    table = layer.features
    assert {"type", "confidence", "n_chromosomes", "corrected"} <= set(table.columns)
    layer.selected_label = int(table["index"].iloc[-1])
    before = layer.get_color(layer.selected_label)
    target = "overlapping" if table["type"].iloc[-1] != "overlapping" else "touching"
    next(made for text, made in buttons.items() if text.endswith(f" {target}")).click()
    assert told.text() == f"It is {target} now."
    assert layer.features["type"].iloc[-1] == target
    assert bool(layer.features["corrected"].iloc[-1])
    assert not np.allclose(before, layer.get_color(layer.selected_label))
