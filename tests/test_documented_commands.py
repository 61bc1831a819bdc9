"""Every command and every piece of Python in the documents: run on drawn pictures, or checked by words."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tests.commands import supcam_
from tests.documented import DOCUMENTS, ROOT, Command, blocks, commands, name_of
from tests.drawn_chrcluster import draw_folder
from tests.drawn_crops import write_crop
from tests.drawn_metaphases import write_metaphase
from tests.tiny_recipe import NETWORK, SCHEDULE

from supcam import cli
from supcam.data.synthesis import SynthesisConfig
from supcam.pack.bundle import DEFAULT_MODEL

NOT_RUN = {
    "supcam serve": "runs until it is stopped; tests/cli/test_serving.py starts it",
    "supcam token revoke": "names a token that somebody was given; tests/web/test_serving.py revokes one",
    "supcam finetune --from-decisions": "minutes; tests/workflows/test_learn_decisions.py runs it",
    "supcam adapt": "needs a trained network; tests/learn/test_adaptation.py runs it",
    "supcam explain crops/ --output explained --checkpoint": "needs a trained network of four stages",
    "supcam monitor slides/ --output drift": "the bundled model has no reference; the two lines below it run",
    "supcam monitor results/": "the same",
    "supcam analyze slides/ --output results --engine ray": "half a minute; tests/spread/test_scale_ray.py",
    "supcam analyze s3:": "needs a bucket and a cluster",
    "supcam reproduce chrcluster --data ChrCluster --output": "needs the published pictures, a GPU and days",
    "supcam experiment embed": "needs trained networks; tests/workflows/experiment/test_maps.py draws maps",
    "supcam experiment run experiments/first_table --processes": "needs published pictures and twenty hours",
    "supcam experiment table": "slow; tests/workflows/experiment/test_table.py makes this very table",
    "supcam experiment plot": "slow; tests/cli/test_experimenting.py plots a smaller one",
    "supcam train my_recipe.toml": "a recipe that the reader writes; the smoke recipe beside it is run",
    "supcam export runs/mine/": "what that recipe would have made; runs/smoke is exported",
    "supcam export runs/third_fold1": "a network that took hours; runs/smoke is exported",
    "supcam evaluate fold1": "needs it, and the published pictures",
    "supcam evaluate src/supcam": "needs the published pictures; tests/cli/test_measuring.py runs it",
    "supcam convert export": "what a person corrected; tests/workflows/test_convert.py has such files",
    "supcam convert coco.json": "the same, from napari",
    "supcam export my-model --format bioimageio": "needs the extra zoo; tests/pack/test_model_zoo.py runs it",
    "supcam join": "needs two trained networks; tests/workflows/test_join.py runs it",
    "supcam average": "the same; tests/learn/test_ensemble.py",
    "supcam quantize": "needs a hundred crops; tests/pack/test_in_integers.py runs it",
    "supcam evaluate my-model ours/labels.csv": "tests/cli/test_measuring.py runs it",
    "supcam pool": "needs figures of several folds; tests/workflows/test_pool.py runs it",
    "supcam fit-context": "needs a dozen annotated metaphases; tests/workflows/test_fit_context.py runs it",
    "supcam recalibrate my-model": "needs what supcam pool wrote; tests/pack/test_recalibrate.py runs it",
}
"""Commands that begin so are not run but parsed, by the very options of the program."""

CHEAPER = {"supcam synth": ("--n", "1"), "supcam compose": ("--n", "4")}
"""Added at the end of commands that begin so: fewer pictures."""

OF_OTHERS = {
    "curl",
    "docker",
    "export",
    "napari",
    "podman",
    "pytest",
    "ray",
    "rsync",
    "sqlite3",
    "tensorboard",
}
"""Programs that are not ours and not checked."""

PYTHON_NOT_RUN = {
    "docs/service.md": "needs a running service; tests/web/test_client.py does the same",
    "docs/scale.md": "needs the tables of --engine ray; tests/workflows/test_analyze_ray.py reads them",
}
"""Documents whose Python is compiled and not run."""

MODELS = ("MODEL", "my-model")
"""What documents call a model that somebody has; here it is the bundled one."""

TYPED = [command for document in DOCUMENTS for command in commands(document)]
OURS = [command for command in TYPED if command.words[0] == "supcam"]
SMOKE = f"""{NETWORK}
[pretrain]
method = "moco"
compose = false
queue_slots = 16
hidden_dim = 16
projection_dim = 8
{SCHEDULE}
[train]
{SCHEDULE}
[data]
typed_clusters = true
cluster_share = 0.5
[data.drawn]
cases = 2
singles_per_case = 4
clusters_per_case = 1
validation_cases = 1
"""


def label(command: Command) -> str:
    return f"{command.place} {command.text}"


def reason_not_to_run(command: Command) -> str | None:
    written = " ".join(command.words)
    return next((why for start, why in NOT_RUN.items() if written.startswith(start)), None)


def parse(words: Sequence[str]) -> None:
    """Nothing, when the program takes these words; what it raises names the wrong one."""
    command: Any = typer.main.get_command(cli.app)
    left = list(words)
    while hasattr(command, "commands"):
        command = command.commands[left.pop(0)]
    command.make_context("supcam", left)


@pytest.mark.parametrize("command", OURS, ids=label)
def test_options_are_those_of_the_program(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse(command.words[1:])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the documents take for granted: drawn slides and crops, a model, recipes."""
    desk = tmp_path_factory.mktemp("desk")
    small = SynthesisConfig(
        picture_px=(360, 400), n_chromosomes=12, length_px=(30, 80), n_nuclei=(0, 0), n_debris=(1, 1)
    )
    (desk / "slides").mkdir()
    for seed in range(7):
        write_metaphase(desk / "slides", config=small, name=f"cell{seed}", seed=seed)
    (desk / "slide.png").write_bytes((desk / "slides" / "images" / "cell0.png").read_bytes())
    (desk / "crops").mkdir()
    for number in (1, 2):
        write_crop(desk / "crops" / f"{number}.tif", seed=number)
    draw_folder(desk / "ChrCluster")
    for name in MODELS:
        shutil.copytree(DEFAULT_MODEL, desk / name)
    shutil.copytree(ROOT / "experiments", desk / "experiments")
    (desk / "experiments" / "smoke_supcam.toml").write_text(SMOKE)
    return desk


def outputs(words: Sequence[str]) -> list[str]:
    """What a command says that it will write."""
    named = pairwise(words)
    return [name for option, name in named if option in ("--output", "--sheet", "--calibrate", "--into")]


def run(command: Command, *, ran: set[str]) -> str:
    """What is wrong with a command that was run here; blank when nothing is, or when it was run before."""
    if command.text in ran:
        return ""
    ran.add(command.text)
    words = list(command.words[1:])
    for start, more in CHEAPER.items():
        if " ".join(command.words).startswith(start):
            words += more
    for name in outputs(words):
        if Path(name).is_dir():
            shutil.rmtree(name)
    result = supcam_(*words)
    missing = [name for name in outputs(words) if not Path(name).exists()]
    if result.exit_code or missing:
        ended = f"exit code {result.exit_code}, without {missing}, {result.exception!r}"
        return f"{label(command)}: {ended}\n{result.output[-800:]}"
    return ""


def python_of(document: Path) -> str:
    """The Python of a document, at the lines that it has there."""
    lines: list[str] = []
    for block in blocks(document):
        if block.language == "python":
            lines += [""] * (block.line - len(lines)) + list(block.lines)
    return "\n".join(lines)


def run_document(document: Path, *, ran: set[str]) -> Iterator[str]:
    """What is wrong with a document: its commands first, then its Python, each in the order of the page."""
    for command in commands(document):
        if command.words[0] == "supcam" and reason_not_to_run(command) is None:
            wrong = run(command, ran=ran)
            if wrong:
                yield wrong
    if name_of(document) not in PYTHON_NOT_RUN:
        exec(compile(python_of(document), name_of(document), "exec"), {"__name__": "__main__"})


def test_commands_and_python_of_all_documents_do_what_they_say(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one folder and in the order of the documents, as somebody would who follows them."""
    monkeypatch.chdir(desk)
    wrong: list[str] = []
    ran: set[str] = set()
    for document in DOCUMENTS:
        wrong += run_document(document, ran=ran)
        for name in MODELS:  # what a page made of it, the next one does not find
            shutil.rmtree(name)
            shutil.copytree(DEFAULT_MODEL, name)
    assert not wrong


def test_table_of_what_is_not_run_is_up_to_date() -> None:
    written = [" ".join(command.words) for command in OURS]
    assert not [start for start in NOT_RUN if not any(each.startswith(start) for each in written)]
    assert not [name for name in PYTHON_NOT_RUN if not python_of(ROOT / name)]
    assert sum(reason_not_to_run(command) is None for command in OURS) > 20


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_python_can_be_read(document: Path) -> None:
    compile(python_of(document), name_of(document), "exec")


def _code_of(script: Path) -> str:
    """What is written in a script, and in the module of the tests that it runs."""
    code = script.read_text(encoding="utf-8")
    module = re.search(r"-m (tests\.\w+)", code)
    inside = ROOT / module[1].replace(".", "/") / "__main__.py" if module else None
    return code + (inside.read_text(encoding="utf-8") if inside else "")


@pytest.mark.parametrize(
    "command", [command for command in TYPED if command.words[0] not in ("supcam", *OF_OTHERS)], ids=label
)
def test_other_commands_name_scripts_options_and_extras_that_exist(command: Command) -> None:
    program, *words = command.words
    if program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        asked = re.findall(r"\[(.*)\]", " ".join(words))
        assert {extra for names in asked for extra in names.split(",")} <= set(extras)
        return
    if program == "python":
        program, *words = words
    script = ROOT / program
    assert script.is_file()
    assert script.suffix == ".py" or os.access(script, os.X_OK)
    options = [word for word in words if word.startswith("--")]
    if program != "scripts/test":
        assert not [option for option in options if option not in _code_of(script)]
