"""Tutorials of the documentation: notebooks committed without output, run anew, and shown as pages."""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

LONGEST_S = 300
_SHOWN_LINES = 30


def read_tutorial(path: Path) -> nbformat.NotebookNode:
    """The notebook at ``path``, as version 4."""
    notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)
    return notebook


def run_tutorial(path: Path) -> nbformat.NotebookNode:
    """The notebook at ``path`` with its output, run in an empty folder. Raises nbclient's error of a cell.

    ``supcam`` in a cell's shell line is that of this environment, and draws no bar of progress.
    """
    notebook = read_tutorial(path)
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as sockets:
        no_ports = Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets, "kernel"))}})
        client = NotebookClient(
            notebook,
            timeout=LONGEST_S,
            startup_timeout=LONGEST_S,
            resources={"metadata": {"path": folder}},
            config=no_ports,
        )
        client.execute(env=os.environ | {"PATH": programs, "TTY_COMPATIBLE": "0"})
    return notebook


def page_of(tutorial: Path | nbformat.NotebookNode, *, files: Path) -> str:
    """A notebook as Markdown; its pictures go to the folder ``files``, which the page lies beside."""
    notebook = read_tutorial(tutorial) if isinstance(tutorial, Path) else tutorial
    parts: list[str] = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(f"```python\n{cell.source}\n```")
            outputs = _joined(cell.outputs)
            parts += [_output(each, name=f"{number}_{n}", files=files) for n, each in enumerate(outputs)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _joined(outputs: Iterable[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs of a cell, with what was printed piece by piece in one, without the error stream."""
    joined: list[nbformat.NotebookNode] = []
    for each in outputs:
        if each.output_type == "stream" and each.name == "stderr":
            continue
        if joined and each.output_type == joined[-1].output_type == "stream":
            joined[-1].text += each.text
        else:
            joined.append(each)
    return joined


def _output(output: nbformat.NotebookNode, *, name: str, files: Path) -> str:
    """One output of a cell: text, a picture, or HTML such as a table."""
    if output.output_type == "stream":
        return _text(output.text)
    data = output.get("data", {})
    if "image/png" in data:
        files.mkdir(parents=True, exist_ok=True)
        (files / f"{name}.png").write_bytes(base64.b64decode(data["image/png"]))
        return f"![Output of the cell above]({files.name}/{name}.png)"
    if "text/html" in data:
        plain = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL)
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        return '<div class="output">\n' + "\n".join(lines) + "\n</div>"
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    """Text as it would stand in a terminal, its middle left out where it is long."""
    lines = text.rstrip().splitlines()
    if len(lines) > _SHOWN_LINES:
        half = _SHOWN_LINES // 2
        lines = [*lines[:half], "...", *lines[-half:]]
    return "```text\n" + "\n".join(lines) + "\n```" if lines else ""
