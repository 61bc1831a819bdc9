"""The rules of the house: what an import costs, how files are laid out, what the texts may not say."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "supcam"
TESTS = ROOT / "tests"
SOURCE_FILES = sorted(SOURCE.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("test_*.py"))
OF_THE_WHOLE = {  # what they look at is not one source file
    Path(f"test_{name}.py")
    for name in ("api", "house", "containers", "documentation", "documented_commands", "release", "precommit")
}

TRAINING = {"torch", "torchvision", "timm", "lightning", "onnx", "tensorboard"}
MEASURING = {"scipy", "sklearn", "pandas", "matplotlib"}
BASE = {
    "jaxtyping",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "pydantic",
    "rich",
    "tifffile",
    "typer",
}

LONGEST_FILE = 350
LONGEST_FUNCTION = 40


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """What a new process that executes ``code`` prints; the test fails when it ends with an error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )


def modules_after(code: str) -> set[str]:
    """The top-level modules that a new process has loaded once it has executed ``code``."""
    done = run_python(f"{code}\nimport json, sys\nprint('\\n' + json.dumps([*sys.modules]))")
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def tracked_texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository with its content."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".cff", ".csv", ".txt", ".json", ""} and path.is_file():
            yield path, path.read_text(encoding="utf-8")


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function below its signature and docstring."""
    first = function.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    above = (first.end_lineno or 0) if is_docstring else first.lineno - 1
    return (function.end_lineno or 0) - above


# ---- what an import costs


def test_importing_the_package_loads_neither_training_nor_measuring_packages() -> None:
    assert not modules_after("import supcam") & (TRAINING | MEASURING)


def test_asking_the_terminal_for_help_loads_neither_training_nor_measuring_packages() -> None:
    code = (
        "import sys\n"
        "from supcam.cli import main\n"
        "sys.argv = ['supcam', 'classify', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit as stop:\n    assert not stop.code, stop.code"
    )
    assert not modules_after(code) & (TRAINING | MEASURING)


def test_importing_the_package_takes_less_than_a_second() -> None:
    """Processor time, so that a busy machine does not fail it; the best of three counts."""
    code = "import time\nimport supcam\nprint(time.process_time())"
    assert min(float(run_python(code).stdout) for _ in range(3)) < 1.0


def test_the_runtime_of_the_network_is_loaded_with_the_first_model_only() -> None:
    assert "onnxruntime" not in modules_after("import supcam")


def test_public_names_are_the_ones_that_are_listed() -> None:
    import supcam

    assert sorted(supcam.__all__) == sorted(set(supcam.__all__))
    assert all(getattr(supcam, name) is not None for name in supcam.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", supcam.__version__)


# ---- what is installed


def test_base_requirements_are_the_agreed_ones() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0] for line in project["dependencies"]}
    assert names == BASE
    assert set(project["optional-dependencies"]) >= {"measure", "train", "dev"}


# ---- how the files are laid out


@pytest.mark.parametrize("path", SOURCE_FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_source_file_can_be_read_in_one_go(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is for"
    assert len(text.splitlines()) < LONGEST_FILE
    long = {f.name: body_lines(f) for f in functions_of(tree) if body_lines(f) > LONGEST_FUNCTION}
    assert not long, f"functions of more than {LONGEST_FUNCTION} lines: {long}"


@pytest.mark.parametrize("path", SOURCE_FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_public_functions_take_at_most_two_positional_arguments(path: Path) -> None:
    """One argument or a pair of equals comes by position; everything else is named at the call."""
    if path.parent == SOURCE / "cli":
        return  # there the parameters are the command's options
    loose = {
        function.name: len(positional)
        for function in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(function, ast.FunctionDef)
        and not function.name.startswith("_")
        and len(positional := [*function.args.posonlyargs, *function.args.args]) > 2
    }
    assert not loose, f"more than two positional parameters: {loose}"


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_test_tree_is_the_source_tree(path: Path) -> None:
    place = path.relative_to(TESTS)
    if place in OF_THE_WHOLE:
        return
    source = SOURCE / place.with_name(place.name.removeprefix("test_"))
    assert source.is_file(), f"{place} has no {source.relative_to(ROOT)} to test"


def test_every_source_file_has_its_tests() -> None:
    doors = {Path("__main__.py")}
    sources = {path.relative_to(SOURCE) for path in SOURCE_FILES if path.name != "__init__.py"} - doors
    tested = {path.relative_to(TESTS).with_name(path.name.removeprefix("test_")) for path in TEST_FILES}
    assert not {path.as_posix() for path in sources - tested}, "source files without tests"


def test_map_of_the_package_names_every_file() -> None:
    """A folder's line ends in a slash; the files of a folder are indented below it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = next(part for part in text.split("```") if part.lstrip().startswith("cli/"))
    folder, named = "", set()
    for line in block.strip().splitlines():
        name = line.split()[0]
        if name.endswith("/"):
            folder = name
        else:
            named.add(folder + name if line.startswith(" ") else name)
    doors = {"__main__.py"}
    assert (
        named
        == {path.relative_to(SOURCE).as_posix() for path in SOURCE_FILES if path.name != "__init__.py"}
        - doors
    )


def test_code_names_in_the_method_exist() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE_FILES)
    method = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    names = {name.rpartition(".")[2] for name in re.findall(r"`([A-Za-z_][\w.]*)`", method)}
    assert len(names) > 20
    assert not {name for name in names if not re.search(rf"\b{name}\b", source)}


# ---- what the texts may not say


def test_no_text_names_a_place_on_one_machine() -> None:
    place = re.compile(r"(?<![\w.}<])/(?:home|root|work|Users|mnt|opt)/\w+")
    named = {
        str(path.relative_to(ROOT)): place.findall(text)
        for path, text in tracked_texts()
        if path != Path(__file__).resolve() and place.search(text)
    }
    assert not named


def test_citation_names_the_version_that_is_built() -> None:
    import supcam

    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(supcam.__version__)}$", citation, flags=re.MULTILINE)


def test_readme_stays_on_one_page_and_names_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert [line.split()[0] for line in lines if line.startswith("scripts/")] == [
        "scripts/demo",
        "scripts/test",
    ]


def test_demonstration_draws_what_its_file_names_say(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "demo_pictures.py"
    subprocess.run([sys.executable, str(script), "draw", str(tmp_path)], check=True, capture_output=True)
    kinds = sorted(path.stem.split("-")[1] for path in (tmp_path / "crops").glob("*.png"))
    assert kinds == sorted(2 * ["instance", "touching", "overlapping", "touching_overlapping"])


# ---- what the tests rest on


def test_shapes_and_types_are_checked_while_testing() -> None:
    """A stain picture with the wrong element type must not pass through the import hook."""
    from jaxtyping import TypeCheckError

    from supcam.core.types import Box, Region

    pixels = np.zeros((4, 4))
    with pytest.raises(TypeCheckError):
        Region(stain=pixels, mask=pixels > 0, box=Box(0, 0, 4, 4), width_px=1.0)
    with pytest.raises(TypeCheckError):
        Region(
            stain=np.zeros((4, 4), np.float32), mask=np.zeros((4, 5), bool), box=Box(0, 0, 4, 4), width_px=1.0
        )


def test_generator_starts_at_the_same_place(rng: np.random.Generator) -> None:
    assert rng.integers(1 << 30) == np.random.default_rng(20230214).integers(1 << 30)


PROBE = "def test_probe(real_data):\n    assert real_data.is_dir()\n"


@pytest.mark.parametrize(("required", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_real_picture_tests_skip_unless_they_are_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    (tmp_path / "conftest.py").write_text(
        (TESTS / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "test_probe.py").write_text(PROBE, encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "SUPCAM_DATA": "",
        "SUPCAM_REQUIRE_DATA": required,
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outcome in done.stdout
    assert (done.returncode == 0) is (required == "")
