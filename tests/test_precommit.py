"""The hooks before a commit: only programs of the environment, and they do find what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / ".pre-commit-config.yaml"
BIN = Path(sys.executable).parent


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in ``folder``, with the programs of this environment, however it ends."""
    environment = os.environ | {
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "PRE_COMMIT_HOME": str(folder / ".home"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_hooks_are_local_and_their_programs_are_there() -> None:
    hooks = [hook for repo in yaml.safe_load(CONFIG.read_text())["repos"] for hook in repo["hooks"]]
    assert [repo["repo"] for repo in yaml.safe_load(CONFIG.read_text())["repos"]] == ["local"]
    for hook in hooks:
        assert hook["language"] == "system"
        assert shutil.which(hook["entry"].split()[0], path=str(BIN)), hook["entry"]


def test_hooks_pass_good_files_and_stop_bad_ones(tmp_path: Path) -> None:
    """In a repository of its own, with the real configuration."""
    shutil.copy(CONFIG, tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "good.py").write_text('"""A module."""\n\nSIDE_PX = 3\n')
    assert run("git", "init", "-q", folder=tmp_path).returncode == 0
    run("git", "add", "good.py", CONFIG.name, folder=tmp_path)
    done = run("pre-commit", "run", "--all-files", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed") == 2
    (tmp_path / "bad.py").write_text('"""A module."""\nimport os\nx = [1,2]\n')
    run("git", "add", "bad.py", folder=tmp_path)
    stopped = run("pre-commit", "run", "--all-files", folder=tmp_path)
    assert stopped.returncode == 1
    assert stopped.stdout.count("Failed") == 2
