"""A release in short: built twice the same, whole, at work away from the sources; scripts/release is more."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import release_build  # noqa: E402
import release_tests  # noqa: E402

SHORT = ["tests/core/test_types.py", "tests/core/test_reading.py"]
"""Quick ones of those that the long version runs."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and sources, built three times over."""
    folder = tmp_path_factory.mktemp("dist")
    assert len(release_build.build_release(folder)) == 2
    return folder


def test_wheel_says_what_it_runs_on_and_carries_model_and_licence(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA")))
    told = Parser().parsestr(metadata.decode())
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "MIT"
    assert "supcam/pack/models/default/model.onnx" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "docs/")) or "__pycache__" in name]


def test_sources_hold_what_is_needed_to_build_test_and_document(built: Path) -> None:
    (sources,) = built.glob("*.tar.gz")
    with tarfile.open(sources) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    known = {"pyproject.toml", "README.md", "LICENSE", "zensical.toml", "tests/conftest.py", "docs/method.md"}
    assert known <= names
    assert not [name for name in names if name.startswith(("out/", "runs/", "dist/"))]


def test_a_build_that_differs_is_told(tmp_path: Path) -> None:
    one, other = tmp_path / "a.whl", tmp_path / "b" / "a.whl"
    other.parent.mkdir()
    one.write_bytes(b"one")
    other.write_bytes(b"other")
    with pytest.raises(release_build.DiffersError, match=r"a\.whl"):
        release_build.require_same([one], [other])


def test_installed_wheel_passes_tests_and_reads_a_crop_away_from_the_sources(
    built: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-compile",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run([sys.executable, *install], check=True)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    told = release_tests.run_installed(Path(sys.executable), folder=folder, tests=SHORT, more_path=str(site))
    assert " passed" in told
    assert "failed" not in told
    from tests.drawn_crops import write_crop

    crop = write_crop(folder / "crop.png", seed=1)
    done = subprocess.run(
        [sys.executable, "-m", "supcam", "classify", str(crop), "--output", "out.csv"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "out.csv").read_text().count("\n") == 2


def test_long_version_chooses_tests_by_what_they_import() -> None:
    chosen = release_tests.base_tests()
    assert len(chosen) > 15
    assert set(SHORT) <= {*chosen, "tests/core/test_types.py"}
    assert not release_tests.needs_base_alone(ROOT / "tests" / "learn" / "test_losses.py")
    assert not release_tests.needs_base_alone(ROOT / "tests" / "spread" / "test_analyze.py")
