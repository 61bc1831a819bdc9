"""The terminal door, as a stranger uses it: every bad input, every exit code, every message."""

from __future__ import annotations

import json
import os
import resource
import stat
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from tests.commands import run_python, supcam_
from tests.csv_rows import rows_of
from tests.drawn_crops import draw_crop, write_crop
from tests.drawn_spreads import write_spread
from tests.hostile import HARMLESS, write_all
from tests.measured import supcam_measured
from tests.tiny_bundle import write_tiny

import supcam
from supcam.pack import bundle as bundle_module
from supcam.spread.schema import ANALYSIS, SCHEMAS, read_schema
from supcam.workflows.terminal import SOME_FAILED, UNUSABLE


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(output)
    return output


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---- bad pictures


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds a few bytes of nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(100))
    chunks = [head, data, b"IEND"]
    body = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def truncated(path: Path, *, suffix: str) -> None:
    content = write_crop(path.with_name(f"whole{suffix}")).read_bytes()
    path.with_name(f"whole{suffix}").unlink()
    path.write_bytes(content[: len(content) // 2])


def float_tiff(path: Path, *, value: float) -> None:
    picture = draw_crop().astype(np.float32)
    picture[40:50, 40:50] = value
    tifffile.imwrite(path, picture)


def all_of_one(path: Path, *, level: int, side: int = 60) -> None:
    tifffile.imwrite(path, np.full((side, side), level, np.uint8))


def many_pages(path: Path) -> None:
    """A TIFF with ten thousand pages of nothing."""
    with tifffile.TiffWriter(path) as writer:
        for _ in range(10_000):
            writer.write(np.full((8, 8), 255, np.uint8), contiguous=False)


BAD: dict[str, Callable[[Path], object]] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "empty.tif": lambda path: path.write_bytes(b""),
    "truncated.tif": lambda path: truncated(path, suffix=".tif"),
    "truncated.png": lambda path: truncated(path, suffix=".png"),
    "text.png": lambda path: path.write_text("this is no picture\n" * 50),
    "one.png": lambda path: all_of_one(path, level=90, side=1),
    "white.tif": lambda path: all_of_one(path, level=255),
    "black.tif": lambda path: all_of_one(path, level=0),
    "nan.tif": lambda path: float_tiff(path, value=float("nan")),
    "infinite.tif": lambda path: float_tiff(path, value=float("inf")),
    "huge.png": lambda path: path.write_bytes(png_header(30_000, 30_000)),
    "folder.png": lambda path: path.mkdir(),
    "broken_link.png": lambda path: path.symlink_to("nowhere.png"),
    "own_link.png": lambda path: path.symlink_to("own_link.png"),
    "missing.png": lambda path: path.unlink(missing_ok=True),
    "pages.tif": many_pages,
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_picture_is_a_row_of_errors_and_costs_no_other(name: str, room: Path, bundle: Path) -> None:
    good = write_crop(room / "good.png")
    BAD[name](room / name)
    start = time.process_time()
    result = supcam_("classify", name, good, "--output", "p.csv", "--model", bundle)
    assert time.process_time() - start < 5
    assert result.exit_code == SOME_FAILED, result.output
    assert [row["path"] for row in rows_of(room / "p.csv")] == [str(good)]
    errors = rows_of(room / "p.errors.csv")
    assert [row["path"] for row in errors] == [name]
    assert len(errors[0]["error"]) > 10
    lines = [line for line in result.stderr.splitlines() if f": {name}: " in line]
    assert len(lines) == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", sorted(set(BAD) - {"missing.png", "pages.tif"}))
def test_a_bad_picture_in_a_folder_is_a_row_too(name: str, room: Path, bundle: Path) -> None:
    (room / "crops").mkdir()
    write_crop(room / "crops" / "good.png")
    BAD[name](room / "crops" / name)
    result = supcam_("classify", "crops", "--output", "p.csv", "--model", bundle)
    assert [row["path"] for row in rows_of(room / "p.csv")] == ["crops/good.png"]
    if name == "folder.png":  # found on the way, it is a folder like any other
        assert result.exit_code == 0
    else:
        assert result.exit_code == SOME_FAILED
        assert [row["path"] for row in rows_of(room / "p.errors.csv")] == [f"crops/{name}"]


def test_many_bad_pictures_at_once_leave_the_good_ones(room: Path, bundle: Path) -> None:
    for name in set(BAD) - {"pages.tif"}:
        BAD[name](room / name)
    for seed in range(5):
        write_crop(room / f"good{seed}.png", seed=seed)
    named = sorted({*BAD, *(f"good{seed}.png" for seed in range(5))} - {"pages.tif", "folder.png"})
    result = supcam_("classify", *named, "--output", "p.csv", "--model", bundle, "--threads", "3")
    assert result.exit_code == SOME_FAILED
    assert [row["path"] for row in rows_of(room / "p.csv")] == [f"good{seed}.png" for seed in range(5)]
    assert len(rows_of(room / "p.errors.csv")) == len(named) - 5


@pytest.mark.parametrize("command", ["classify", "analyze"])
def test_hostile_files_are_rows_of_errors_and_cost_little(command: str, room: Path, bundle: Path) -> None:
    """Bombs, polyglots, broken headers, all in one folder: only those that are pictures are read."""
    (room / "out").mkdir()
    before = {path.name for path in write_all(room / "in")}
    output = room / "out" / ("p.csv" if command == "classify" else "results")
    done = supcam_measured(command, "in", "--output", output, "--model", bundle)
    assert done.status == SOME_FAILED, done.told
    assert "Traceback" not in done.told
    failed, column = ("p.errors.csv", "path") if command == "classify" else ("results/errors.csv", "image")
    named = {Path(row[column]).stem for row in rows_of(room / "out" / failed)}
    assert named == {Path(name).stem for name in before} - set(HARMLESS)
    assert (names_in(room), names_in(room / "in")) == ({"in", "out"}, before)
    assert done.peak_bytes < 1_200_000_000


def test_a_page_can_be_chosen(room: Path, bundle: Path) -> None:
    tifffile.imwrite(room / "pages.tif", np.stack([np.full((90, 90), 255, np.uint8), draw_crop()]))
    first = supcam_("classify", "pages.tif", "--output", "p.csv", "--model", bundle)
    assert first.exit_code == SOME_FAILED
    second = supcam_("classify", "pages.tif", "--output", "p.csv", "--model", bundle, "--page", "1")
    assert second.exit_code == 0
    assert "supcam: pages.tif: note: page 2 of 2 was read" in second.stderr
    assert (
        supcam_("classify", "pages.tif", "--output", "p.csv", "--model", bundle, "--page", "9").exit_code == 1
    )


def test_a_file_and_a_folder_that_may_not_be_read_are_rows(room: Path, bundle: Path) -> None:
    write_crop(room / "good.png")
    write_crop(room / "closed.png").chmod(0)
    (room / "closed").mkdir(mode=0)
    if os.access(room / "closed.png", os.R_OK):
        pytest.skip("this user may read everything")
    result = supcam_("classify", "good.png", "closed.png", "closed", "--output", "p.csv", "--model", bundle)
    (room / "closed").chmod(0o755)
    assert result.exit_code == SOME_FAILED
    assert {row["path"] for row in rows_of(room / "p.errors.csv")} == {"closed.png", "closed"}


def test_a_pipe_in_the_place_of_a_picture_is_not_waited_for(room: Path, bundle: Path) -> None:
    write_crop(room / "good.png")
    os.mkfifo(room / "pipe.png")
    result = supcam_("classify", "good.png", "pipe.png", "--output", "p.csv", "--model", bundle)
    assert result.exit_code == SOME_FAILED
    assert [row["path"] for row in rows_of(room / "p.errors.csv")] == ["pipe.png"]


# ---- good pictures


def test_all_well_is_exit_code_0_and_one_line(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    result = supcam_("classify", "a.png", "--output", "p.csv", "--model", bundle)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "supcam: 1 of 1 classified by tiny 1.2.3 -> p.csv\n"
    assert names_in(room) == {"a.png", "p.csv"}


def test_odd_names_come_back_from_the_table(room: Path, bundle: Path) -> None:
    names = ['q"uo"te.png', "two words.png", "new\nline.png", "comma,semi;.png", "染色体.png", "-dash.png"]
    for name in names:
        write_crop(room / name)
    result = supcam_("classify", "--output", "p.csv", "--model", bundle, "--", *names)
    assert result.exit_code == 0
    assert [row["path"] for row in rows_of(room / "p.csv")] == names


def test_an_odd_name_stays_on_one_line_of_stderr(room: Path, bundle: Path) -> None:
    (room / "new\nline\x1b[31m.png").write_bytes(b"")
    result = supcam_("classify", "new\nline\x1b[31m.png", "--output", "p.csv", "--model", bundle)
    assert r"supcam: new\nline\x1b[31m.png: " in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_the_same_file_twice_is_one_row_and_said(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    result = supcam_("classify", "a.png", "./a.png", room, "--output", "p.csv", "--model", bundle)
    assert result.exit_code == 0
    assert len(rows_of(room / "p.csv")) == 1
    assert "2 named more than once, written once" in result.stderr


def test_all_options_together(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    result = supcam_(
        "classify", "*.png", "-o", "p.csv", "--json", "p.json", "--errors", "e.csv", "--model", bundle,
        "--batch-size", "2", "--threads", "2", "--polarity", "bright_field", "--page", "0",
        "--max-megapixels", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert names_in(room) == {"a.png", "p.csv", "p.json", "e.csv"}
    assert json.loads((room / "p.json").read_text())["predictions"][0]["path"] == "a.png"


def test_the_table_can_go_to_a_pipe(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    done = run_supcam("classify", "a.png", "--output", "/dev/stdout", "--model", bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith("a.png,")


# ---- arguments that cannot be used


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png"],
        ["--output", "p.csv"],
        ["a.png", "--output", "nowhere/p.csv"],
        ["a.png", "--output", "."],
        ["a.png", "--output", "a.png/p.csv"],
        ["a.png", "--output", "p.csv", "--json", "nowhere/p.json"],
        ["a.png", "--output", "p.csv", "--errors", "nowhere/e.csv"],
        ["a.png", "--output", "p.csv", "--errors", "p.csv"],
        ["a.png", "--output", "a.png"],
        ["empty", "--output", "p.csv"],
        ["*.bmp", "--output", "p.csv"],
        ["a.png", "--output", "p.csv", "--model", "nowhere"],
        ["a.png", "--output", "p.csv", "--model", "empty"],
        ["a.png", "--output", "p.csv", "--model", "a.png"],
        ["a.png", "--output", "p.csv", "--batch-size", "0"],
        ["a.png", "--output", "p.csv", "--threads", "0"],
        ["a.png", "--output", "p.csv", "--threads", "two"],
        ["a.png", "--output", "p.csv", "--page", "-1"],
        ["a.png", "--output", "p.csv", "--polarity", "sideways"],
        ["a.png", "--output", "p.csv", "--max-megapixels", "0"],
        ["a.png", "--output", "p.csv", "--max-megapixels", "nan"],
        ["a.png", "--output", "p.csv", "--colour", "red"],
    ],
)
def test_arguments_that_cannot_be_used_are_exit_code_2(
    room: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", bundle)
    write_crop(room / "a.png")
    (room / "empty").mkdir()
    result = supcam_("classify", *arguments)
    assert result.exit_code == UNUSABLE
    assert result.stderr.strip()
    assert "Traceback" not in result.output
    assert names_in(room) == {"a.png", "empty"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_exit_code_2(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    result = supcam_("classify", "a.png", "--output", "/dev/full", "--model", bundle)
    assert result.exit_code == UNUSABLE
    assert "No space left on device" in result.stderr
    assert names_in(room) == {"a.png"}
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_disk_that_fills_up_leaves_the_old_table(
    room: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_crop(room / "a.png")
    (room / "p.csv").write_text("old")
    monkeypatch.setattr(os, "fsync", fill)
    result = supcam_("classify", "a.png", "--output", "p.csv", "--model", bundle)
    assert result.exit_code == UNUSABLE
    assert (room / "p.csv").read_text() == "old"
    assert names_in(room) == {"a.png", "p.csv"}


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a read-only file system")
def test_a_read_only_disk_is_exit_code_2(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    result = supcam_("classify", "a.png", "--output", "/proc/self/p.csv", "--model", bundle)
    assert result.exit_code == UNUSABLE
    assert "cannot be written" in result.stderr


def test_a_tampered_model_is_exit_code_2(room: Path, bundle: Path, tmp_path: Path) -> None:
    import shutil

    write_crop(room / "a.png")
    shutil.copytree(bundle, room / "model")
    content = bytearray((room / "model" / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (room / "model" / "model.onnx").write_bytes(content)
    result = supcam_("classify", "a.png", "--output", "p.csv", "--model", "model")
    assert result.exit_code == UNUSABLE
    assert "changed or cut short" in result.stderr
    assert names_in(room) == {"a.png", "model"}


# ---- other commands


COMMANDS = (
    "analyze", "classify", "harvest", "compose", "train", "pretrain", "finetune", "export", "evaluate",
    "pool", "recalibrate", "promise", "explain", "monitor", "reference", "adapt", "version",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command: str) -> None:
    result = supcam_(command, "--help")
    assert result.exit_code == 0
    if command != "version":
        assert f"supcam {command} " in result.stdout


def test_help_teaches_the_first_command() -> None:
    for arguments in (["--help"], ["-h"]):
        result = supcam_(*arguments)
        assert result.exit_code == 0
        assert "supcam analyze slides/ --output results" in result.stdout
        assert "Exit codes" in result.stdout


def test_an_unknown_command_is_exit_code_2() -> None:
    assert supcam_("clasify").exit_code == UNUSABLE


def test_version_names_program_and_model(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", bundle)
    told = supcam_("version").stdout
    assert f"supcam {supcam.__version__}" in told
    assert "tiny 1.2.3" in told


def test_version_without_a_model_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", tmp_path / "none")
    result = supcam_("version")
    assert result.exit_code == 0
    assert "no default model" in result.stdout


# ---- what a command costs


def run_supcam(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "supcam", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_classifying_loads_no_heavy_package(room: Path, bundle: Path) -> None:
    write_crop(room / "a.png")
    code = f"""
import sys
from supcam.cli import main
sys.argv = ["supcam", "classify", "a.png", "--output", "p.csv", "--model", {str(bundle)!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = "torch torchvision timm lightning onnx scipy sklearn pandas matplotlib beartype".split()
assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert rows_of(room / "p.csv")


def test_the_first_answer_costs_less_than_two_seconds_of_one_core(room: Path, bundle: Path) -> None:
    """Processor time of the whole command, so that a busy machine does not fail it; the best of three."""
    write_crop(room / "a.png")
    costs = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run_supcam("classify", "a.png", "--output", "p.csv", "--model", bundle, "--threads", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(costs) < 2


# ---- from a checkpoint to a score


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training of a very small network leaves behind."""
    from supcam.core.config import CropConfig
    from supcam.learn.checkpoints import write_atomically
    from supcam.learn.config import NetworkConfig, TrainConfig
    from supcam.learn.encoder import Network
    from supcam.learn.recipe import Recipe

    recipe = Recipe(
        network=NetworkConfig(backbone="resnet10t", channels=(8, 8, 16, 16), max_count=4),
        train=TrainConfig(seed=3),
        crop=CropConfig(size_px=64),
    )
    weights = Network(recipe.network, seed=3).state_dict()
    own = {"format_version": 1, "recipe": recipe.model_dump(mode="json"), "data_hash": "cd" * 32}
    state = {f"average.{name}": value for name, value in weights.items()}
    path = tmp_path_factory.mktemp("run") / "last.ckpt"
    write_atomically({"supcam": own, "state_dict": state, "global_step": 9}, path=path)
    return path


def test_a_checkpoint_is_packed_used_and_scored(checkpoint: Path, room: Path) -> None:
    (room / "crops").mkdir()
    lines = ["path,case,type,n_chromosomes"]
    for seed in range(6):
        write_crop(room / "crops" / f"{seed}.png", seed=seed)
        lines.append(
            f"{seed}.png,case{seed // 2},{['instance', 'touching', 'overlapping'][seed % 3]},{1 + seed % 3}"
        )
    (room / "crops" / "labels.csv").write_text("\n".join(lines))
    (room / "card.toml").write_text('name = "packed"\nversion = "3.1.4"\n')
    (room / "calibration.json").write_text('{"accept_threshold": 0.5, "fitted_on": ["select"]}')

    packed = supcam_(
        "export", checkpoint, "--output", "model", "--card", "card.toml",
        "--calibration", "calibration.json", "--compare", "crops", "--compare", "crops/0.png",
    )  # fmt: skip
    assert packed.exit_code == 0, packed.output
    assert "on 10 pictures in batches of 1, 3, 16" in packed.stderr

    used = supcam_("classify", "crops", "--output", "p.csv", "--model", "model")
    assert used.exit_code == 0, used.output
    assert "6 of 6 classified by packed 3.1.4" in used.stderr

    scored = supcam_("evaluate", "model", "crops/labels.csv", "--output", "scores", "--role", "select")
    assert scored.exit_code == 0, scored.output
    assert "select" in (room / "scores" / "report.md").read_text()

    again = supcam_("export", checkpoint, "--output", "model")
    assert again.exit_code == UNUSABLE
    assert "never overwritten" in again.stderr


def test_a_role_that_no_case_plays_is_exit_code_2(bundle: Path, room: Path) -> None:
    write_crop(room / "a.png")
    (room / "labels.csv").write_text("path,case,type,n_chromosomes\na.png,c1,instance,1\n")
    (room / "roles.csv").write_text("nonsense")
    result = supcam_("evaluate", bundle, "labels.csv", "--role", "report", "--roles", "roles.csv")
    assert result.exit_code == UNUSABLE, result.output


# ---- whole metaphases


def test_metaphases_are_analysed_from_the_terminal(room: Path, bundle: Path) -> None:
    write_spread(room / "slides" / "one.png")
    (room / "slides" / "bad.png").write_bytes(b"")
    done = supcam_(
        "analyze", "slides", "--output", "out", "--model", bundle, "--cases", "parent", "--crops",
        "--expected-count", "12", "--pseudonymise", "--processes", "1", "--polarity", "bright_field",
        "--page", "0", "--max-megapixels", "5",
    )  # fmt: skip
    assert done.exit_code == SOME_FAILED, done.output
    assert "slides/bad.png: found an empty file" in done.stderr
    assert "1 picture analysed by tiny 1.2.3 -> out/report/index.html" in done.stderr
    assert [row["case"] for row in rows_of(room / "out" / "cases.csv")] == ["case-001"]
    again = supcam_("analyze", "slides/one.png", "-o", "out2", "--model", bundle)
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png"],
        ["a.png", "--output", "a.png"],
        ["a.png", "--output", "out", "--cases", "no group"],
        ["a.png", "--output", "out", "--cases", "none.csv"],
        ["a.png", "--output", "out", "--expected-count", "0"],
        ["a.png", "--output", "out", "--processes", "0"],
        ["a.png", "--output", "out", "--model", "nowhere"],
        ["empty", "--output", "out"],
    ],
)
def test_analysing_with_arguments_that_cannot_be_used_is_exit_code_2(
    room: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", bundle)
    write_crop(room / "a.png")
    (room / "empty").mkdir()
    done = supcam_("analyze", *arguments)
    assert done.exit_code == UNUSABLE
    assert "Traceback" not in done.output
    assert names_in(room) == {"a.png", "empty"}


def test_the_promise_of_the_bundled_model_is_told(room: Path) -> None:
    told = supcam_("promise", "--max-error", "0.02")
    assert told.exit_code == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()[3:]] == [
        "all", "clusters", "instance", "touching", "overlapping", "touching_overlapping",
    ]  # fmt: skip
    assert json.loads(supcam_("promise", "--prior", "metaphase", "--json").stdout)["prior"]
    assert supcam_("promise", "--prior", "nothing").exit_code == UNUSABLE


def test_schema_prints_what_documents_must_be() -> None:
    listed = supcam_("schema").stdout
    assert [line.split()[0] for line in listed.splitlines()] == [*SCHEMAS]
    assert ANALYSIS in listed
    assert json.loads(supcam_("schema", "analysis").stdout) == read_schema("analysis")
    refused = supcam_("schema", "nothing")
    assert refused.exit_code == 2
    assert "one of analysis, predictions" in refused.stderr
