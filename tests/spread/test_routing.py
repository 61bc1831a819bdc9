"""Objects reach the function that was named for their type, and a person's reach no other than review."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.drawn_crops import draw_crop
from tests.drawn_spreads import drawn, tiny_spread_model

import supcam
from supcam.core.types import ClusterType, ConfigError, Decision, Prediction
from supcam.data.slide import ObjectKind
from supcam.data.synthesis import SynthesisConfig, draw_metaphase
from supcam.spread.crops import mask_on_crop
from supcam.spread.objects import Reason
from supcam.spread.result import Analysis
from supcam.spread.routing import HANDLERS, Routable, Routed, check_handlers, route

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "integrating.md"


def read(kind: ClusterType | None, *, decision: Decision = Decision.ACCEPT) -> Prediction:
    shares = [0.0] * 4
    shares[kind or 0] = 1.0
    return Prediction(
        label=kind,
        probabilities=(shares[0], shares[1], shares[2], shares[3]),
        confidence=1.0,
        n_chromosomes=0 if kind is None else min(3, int(kind) + 1),
        decision=decision,
    )


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """A drawn metaphase whose objects are, in turn, of each type, with one for review and one rejected."""
    model = tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")
    found = supcam.analyze(drawn(0).grey, model=model)
    asked = [item for item in found.objects if item.prediction]
    others = [item for item in found.objects if not item.prediction]
    assert len(asked) > 6
    assert others
    items = [replace(item, prediction=read(ClusterType(n % 4)), doubts=()) for n, item in enumerate(asked)]
    items[4] = replace(items[4], doubts=(Reason.CUT,))
    items[5] = replace(items[5], rejection=Reason.NO_CHROMOSOME)
    items[6] = replace(items[6], rejection=Reason.NO_CHROMOSOME, doubts=(Reason.NEARLY_KEPT,))
    return replace(found, objects=(*items, *others), name="cell.png")


def handlers_of(answers: tuple[Routed, ...]) -> list[str | None]:
    return [each.handler for each in answers]


def test_every_object_goes_to_the_function_of_its_type(analysis: Analysis) -> None:
    calls: dict[str, list[int]] = {name: [] for name in HANDLERS}

    def taker(name: str) -> Callable[[Routable], str]:
        def take(given: Routable) -> str:
            calls[name].append(given.index)
            return f"{name} {given.index}"

        return take

    answers = route(analysis, {name: taker(name) for name in HANDLERS})
    labels = [kind.label for kind in ClusterType]
    assert handlers_of(answers)[:7] == [*labels, "review", "rejected", "review"]
    assert [each.value for each in answers] == [f"{each.handler} {n}" for n, each in enumerate(answers)]
    assert sorted(index for taken in calls.values() for index in taken) == list(range(len(analysis.objects)))
    assert not calls["default"]


def test_default_takes_accepted_types_alone(analysis: Analysis) -> None:
    answers = route(analysis, {"touching": len_of, "default": len_of})
    expected = ["default", "touching", "default", "default", None, None, None]
    assert handlers_of(answers)[:7] == expected
    assert answers[4].value is None


def len_of(given: Routable) -> int:
    assert given.mask is not None
    return int(given.mask.sum())


def test_a_handler_sees_the_object_in_its_crop(analysis: Analysis) -> None:
    answers = route(analysis, {"rejected": lambda given: given})
    for item, each in zip(analysis.objects, answers, strict=True):
        given = each.given
        assert (given.item, given.picture, given.type) == (item, "cell.png", item.type)
        assert (given.n_chromosomes, given.decision) == (item.n_chromosomes, item.decision)
        if item.crop is None:
            assert given.crop is None
            assert given.mask is None
            assert each.handler == "rejected"
        else:
            assert given.mask is not None
            np.testing.assert_array_equal(given.mask, mask_on_crop(item))
            assert given.mask.sum() == item.area_px


def test_predictions_are_routed_with_their_crops() -> None:
    crops = [draw_crop(seed=n) for n in range(4)]
    predictions = [
        read(ClusterType.TOUCHING),
        read(ClusterType.OVERLAPPING),
        read(ClusterType.INSTANCE, decision=Decision.REVIEW),
        read(None),
    ]
    answers = route(
        predictions,
        {"touching": lambda given: given.crop, "review": lambda given: given.crop, "rejected": lambda _: 7},
        crops=crops,
    )
    assert handlers_of(answers) == ["touching", None, "review", "rejected"]
    assert answers[0].value is crops[0]
    assert answers[2].value is crops[2]
    assert answers[3].value == 7
    assert [each.given.crop for each in route(predictions, {})] == [None] * 4


@pytest.mark.parametrize("name", ["Touching", "overlap", "", "accept"])
def test_unknown_names_are_errors_before_anything_is_called(analysis: Analysis, name: str) -> None:
    called: list[Routable] = []
    with pytest.raises(ConfigError, match="a handler called"):
        route(analysis, {"instance": called.append, name: called.append})
    assert not called


def test_what_cannot_be_routed_is_refused(analysis: Analysis) -> None:
    with pytest.raises(ConfigError, match="of type str"):
        check_handlers({"instance": "keep"})
    with pytest.raises(ConfigError, match="beside an analysis"):
        route(analysis, {}, crops=[])
    with pytest.raises(ConfigError, match="1 crops and 2 predictions"):
        route([read(None), read(None)], {}, crops=[draw_crop()])


def test_what_a_handler_raises_says_for_which_object(analysis: Analysis) -> None:
    def fail(given: Routable) -> None:
        raise ZeroDivisionError(given.index)

    with pytest.raises(ZeroDivisionError, match="1") as raised:
        route(analysis, {"touching": fail})
    assert raised.value.__notes__ == [
        f"raised by the handler 'touching' of supcam.route for object {analysis.objects[1].object_id} "
        "of cell.png (touching)"
    ]
    with pytest.raises(ZeroDivisionError) as raised:
        route([read(ClusterType.TOUCHING)], {"touching": fail})
    assert "for crop 0 (touching)" in raised.value.__notes__[0]


def test_the_worked_example_cuts_touching_clusters_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code in the documentation, on a drawn metaphase, by the model that the package carries."""
    import cv2

    config = SynthesisConfig(
        picture_px=(420, 460), n_chromosomes=14, type_shares=(0.4, 0.6, 0, 0), group_shares=(1.0,),
        n_nuclei=(0, 0), n_debris=(2, 2), length_px=(40, 80),
    )  # fmt: skip
    truth = draw_metaphase(np.random.default_rng(7), config=config)
    monkeypatch.chdir(tmp_path)
    assert cv2.imwrite("slide.png", truth.grey)
    code = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)
    assert capsys.readouterr().out.count("touching touching Box(") == 4
    pieces = np.zeros((len(names["answers"]), *truth.grey.shape), np.int32)
    for canvas, each in zip(pieces, names["answers"], strict=True):
        if each.handler == "touching":
            (top, left), box = each.given.item.crop_start, each.given.item.box
            height, width = each.value.shape
            rows, columns = slice(box.top - top, None), slice(box.left - left, None)
            canvas[rows, columns][:height, :width] = each.value
            assert each.value.max() == each.given.n_chromosomes
    clusters = [one for one in truth.objects if one.kind is ObjectKind.CHROMOSOMES and one.n_chromosomes == 2]
    assert len(clusters) == 4
    for one in clusters:
        for mask in one.masks:
            whole = np.zeros(truth.grey.shape, np.bool_)
            whole[one.box.slices] = mask
            assert max(overlap_of(whole, canvas == n) for canvas in pieces for n in (1, 2)) > 0.7


def overlap_of(one: np.ndarray, other: np.ndarray) -> float:
    """The share of both that both have."""
    return float((one & other).sum() / (one | other).sum())
