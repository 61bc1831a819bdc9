"""Tests that the base install can run: chosen by what they import, run with the installed package."""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("core", "spread")
PRESENT = {
    "PIL", "beartype", "cv2", "hypothesis", "jaxtyping", "numpy", "onnxruntime", "pydantic", "pytest", "rich",
    "supcam", "tests", "tifffile", "typer",
}  # fmt: skip
"""What a new environment holds: the base install, and what the tests themselves need."""
BEYOND = (
    "supcam.cli",
    "supcam.learn",
    "supcam.measure",
    "supcam.web",
    "supcam.workflows",
    "supcam.pack.export",
)
"""Parts of the package whose tests ask for more, or for a checkout."""


def base_tests() -> list[str]:
    """Test files of ``FOLDERS`` that import nothing beyond the base install, nor do their helpers."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / "tests" / folder).glob("test_*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in found if needs_base_alone(path)]


def needs_base_alone(path: Path) -> bool:
    """Whether a test file and all helpers that it imports need no more than ``PRESENT``."""
    names = set(_imports(path))
    helpers = [ROOT / f"{name.replace('.', '/')}.py" for name in names if name.startswith("tests.")]
    own = {name.partition(".")[0] for name in names} <= PRESENT | sys.stdlib_module_names
    is_within = not any(name.startswith(BEYOND) for name in names)
    return own and is_within and all(needs_base_alone(helper) for helper in helpers if helper.is_file())


def _imports(path: Path) -> Iterator[str]:
    """The full names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "tests":
                yield from (f"tests.{alias.name}" for alias in node.names)


def run_installed(python: Path, *, folder: Path, tests: list[str], more_path: str = "") -> str:
    """The last line of pytest, run in ``folder`` on a copy of the tests, away from the sources.

    Raises ``CalledProcessError`` when a test fails, or when it is not the installed package that was tested.
    """
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": more_path, "OMP_NUM_THREADS": "1"}
    where = _told(
        python, "-c", "import supcam; print(supcam.__file__)", folder=folder, environment=environment
    )
    if Path(where.strip()).is_relative_to(ROOT / "src"):
        raise RuntimeError(f"tested would be {where}, not what was installed")
    asked = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "default", *tests]
    return _told(python, *asked, folder=folder, environment=environment).strip().splitlines()[-1]


def _told(python: Path, *arguments: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        [str(python), *arguments], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, check=False
    )
    if done.returncode:
        print(done.stdout[-4000:], file=sys.stderr)
    done.check_returncode()
    return done.stdout


def main() -> None:
    """Runs them with the Python that is named, in a new folder, and prints the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    tests = base_tests()
    asked.folder.mkdir(parents=True)
    told = run_installed(asked.python, folder=asked.folder, tests=tests)
    print(f"{len(tests)} test files of {', '.join(FOLDERS)} with the installed wheel: {told}")


if __name__ == "__main__":
    main()
