"""The terminal door from within a test, and from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from supcam import cli

_RUNNER = CliRunner()


def supcam_(*arguments: str | Path) -> Result:
    """``supcam`` with these arguments, in this process."""
    return _RUNNER.invoke(cli.app, [str(argument) for argument in arguments])


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """A new process that executes ``code``, however it ends."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def run_without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``supcam`` with these arguments where ``package`` is not installed."""
    return run_python(f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
from supcam.cli import main
sys.argv = ["supcam", *{list(arguments)!r}]
main()
""")
