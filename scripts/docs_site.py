"""The site of the documentation: pages gathered from the repository, tutorials run, all of it built strictly.

Links that leave ``docs/`` work on the site too: a page that is there is linked as a page, any other file of
the repository is copied. Nothing on the site is loaded from elsewhere.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docs_tutorials import page_of, run_tutorial

ROOT = Path(__file__).resolve().parents[1]
ABOVE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages that lie at the repository's root."""
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCE = re.compile(r"^ *(```|~~~)")


def page_sources() -> dict[str, Path]:
    """Place on the site -> file of the repository, for every page; a tutorial's place ends in ``.md`` too."""
    docs = ROOT / "docs"
    pages = {place: ROOT / name for name, place in ABOVE.items()}
    for path in sorted([*docs.rglob("*.md"), *docs.rglob("*.ipynb")]):
        pages[path.relative_to(docs).with_suffix(".md").as_posix()] = path
    return pages


def gather(folder: Path, *, tutorials: bool) -> None:
    """Every page in ``folder/pages``, the configuration beside it; with the tutorials' output or not."""
    pages = folder / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.md", "*.ipynb", ".ipynb_checkpoints")
    )
    shutil.copy(ROOT / "zensical.toml", folder)
    sources = page_sources()
    for place, source in sources.items():
        target = pages / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".ipynb":
            text = page_of(run_tutorial(source) if tutorials else source, files=target.with_suffix(""))
        else:
            text = source.read_text(encoding="utf-8")
        target.write_text(linked(text, source=source, place=place, pages=pages), encoding="utf-8")


def linked(text: str, *, source: Path, place: str, pages: Path) -> str:
    """``text`` with its relative links as they must be at ``place``; what they name is copied if need be."""
    homes = {path.resolve(): name for name, path in page_sources().items()}

    def placed(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        named = (source.parent / target).resolve()
        if re.match(r"[a-z]+:", target) or not named.is_file() or not named.is_relative_to(ROOT):
            return match[0]  # elsewhere, made by a tutorial, or wrong: the strict build says so
        return f"{match['before']}{_way(place, to=_home(named, homes=homes, pages=pages))}{anchor}"

    lines, in_fence = [], False
    for line in text.splitlines(keepends=True):
        in_fence ^= bool(_FENCE.match(line))
        lines.append(line if in_fence else _LINK.sub(placed, line))
    return "".join(lines)


def _home(named: Path, *, homes: dict[Path, str], pages: Path) -> str:
    """Where a file of the repository lies on the site; one that is no page is copied there."""
    if named in homes:
        return homes[named]
    docs = ROOT / "docs"
    if named.is_relative_to(docs):
        return named.relative_to(docs).as_posix()
    place = "files" / named.relative_to(ROOT)
    (pages / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(named, pages / place)
    return place.as_posix()


def _way(place: str, *, to: str) -> str:
    return posixpath.relpath(to, start=posixpath.dirname(place) or ".")


def build(folder: Path) -> None:
    """``folder/site`` from the gathered pages. A warning (a broken link) raises ``CalledProcessError``."""
    where = os.pathsep.join([str(ROOT / "src"), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    subprocess.run(  # noqa: S603 - our own words
        command, cwd=folder, env=os.environ | {"PYTHONPATH": where}, check=True
    )


def main() -> None:
    """Gathers and builds, in a folder of its own that then takes the place of the last one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="gets site/, and pages/ that it was built from")
    parser.add_argument("--quick", action="store_true", help="show the tutorials without running them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        gather(Path(made, "docs"), tutorials=not asked.quick)
        try:
            build(Path(made, "docs"))
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
        shutil.rmtree(asked.folder, ignore_errors=True)
        shutil.move(Path(made, "docs"), asked.folder)
    print(f"the site: {asked.folder / 'site' / 'index.html'}")


if __name__ == "__main__":
    main()
