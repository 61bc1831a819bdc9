from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny_bundle import tiny_model, tiny_parts

from supcam.core.types import BundleError, ManifestError, SupcamError
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
from supcam.data.split import CaseRole, Roles
from supcam.pack.bundle import DEFAULT_MODEL, load_model
from supcam.pack.card import HeadsTrained
from supcam.pack.folder import write_folder
from supcam.workflows.classify import Listener
from supcam.workflows.fit_context import ContextPlan, drawn_metaphases, fit_context
from supcam.workflows.synth import SynthPlan, synth

N_PICTURES = 14


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn metaphases of one virtual laboratory, in bright field."""
    folder = tmp_path_factory.mktemp("slides") / "drawn"
    synth(SynthPlan(n=N_PICTURES, seed=4, laboratory="8", output=folder))
    return folder


def listed(slides: Path) -> Manifest:
    """Their annotations, but for one box a picture: drawn dirt never looks like a chromosome."""
    options = ManifestOptions(source="drawn", pictures_folder=slides / "images", case_rule="([0-9]+)$")
    found = read_manifest(slides / "annotations", layout="voc", options=options)
    return replace(found, pictures=tuple(replace(one, boxes=one.boxes[:-1]) for one in found.pictures))


def roles_of(manifest: Manifest) -> Roles:
    """The last two pictures are looked at, the others learnt from."""
    cases = sorted({picture.case for picture in manifest.pictures})
    assert len(cases) == N_PICTURES
    return Roles(
        tuple(
            CaseRole("drawn", case, "select" if n >= N_PICTURES - 2 else "train")
            for n, case in enumerate(cases)
        )
    )


def test_drawn_metaphases_of_one_laboratory_are_told_apart_no_worse_in_context(
    slides: Path, tmp_path: Path
) -> None:
    manifest = listed(slides)
    heard: list[int] = []
    fit = fit_context(
        DEFAULT_MODEL,
        manifest=manifest,
        output=tmp_path / "new",
        plan=ContextPlan(role="train", check="select", roles=roles_of(manifest)),
        listener=Listener(started=heard.append, advanced=heard.append),
    )
    assert fit.before is not None
    assert fit.after is not None
    one_of_them = 1 / 60
    assert fit.after.singles_right >= fit.before.singles_right - one_of_them > 0.8
    assert 0 <= fit.after.count_error < 10
    assert fit.reading.n_pictures == N_PICTURES - 2
    assert fit.reading.fitted_on == ("train",)
    assert heard == [N_PICTURES + 2, *[1] * (N_PICTURES + 2)]
    objects, alone, in_context = fit.told()
    assert objects == f"{fit.reading.n_objects} objects of {N_PICTURES - 2} metaphases"
    assert "2 other metaphases, each object by itself: count wrong by" in alone
    assert "the same in context: count wrong by" in in_context
    new, old = load_model(tmp_path / "new", threads=1), load_model(threads=1)
    assert new.calibration.in_context == fit.reading
    assert new.card.model_sha256 == old.card.model_sha256
    assert new.calibration.model_copy(update={"in_context": None}) == old.calibration.model_copy(
        update={"in_context": None}
    )
    with pytest.raises(BundleError, match="new"):
        fit_context(DEFAULT_MODEL, manifest=manifest, output=tmp_path / "new", plan=ContextPlan(role="train"))


def test_metaphases_of_virtual_laboratories_are_learnt_from_beside_ones_own(
    slides: Path, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    synth(SynthPlan(n=5, seed=9, laboratory="all", output=others))
    manifest = listed(slides)
    plan = ContextPlan(role="train", roles=roles_of(manifest), drawn=drawn_metaphases(others))
    fit = fit_context(DEFAULT_MODEL, manifest=manifest, output=tmp_path / "new", plan=plan)
    of_one_polarity = 4  # the fifth laboratory's are fluorescent
    assert fit.reading.n_pictures == N_PICTURES - 2 + of_one_polarity
    assert fit.reading.polarity == "bright_field"
    assert fit.reading.fitted_on == ("train", "drawn metaphases")


def test_a_folder_without_drawn_metaphases_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="annotations"):
        drawn_metaphases(tmp_path)


def test_what_is_kept_back_is_not_chosen_by(slides: Path, tmp_path: Path) -> None:
    for plan in (ContextPlan(role="report"), ContextPlan(role="train", check="report")):
        with pytest.raises(SupcamError, match="role report"):
            fit_context(DEFAULT_MODEL, manifest=listed(slides), output=tmp_path / "new", plan=plan)
    assert not (tmp_path / "new").exists()


def test_heads_that_were_not_trained_are_an_error(slides: Path, tmp_path: Path) -> None:
    parts = tiny_parts(tiny_model())
    text = parts.text.model_copy(update={"heads_trained": HeadsTrained(count=False, chromosome=True)})
    write_folder(tmp_path / "tiny", parts=replace(parts, text=text))
    with pytest.raises(BundleError, match="not trained"):
        fit_context(
            tmp_path / "tiny",
            manifest=listed(slides),
            output=tmp_path / "new",
            plan=ContextPlan(role="train"),
        )


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SupcamError, match="0 polarities"):
        fit_context(
            DEFAULT_MODEL, manifest=Manifest(), output=tmp_path / "new", plan=ContextPlan(role="train")
        )
