"""Objects as a COCO table: boxes, and masks as run lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from supcam.core.rle import encode_rle
from supcam.core.types import ClusterType
from supcam.spread.objects import SpreadObject

CATEGORIES = [
    {"id": int(kind) + 1, "name": kind.label, "supercategory": "chromosomes"} for kind in ClusterType
]


def coco_table(
    pictures: Iterable[tuple[str, tuple[int, int], Sequence[SpreadObject]]],
) -> dict[str, object]:
    """The table of pictures, each given as its name, its size (height, width) and its kept objects."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (name, size, objects) in enumerate(pictures, start=1):
        images.append(coco_image(name, size=size, image_id=image_id))
        annotations += [coco_object(item, size=size) | {"image_id": image_id} for item in objects]
    return finish_table(images, annotations)


def coco_image(name: str, *, size: tuple[int, int], image_id: int) -> dict[str, object]:
    """One picture."""
    return {"id": image_id, "file_name": name, "height": size[0], "width": size[1]}


def coco_object(item: SpreadObject, *, size: tuple[int, int]) -> dict[str, object]:
    """One kept object, without the ids of its picture and its own."""
    assert item.prediction is not None
    assert item.prediction.label is not None
    box = item.box
    return {
        "category_id": int(item.prediction.label) + 1,
        "segmentation": dict(encode_rle(item.mask, box=box, shape=size)),
        "bbox": [box.left, box.top, box.width, box.height],
        "area": item.area_px,
        "iscrowd": 0,
        "score": round(item.prediction.confidence, 6),
        "object_id": item.object_id,
        "n_chromosomes": item.n_chromosomes,
        "decision": item.decision.value,
    }


def finish_table(
    images: Sequence[dict[str, object]], annotations: Sequence[dict[str, object]]
) -> dict[str, object]:
    """The whole table, annotations numbered from 1."""
    numbered = [{"id": n} | each for n, each in enumerate(annotations, start=1)]
    return {"images": list(images), "annotations": numbered, "categories": CATEGORIES}
