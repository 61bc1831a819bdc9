"""A crop of one cluster -> the same analysis that a whole picture gets, with that one object."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.crop import network_input
from supcam.core.foreground import mask_box
from supcam.core.types import Decision, Prediction, Region
from supcam.pack.bundle import Model
from supcam.pack.folder import Outputs
from supcam.spread.analyze import number_chances
from supcam.spread.objects import CROP_RIM_PX, Reason, SpreadObject, seen_of
from supcam.spread.picture import Grey, open_picture, preview
from supcam.spread.result import Analysis, Quality


def analyze_crop(path: Path, *, model: Model, config: ImageConfig | None = None) -> Analysis:
    """The crop at ``path`` as a picture with one object; nothing is rejected, somebody chose it.

    Raises ``ImageError`` for a file that cannot be read or shows no object.
    """
    with open_picture(path, config=config or model.image) as picture:
        shown, scale = preview(picture)
        size, polarity, notes = picture.size, picture.polarity, picture.notes
        pixel_size = picture.pixel_size
        region = model.read_region(path)
        box = mask_box(region.mask)
        crop = picture.grey(box.grown(CROP_RIM_PX, within=size)).copy()
    outputs = model.answers(network_input(region, config=model.card.crop)[None, None])
    prediction = model.read_crops(outputs)[0]
    item = _object(region, prediction=prediction, outputs=outputs, model=model, crop=crop)
    level = float(np.median(region.stain[region.mask]))
    return Analysis(
        name=path.name,
        size=size,
        objects=(item,),
        preview=shown,
        preview_scale=scale,
        polarity=polarity,
        quality=Quality(width_px=region.width_px, contrast=level, focus=1.0),
        model=f"{model.card.name} {model.card.version}",
        notes=notes,
        pixel_size=pixel_size,
    )


def _object(
    region: Region, *, prediction: Prediction, outputs: Outputs, model: Model, crop: Grey
) -> SpreadObject:
    box = mask_box(region.mask)
    mask = region.mask[box.slices]
    chances = number_chances(outputs, counts=[prediction.n_chromosomes], model=model)[0]
    return SpreadObject(
        object_id=1,
        box=box,
        mask=mask,
        area_px=int(mask.sum()),
        prediction=prediction,
        rejection=None,
        doubts=(Reason.UNSURE_TYPE,) if prediction.decision is Decision.REVIEW else (),
        number_chances=np.concatenate([[0.0], chances]),
        crop=crop,
        seen=seen_of(outputs, region=region, box=box, config=model.card.crop),
    )
