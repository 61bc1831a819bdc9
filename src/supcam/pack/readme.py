"""What a model folder's card says, for people: the page that lies beside a model elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from supcam.core.types import ClusterType
from supcam.pack.card import Card, Figure

TAGS = ("chromosome", "cytogenetics", "karyotyping", "metaphase", "classification", "onnx")
METHOD = (
    "Luo, Wu and Zhao (2023), SupCAM: Chromosome cluster types identification using supervised contrastive "
    "learning with category-variant augmentation and self-margin loss, Frontiers in Genetics 14:1109269"
)
METHOD_DOI = "10.3389/fgene.2023.1109269"
TYPES = (
    "Lin et al. (2021), A novel chromosome cluster types identification method using ResNeXt WSL model, "
    "Medical Image Analysis 69:101943"
)
_PAGE = """# {name} {version}

{words}

Made by SupCAM. For the picture of a chromosome cluster it says which type it is ({kinds}) and how many
chromosomes it holds, as a step before segmentation and karyotyping.

**Not a medical device.** It has not been validated for diagnosis; it is for research, and a person decides.

## Input and outputs

`picture`: float32, batch x 1 x {size} x {size}. The stain of one object at a common scale
({width_px:g} pixels a chromosome width), 0 = background, about 1 = the object's own level, at most
2.5. SupCAM makes it from a grey or colour picture (`Model.prepare`); a picture as it was photographed is no
input.
{sides}
`type_logits` ({kinds}), `count_logits` (1, 2, ... chromosomes), `chromosome_logit`,
`embedding`, and `type_map`, the class activation before pooling. Heads that were trained: {heads}.
`calibration.json` turns logits into probabilities, and says from which confidence on a reading is accepted;
SupCAM does so.

## Use

```python
{usage}
```

## Validation

{figures}

## Data

{sources}

Whether weights inherit the terms of the pictures they were trained on is an open question of law; read those
terms before you pass the model on. The whole configuration stands in `card.json`.

## To be cited

{cite}
"""


_SIDES = """
Where the likeliest type of a picture has a probability below {below:g} before calibration (the softmax of
type and number together), SupCAM takes the mean of the logits over its eight turned and mirrored forms.
"""


def readme_of(card: Card, *, usage: str) -> str:
    """A Markdown page: what the model is for, what it takes and gives, figures, limits, whom to cite.

    ``usage`` is code that runs it from the folder that the page lies in.
    """
    return _PAGE.format(
        name=card.name,
        version=card.version,
        words=card.description or "The type and the number of chromosomes of a chromosome cluster.",
        kinds=", ".join(kind.label for kind in ClusterType),
        size=card.crop.size_px,
        width_px=card.crop.width_px,
        heads=_heads(card),
        sides=_SIDES.format(below=card.all_sides_below) if card.all_sides_below else "",
        usage=usage.strip(),
        figures=_table(card.figures),
        sources=_list(card.data.sources) or "The card names no source.",
        cite=_list((f"{METHOD}, doi:{METHOD_DOI}", TYPES)),
    )


def hub_readme(card: Card, *, usage: str) -> str:
    """The same with the header that Hugging Face reads."""
    tags = "\n".join(f"- {tag}" for tag in TAGS)
    header = f"license: mit\nlibrary_name: supcam\npipeline_tag: image-classification\ntags:\n{tags}"
    return f"---\n{header}\n---\n\n{readme_of(card, usage=usage)}"


def _heads(card: Card) -> str:
    trained = [name for name, is_trained in card.heads_trained.model_dump().items() if is_trained]
    return ", ".join(trained)


def _table(figures: Iterable[Figure]) -> str:
    rows = [
        f"| {each.name} | {each.value:.3f}{_interval(each)} | {'' if each.n is None else each.n} "
        f"| {each.source} | {each.role} |"
        for each in figures
    ]
    if not rows:
        return "The card names no figure."
    return "\n".join(["| what | value | pictures | data | role |", "|---|---|---|---|---|", *rows])


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f" ({figure.low:.3f}-{figure.high:.3f})"


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
