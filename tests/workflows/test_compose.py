from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.drawn_metaphases import write_metaphase
from typer.testing import CliRunner

from supcam.cli import app
from supcam.core.types import ClusterType, ConfigError, ManifestError, SupcamError
from supcam.data.drawn_singles import DrawnSingles
from supcam.data.manifest import ManifestOptions, read_manifest
from supcam.data.synthesis import SynthesisConfig, draw_chromosome, draw_preparation, to_grey
from supcam.workflows.classify import Listener
from supcam.workflows.compose import ComposePlan, compose, read_compose_config
from supcam.workflows.composed_set import encode_png

SINGLE, TOUCH, OVERLAP, BOTH = ClusterType
SRC = Path(__file__).resolve().parents[2] / "src"


def write_singles(folder: Path, *, n: int = 8, seed: int = 0) -> list[str]:
    """Pictures of drawn chromosomes of one slide; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    slide = draw_preparation(rng)
    names = [f"single {i}.png" for i in range(n)]
    for name in names:
        stain = draw_chromosome(rng, preparation=slide).stain
        (folder / name).write_bytes(encode_png(to_grey(np.pad(stain, 12), rng=rng)))
    return names


def read(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module", autouse=True)
def few_slides() -> Iterator[None]:
    """Two drawn slides are enough to see that it works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supcam.workflows.compose.DrawnSingles", partial(DrawnSingles, slides=2, each=8))
        yield


@pytest.fixture(scope="module")
def composed(few_slides: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("drawn") / "set"
    compose(ComposePlan(drawn=True, n=24, seed=5, output=output))
    return output


# Round trip -----------------------------------------------------------------------------------------------


def test_data_set_is_read_again_with_the_same_labels(composed: Path) -> None:
    by_table = read_manifest(composed)
    by_folder = read_manifest(composed, layout="chrcluster")
    assert by_table.layout == "csv"
    assert len(by_table.samples) == len(by_folder.samples) == 24
    assert not by_table.unreadable
    folders = {sample.path.resolve(): sample.type for sample in by_folder.samples}
    for sample in by_table.samples:
        assert folders[sample.path.resolve()] is sample.type
        assert sample.source == "drawn"
        masks = np.load(composed / "masks" / f"{sample.path.stem}.npz")["masks"]
        assert len(masks) == sample.n_chromosomes
        picture = read(sample.path)
        assert picture.dtype == np.uint8
        assert picture.shape == masks.shape[1:]
        assert (picture[masks.any(axis=0)] < 250).mean() > 0.99
    assert len({sample.type for sample in by_table.samples}) == 4


def test_same_seed_writes_the_same_bytes(composed: Path, tmp_path: Path) -> None:
    compose(ComposePlan(drawn=True, n=24, seed=5, output=tmp_path / "again"))
    first, again = tree(composed), tree(tmp_path / "again")
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []
    compose(ComposePlan(drawn=True, n=6, seed=6, output=tmp_path / "other"))
    other = tree(tmp_path / "other")
    assert not {first[name] for name in first if name.endswith("png")} & {
        other[name] for name in other if name.endswith("png")
    }


def test_configuration_is_written_beside_what_it_made(composed: Path) -> None:
    about = json.loads((composed / "config.json").read_text())
    assert (about["n"], about["seed"], about["source"]) == (24, 5, "drawn")
    assert about["config"]["crop"]["size_px"] == 128
    assert about["config"]["composition"]["type_shares"] == [0.3, 0.27, 0.23, 0.2]


# Inputs ---------------------------------------------------------------------------------------------------


def test_plain_folder_is_taken_for_single_chromosomes_and_said_so(tmp_path: Path) -> None:
    names = write_singles(tmp_path / "singles")
    (tmp_path / "singles" / "broken.png").write_text("no picture")
    told: list[int] = []
    listener = Listener(started=told.append, advanced=told.append)
    plan = ComposePlan(tmp_path / "singles", n=6, output=tmp_path / "set")
    summary = compose(plan, listener=listener)
    assert told == [9 + 6] + [1] * (9 + 6)
    assert summary.n_singles == len(names)
    assert any("every picture in it was taken for one chromosome" in note for note in summary.notes)
    assert [one.path.name for one in summary.left_out] == ["broken.png"]
    assert "1 pictures not or not wholly used" in summary.told()
    parents = (tmp_path / "set" / "compositions.csv").read_text()
    assert any(name in parents for name in names)
    assert "broken.png" in (tmp_path / "set" / "left_out.csv").read_text()


def test_of_a_table_only_the_single_chromosomes_are_used(tmp_path: Path) -> None:
    names = write_singles(tmp_path, n=9)
    kinds = ["instance"] * 7 + ["touching", ""]
    rows = [f"{name},case {i % 2},{kind}," for i, (name, kind) in enumerate(zip(names, kinds, strict=True))]
    table = tmp_path / "labels.csv"
    table.write_text("path,case,type,n_chromosomes\n" + "\n".join(rows) + "\n")
    options = ManifestOptions(source="lab")
    summary = compose(ComposePlan(table, n=10, output=tmp_path / "set", options=options))
    assert summary.n_singles == 7
    assert [(one.path.name, one.reason) for one in summary.left_out] == [(names[8], "its type is unsure")]
    again = read_manifest(tmp_path / "set")
    assert {sample.source for sample in again.samples} == {"lab"}
    assert {sample.case for sample in again.samples} <= {"case 0", "case 1", "case 0+case 1", "case 1+case 0"}
    parents = (tmp_path / "set" / "compositions.csv").read_text()
    assert names[7] not in parents


def test_single_chromosomes_of_an_annotated_metaphase(tmp_path: Path) -> None:
    config = SynthesisConfig(n_chromosomes=16, n_nuclei=(0, 0), picture_px=(500, 500))
    n_boxes = write_metaphase(tmp_path, config=config)
    summary = compose(ComposePlan(tmp_path, n=5, output=tmp_path / "set"))
    assert 0.7 * n_boxes <= summary.n_singles <= n_boxes
    assert "cell1.png#" in (tmp_path / "set" / "compositions.csv").read_text()


def test_real_crops_are_composed(real_data: Path, tmp_path: Path) -> None:
    """A tenth of a laboratory's table."""
    source = real_data / "cci" / "labels.csv"
    header, *rows = source.read_text(encoding="utf-8").splitlines()
    few = [row for row in rows if ",instance," in row][::10]
    table = tmp_path / "few.csv"
    table.write_text("\n".join([header, *(f"{source.parent / row}" for row in few)]) + "\n")
    summary = compose(ComposePlan(table, n=12, output=tmp_path / "set"))
    assert summary.n_singles > 20
    assert Counter(sample.type for sample in read_manifest(tmp_path / "set").samples) == summary.counts


def test_case_rule_and_layout_reach_the_manifest(tmp_path: Path) -> None:
    write_singles(tmp_path / "0")
    options = ManifestOptions(case_rule="parent", source="lab")
    summary = compose(
        ComposePlan(tmp_path, n=4, layout="chrcluster", options=options, output=tmp_path / "set")
    )
    assert summary.n_singles == 8
    assert {sample.case for sample in read_manifest(tmp_path / "set").samples} == {"0"}


# What cannot be done is said ------------------------------------------------------------------------------


def test_existing_data_set_is_never_overwritten(composed: Path, tmp_path: Path) -> None:
    before = tree(composed)
    with pytest.raises(SupcamError, match="something there already"):
        compose(ComposePlan(drawn=True, n=3, output=composed, sheet=tmp_path / "sheet.png"))
    assert tree(composed) == before
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"drawn": True}, "nowhere to write"),
        ({"sheet": Path("a.png")}, "nothing to compose from"),
        ({"sheet": Path("a.png"), "drawn": True, "singles": Path()}, "both pictures and drawn ones"),
    ],
)
def test_plan_that_lacks_something_is_refused(plan: dict[str, object], says: str) -> None:
    with pytest.raises(SupcamError, match=says):
        compose(ComposePlan(**plan))  # type: ignore[arg-type]


def test_table_without_a_single_chromosome_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    name, *_ = write_singles(tmp_path / "data", n=1)
    table = tmp_path / "data" / "labels.csv"
    table.write_text(f"path,case,type,n_chromosomes\n{name},a,touching,2\n")
    with pytest.raises(ManifestError, match="no single chromosome that can be composed"):
        compose(ComposePlan(table, output=tmp_path / "set"))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# Settings -------------------------------------------------------------------------------------------------


def test_types_and_tables_of_the_configuration_are_taken(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("[crop]\nsize_px = 96\nwidth_px = 8.0\n[composition]\ngroup_shares = [0.0, 1.0]\n")
    config = read_compose_config(toml, types="touching=3, touching-overlapping")
    assert list(config.composition.type_shares) == [0, 3, 0, 1]
    compose(ComposePlan(drawn=True, n=12, config=config, output=tmp_path / "set"))
    samples = read_manifest(tmp_path / "set").samples
    assert {sample.type for sample in samples} == {TOUCH, BOTH}
    assert {sample.n_chromosomes for sample in samples} == {3}
    assert read(samples[0].path).shape == (96, 96)


@pytest.mark.parametrize("types", ["crossing", "touching=many", "touching=-1,overlapping", "touching=0", ","])
def test_types_that_mean_nothing_are_refused(types: str) -> None:
    with pytest.raises(ConfigError, match="--types"):
        read_compose_config(None, types=types)


def test_unknown_table_is_refused(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("[train]\nepochs = 3\n")
    with pytest.raises(ConfigError, match="train"):
        read_compose_config(toml)


# The command ----------------------------------------------------------------------------------------------


def test_command_writes_sheet_and_data_set(tmp_path: Path) -> None:
    sheet, output = tmp_path / "sheet.png", tmp_path / "set"
    arguments = ["compose", "--drawn", "--n", "6", "--sheet", str(sheet), "--output", str(output)]
    done = CliRunner().invoke(app, [*arguments, "--types", "overlapping"])
    assert done.exit_code == 0, done.output
    assert "6 composed of 16 single chromosomes: 6 overlapping" in done.output
    assert read(sheet).shape[0] > 2 * 128
    assert len(read_manifest(output).samples) == 6
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "something there already" in again.output


def test_command_needs_no_training_package(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from supcam.cli import main\n"
        f"sys.argv = ['supcam', 'compose', '--drawn', '--n', '2', '--sheet', {str(tmp_path / 's.png')!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "assert not {'torch', 'timm', 'lightning', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(SRC)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert (tmp_path / "s.png").is_file()
