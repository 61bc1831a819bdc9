"""The pictures of the demonstration: ``draw`` a metaphase and clusters, ``show`` what was read."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from supcam import ClusterType
from supcam.data.synthesis import SynthesisConfig, draw_cluster, draw_metaphase, to_grey

SEED = 7
BORDER_PX = 16
COLUMNS = 4
TILE_PX, CAPTION_PX = 220, 62
CLUSTERS = (
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 2),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.TOUCHING_OVERLAPPING, 3),
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 3),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.TOUCHING_OVERLAPPING, 4),
)


def draw(folder: Path) -> None:
    """Writes ``metaphase.png``, and ``crops/<number>-<type>-<count>.png``, one drawn cluster each."""
    metaphase = draw_metaphase(np.random.default_rng([SEED, 3]), config=SynthesisConfig(n_nuclei=(1, 1)))
    crops = folder / "crops"
    crops.mkdir(parents=True, exist_ok=True)
    for number, (kind, count) in enumerate(CLUSTERS, 1):
        rng = np.random.default_rng([SEED, number])
        cluster = draw_cluster(rng, type=kind, n_chromosomes=count)
        grey = to_grey(np.pad(cluster.stain, BORDER_PX), rng=rng)
        Image.fromarray(grey).save(crops / f"{number}-{kind.label}-{count}.png")
    Image.fromarray(metaphase.grey).save(folder / "metaphase.png")
    print(f"a drawn metaphase of {metaphase.n_chromosomes} chromosomes: {folder / 'metaphase.png'}")
    print(f"{len(CLUSTERS)} drawn clusters in {crops}")


def show(folder: Path) -> None:
    """Prints what was found in the metaphase and read in the crops; ``sheet.png`` shows every crop."""
    with (folder / "analysis" / "images.csv").open(newline="", encoding="utf-8") as table:
        for row in csv.DictReader(table):
            print(
                f"{row['n_chromosomes']} chromosomes ({row['n_chromosomes_low']} to "
                f"{row['n_chromosomes_high']}) in {row['n_objects']} objects of the metaphase, "
                f"{row['n_rejected']} rejected, decision: {row['decision']}"
            )
    print(f"its overlay: {folder / 'analysis' / 'overlays' / 'metaphase.png'}")
    print(f"its page, for any browser: {folder / 'analysis' / 'report' / 'index.html'}")
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["path"])
    for row in rows:
        print(
            f"{Path(row['path']).stem:28}-> {row['type']:21} {row['n_chromosomes']:>2} chromosome(s)"
            f"   confidence {float(row['confidence']):.2f}   {row['decision']}"
        )
    sheet(rows).save(folder / "sheet.png")
    print(f"the same as a picture: {folder / 'sheet.png'}")


def sheet(rows: list[dict[str, str]]) -> Image.Image:
    """All crops at one scale, each with its caption below."""
    height = TILE_PX + CAPTION_PX
    n_lines = -(-len(rows) // COLUMNS)
    page = Image.new("L", (COLUMNS * TILE_PX, n_lines * height), 255)
    pen = ImageDraw.Draw(page)
    for place, row in enumerate(rows):
        left, top = place % COLUMNS * TILE_PX, place // COLUMNS * height
        with Image.open(row["path"]) as crop:
            crop.thumbnail((TILE_PX - 20, TILE_PX - 20))
            page.paste(crop, (left + (TILE_PX - crop.width) // 2, top + (TILE_PX - crop.height) // 2))
        pen.multiline_text((left + 10, top + TILE_PX), caption(row), fill=0, font=ImageFont.load_default(14))
    return page


def caption(row: dict[str, str]) -> str:
    """What was drawn, what was read, and how sure the model is."""
    _, kind, count = Path(row["path"]).stem.split("-")
    return (
        f"drawn: {words(kind)}, {count}\n"
        f"read: {words(row['type'])}, {row['n_chromosomes']}\n"
        f"{float(row['confidence']):.2f}, {row['decision']}"
    )


def words(kind: str) -> str:
    """A type as it is written in a sentence."""
    return kind.replace("_", "-")


def main() -> None:
    """Runs the step that was asked for."""
    steps = {"draw": draw, "show": show}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=steps)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    steps[asked.step](asked.folder)


if __name__ == "__main__":
    main()
