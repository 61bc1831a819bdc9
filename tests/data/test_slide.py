from __future__ import annotations

import numpy as np
import pytest

from supcam.core.types import ClusterType, CompositionError
from supcam.data.slide import Element, ObjectKind, Slide


def block(kind: ObjectKind, *, side: int) -> Element:
    """A square body with a rim of 4 empty pixels."""
    mask = np.zeros((side + 8, side + 8), np.bool_)
    mask[4:-4, 4:-4] = True
    cluster = ClusterType.INSTANCE if kind is ObjectKind.CHROMOSOMES else None
    return Element(kind, mask.astype(np.float32), mask[None], type=cluster)


def test_objects_keep_their_distance_and_chromosomes_stay_inside(rng: np.random.Generator) -> None:
    slide = Slide((200, 260), clearance_px=7)
    for _ in range(20):
        slide.lay(block(ObjectKind.CHROMOSOMES, side=14), rng=rng)
    boxes = [one.box for one in slide.objects]
    assert all((box.height, box.width) == (14, 14) for box in boxes)
    assert slide.stain.sum() == 20 * 14 * 14
    for k, box in enumerate(boxes):
        for other in boxes[:k]:
            gaps = (
                max(box.top - other.bottom, other.top - box.bottom, 0),
                max(box.left - other.right, other.left - box.right, 0),
            )
            assert np.hypot(*gaps) >= 7 - 1


def test_nucleus_may_be_cut_by_the_border_and_its_box_is_cut_with_it() -> None:
    widths = set()
    for seed in range(30):
        slide = Slide((100, 100), clearance_px=5)
        slide.lay(block(ObjectKind.NUCLEUS, side=60), rng=np.random.default_rng(seed))
        (nucleus,) = slide.objects
        assert nucleus.n_chromosomes == 0
        assert nucleus.type is None
        assert nucleus.masks.shape == (1, nucleus.box.height, nucleus.box.width)
        assert np.array_equal(slide.stain[nucleus.box.slices] > 0, nucleus.masks[0])
        assert slide.stain.sum() == nucleus.masks.sum()
        widths.add(nucleus.box.width)
    assert max(widths) == 60
    assert min(widths) < 60


def test_labels_number_the_objects_and_keep_their_chromosomes_names(rng: np.random.Generator) -> None:
    slide = Slide((120, 160), clearance_px=5)
    assert not slide.labels().any()
    plain = block(ObjectKind.CHROMOSOMES, side=20)
    for name in ("7", "X"):
        element = Element(plain.kind, plain.stain, plain.masks, type=plain.type, chromosomes=(name,))
        slide.lay(element, rng=rng)
    slide.lay(block(ObjectKind.DEBRIS, side=6), rng=rng)
    labels = slide.labels()
    assert [one.chromosomes for one in slide.objects] == [("7",), ("X",), ()]
    assert np.bincount(labels.ravel())[1:].tolist() == [400, 400, 36]
    for number, one in enumerate(slide.objects, 1):
        assert np.array_equal(labels[one.box.slices] == number, one.masks[0])


def test_full_slide_says_so(rng: np.random.Generator) -> None:
    slide = Slide((64, 64), clearance_px=5)
    slide.lay(block(ObjectKind.CHROMOSOMES, side=50), rng=rng)
    with pytest.raises(CompositionError, match="64 x 64"):
        slide.lay(block(ObjectKind.CHROMOSOMES, side=20), rng=rng)


def test_what_is_larger_than_the_picture_finds_no_place(rng: np.random.Generator) -> None:
    with pytest.raises(CompositionError, match="larger picture"):
        Slide((40, 40), clearance_px=5).lay(block(ObjectKind.CHROMOSOMES, side=60), rng=rng)
