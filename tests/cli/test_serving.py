"""The commands of the service, as a stranger uses them."""

from __future__ import annotations

from pathlib import Path

from tests.commands import run_without, supcam_

from supcam.workflows.terminal import UNUSABLE


def test_a_token_is_told_once_listed_and_revoked(tmp_path: Path) -> None:
    made = supcam_("token", "create", "ann", "--role", "admin", "--data", tmp_path)
    assert made.exit_code == 0
    text = made.stdout.strip()
    identifier = text.split("_")[1]
    listed = supcam_("token", "list", "--data", tmp_path).stdout
    assert listed.split() == [identifier, "admin", "valid", "ann"]
    assert text not in listed
    assert supcam_("token", "revoke", identifier, "--data", tmp_path).exit_code == 0
    assert "revoked" in supcam_("token", "list", "--data", tmp_path).stdout
    assert supcam_("token", "revoke", identifier, "--data", tmp_path).exit_code == UNUSABLE


def test_a_purge_needs_to_know_what(tmp_path: Path) -> None:
    assert supcam_("purge", "--data", tmp_path).exit_code == UNUSABLE
    done = supcam_("purge", "--case", "K-1", "--data", tmp_path)
    assert done.exit_code == 0
    assert "0 pictures purged" in done.stderr


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    answer = supcam_("serve", "--data", tmp_path, "--database", "mysql://x/y")
    assert answer.exit_code == UNUSABLE
    assert "sqlite or postgresql" in answer.stderr
    answer = supcam_("serve", "--data", tmp_path, "--model", tmp_path / "none")
    assert answer.exit_code == UNUSABLE


def test_without_its_packages_the_command_names_the_extra() -> None:
    for package in ("fastapi", "sqlalchemy", "uvicorn"):
        done = run_without(package, "serve")
        assert done.returncode == UNUSABLE
        assert 'pip install "supcam[web]"' in done.stderr
