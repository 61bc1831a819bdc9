"""A model before and after it learnt from decisions, both scored on decisions held out.

The comparison is a JSON file that holds numbers and names of models and no name of a case, a picture or a
person, so that it may be shown and passed on. ``pack.before_after_page`` writes it for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from supcam.core.config import StageConfig
from supcam.core.types import BundleError
from supcam.pack.card import Sha256, check_version, parse_model, parse_object, to_json

FORMAT_VERSION = "1.0"
MOST_BYTES = 1_000_000
FOLDER = "comparisons"
"""Where a service looks for them, in its data folder."""
SIGNIFICANT = 0.05
"""The p value from which on a difference is called more than chance; fixed before anything is scored."""
Verdict = Literal["helped", "harmed", "open"]
Count = Annotated[int, Field(ge=0)]


class ModelId(StageConfig):
    """Which weights."""

    name: str = Field(description="Name of the model.")
    version: str = Field(description="Its version.")
    sha256: Sha256 = Field(description="SHA-256 of its weights.")


class Change(StageConfig):
    """One figure of both models, with 95 % intervals by case; null where it cannot be said."""

    name: str = Field(description="What was measured.")
    before: float | None = Field(description="Of the model before.")
    before_low: float | None = Field(None, description="Lower end of its interval.")
    before_high: float | None = Field(None, description="Upper end of its interval.")
    after: float | None = Field(description="Of the model after.")
    after_low: float | None = Field(None, description="Lower end of its interval.")
    after_high: float | None = Field(None, description="Upper end of its interval.")
    difference: float | None = Field(None, description="After less before.")
    difference_low: float | None = Field(None, description="Lower end of the difference's interval.")
    difference_high: float | None = Field(None, description="Upper end of the difference's interval.")


class PairedFacts(StageConfig):
    """Which answers changed, and whether chance alone would change as many (sign-flip test by case)."""

    n_became_right: Count = Field(description="Held-out objects read wrongly before and rightly after.")
    n_became_wrong: Count = Field(description="The other way round.")
    n_differing_cases: Count = Field(description="Cases in which the two models are not equally often right.")
    p_value: float = Field(ge=0, le=1, description="Two-sided.")
    least_p: float = Field(ge=0, le=1, description="The smallest that so many cases can give.")


class DecidedFacts(StageConfig):
    """What was learnt from, and what was held out."""

    n_learnt: Count = Field(description="Decided objects of a type that it learnt from.")
    n_learnt_rejected: Count = Field(description="Objects decided to be no chromosome that it learnt from.")
    n_learnt_cases: Count = Field(description="Their cases.")
    n_held_out: Count = Field(description="Decided objects of a type that both models were scored on.")
    n_held_out_rejected: Count = Field(description="The same of objects that are no chromosome.")
    n_held_out_cases: Count = Field(description="Their cases.")
    n_unread: Count = Field(0, description="Held-out crops that could not be read.")
    n_reviewers: Count = Field(0, description="People who decided; 0: the export does not say.")
    n_composed_from: Count = Field(0, description="Single chromosomes that clusters were composed from.")
    seed: Count = Field(0, description="What the split follows from.")
    sha256: Sha256 = Field(description="Hash over all decided pictures and what was said of them.")


class BeforeAfter(StageConfig):
    """The whole comparison."""

    format_version: str = Field(FORMAT_VERSION, pattern=r"^\d{1,4}\.\d{1,4}$", description="major.minor.")
    made: datetime = Field(description="When.")
    before: ModelId = Field(description="The model that learnt.")
    after: ModelId = Field(description="What it became.")
    decided: DecidedFacts = Field(description="The decisions.")
    figures: tuple[Change, ...] = Field(description="The first one is that of the verdict.")
    test: PairedFacts = Field(description="The test of the verdict.")
    notes: tuple[str, ...] = Field((), description="What a reader must know besides.")
    supcam_version: str = Field("", description="The program.")
    steps: Count = Field(0, description="Steps of learning.")

    @property
    def verdict(self) -> Verdict:
        """Whether it helped; open when chance alone could have done it."""
        gained = self.test.n_became_right - self.test.n_became_wrong
        if gained == 0 or self.test.p_value > SIGNIFICANT:
            return "open"
        return "helped" if gained > 0 else "harmed"

    @property
    def words(self) -> str:
        """The same in plain words."""
        test, facts = self.test, self.decided
        judged = f"{facts.n_held_out} held-out objects of {facts.n_held_out_cases} cases"
        changed = f"{test.n_became_right} became right and {test.n_became_wrong} became wrong"
        if self.verdict == "helped":
            chance = f"chance alone would hardly do that (p = {test.p_value:.2g})"
            return f"It helped. Of {judged}, {changed}; {chance}."
        if self.verdict == "harmed":
            return (
                f"It did harm. Of {judged}, {changed}, more than chance would (p = {test.p_value:.2g}): "
                "do not use the new model."
            )
        told = f"It cannot be said whether it helped. Of {judged}, {changed}"
        if test.n_became_right + test.n_became_wrong == 0:
            return f"{told}: both models answer alike. More decisions, on more cases, would tell."
        few = (
            f" {test.n_differing_cases} cases with a difference cannot show more than p = {test.least_p:.2g}."
            if test.least_p > SIGNIFICANT
            else ""
        )
        return f"{told}, which chance alone may do (p = {test.p_value:.2g}).{few} More cases would tell."

    def to_json(self) -> bytes:
        """The file."""
        return to_json(self.model_dump(mode="json"))


def parse_before_after(content: bytes, *, where: str) -> BeforeAfter:
    """The comparison in ``content``. Raises ``BundleError``."""
    values = parse_object(content, where=where)
    check_version(values.get("format_version"), where=where)
    return parse_model(BeforeAfter, values, where=where)


def read_comparisons(folder: Path) -> tuple[list[BeforeAfter], list[str]]:
    """The comparisons in the JSON files of ``folder``, the newest first, and the files that are none."""
    found, wrong = [], []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            found.append(_read(path))
        except (OSError, BundleError):
            wrong.append(path.name)
    return sorted(found, key=_made, reverse=True), wrong


def _read(path: Path) -> BeforeAfter:
    with path.open("rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BundleError("a file too large", expected="a comparison", remedy="remove it", where=path)
    return parse_before_after(content, where=str(path))


def _made(comparison: BeforeAfter) -> datetime:
    made = comparison.made
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def told(value: float | None, *, is_signed: bool = False) -> str:
    """A figure for people."""
    if value is None:
        return "–"
    return f"{value:+.3f}" if is_signed else f"{value:.3f}"


def span(low: float | None, high: float | None, *, is_signed: bool = False) -> str:
    """An interval for people; blank without one."""
    if low is None or high is None:
        return ""
    return f"{told(low, is_signed=is_signed)} to {told(high, is_signed=is_signed)}"


def facts_of(comparison: BeforeAfter) -> Sequence[tuple[str, str]]:
    """What a page says about models and decisions, line by line."""
    facts, before, after = comparison.decided, comparison.before, comparison.after
    composed = (
        f"{facts.n_composed_from} single chromosomes" if facts.n_composed_from else "nothing: too few singles"
    )
    return (
        ("before", f"{before.name} {before.version}, {before.sha256[:12]}"),
        ("after", f"{after.name} {after.version}, {after.sha256[:12]}"),
        (
            "learnt from",
            f"{facts.n_learnt} decided objects and {facts.n_learnt_rejected} rejected ones of "
            f"{facts.n_learnt_cases} cases",
        ),
        ("composed from", composed),
        (
            "held out",
            f"{facts.n_held_out} decided objects and {facts.n_held_out_rejected} rejected ones of "
            f"{facts.n_held_out_cases} other cases",
        ),
        ("reviewers", str(facts.n_reviewers or "not said")),
        ("steps of learning", str(comparison.steps)),
        ("made", comparison.made.isoformat(timespec="minutes")),
    )
