"""The plan of a table: which recipes, how often, scored on what, within which budget of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from supcam.core.config import StageConfig, parse_config, read_toml
from supcam.core.types import ConfigError

PLAN = "plan.toml"
RESULTS = "results"


class Rates(StageConfig):
    """Pictures a second on one core, from which time is estimated until runs of the plan tell it."""

    pretrain: float = Field(60.0, gt=0, description="Pictures of step 1, each seen in two views.")
    train: float = Field(80.0, gt=0, description="Pictures of step 2.")


class Row(StageConfig):
    """One line of the table: a recipe, run once for every seed, or once for every fold left out of it."""

    recipe: str = Field(description="TOML file beside the plan.")
    name: str = Field(description="What the table calls it.")
    seeds: tuple[int, ...] = Field((), description="Seeds of this row, in place of the plan's.")
    folds: tuple[str, ...] = Field(
        (), description="Parts left out of training in turn, each scored by the run that did not see it."
    )
    against: str | None = Field(
        None, description="Row with which this one is compared, in place of the plan's reference."
    )

    @property
    def key(self) -> str:
        """The name of its recipe's file, without the ending."""
        return Path(self.recipe).stem


class Close(StageConfig):
    """Which rows deserve further seeds: those near the reference, or above it, by macro recall."""

    seeds: tuple[int, ...] = Field(min_length=1, description="Further seeds of such rows.")
    within: float = Field(
        0.02, ge=0, le=1, description="A row this far below the reference, or less, deserves them."
    )
    scored: str | None = Field(None, description="The scored set that decides; None: the mean of all sets.")


class Plan(StageConfig):
    """A table: its rows, and what is common to them."""

    title: str = Field(description="Heading of the table.")
    note: str = Field("", description="Said below the heading.")
    budget_hours: float = Field(gt=0, description="Machine hours that all its runs may take together.")
    reference: str = Field(description="Row with which the others are compared, by its recipe's name.")
    seeds: tuple[int, ...] = Field((1,), min_length=1, description="Each row is run once for each.")
    close: Close | None = Field(
        None,
        description="Further seeds for rows near the reference; None: every row has its seeds and no more.",
    )
    minutes_a_run: float | None = Field(
        None, gt=0, description="A run that would take longer at the rates is refused; None: no limit."
    )
    rates: Rates = Field(Rates(), description="For the first estimate of time.")
    scored: dict[str, tuple[str, ...]] = Field(
        min_length=1, description="Named sets of parts (source:role) that runs are scored on."
    )
    rows: tuple[Row, ...] = Field(min_length=1, description="In the order of the table.")

    @model_validator(mode="after")
    def _rows_differ(self) -> Plan:
        keys = [row.key for row in self.rows]
        if _has_twice(keys) or _has_twice([row.name for row in self.rows]):
            raise ValueError("two rows with one recipe or one name")
        unknown = {self.reference, *(row.against or self.reference for row in self.rows)} - {*keys}
        if unknown:
            raise ValueError(f"reference {', '.join(sorted(unknown))} that is none of the rows")
        return self

    @model_validator(mode="after")
    def _runs_differ(self) -> Plan:
        lists = [self.seeds, *(row.seeds for row in self.rows), *(row.folds for row in self.rows)]
        if any(_has_twice(one) for one in lists):
            raise ValueError("a seed or a fold twice in one list")
        return self

    @model_validator(mode="after")
    def _further_seeds_are_further(self) -> Plan:
        if self.close is None:
            return self
        if self.close.scored is not None and self.close.scored not in self.scored:
            raise ValueError(f"close.scored {self.close.scored!r} that is none of the scored sets")
        for row in self.rows:
            if {*self.close.seeds} & {*(row.seeds or self.seeds)} or _has_twice(self.close.seeds):
                raise ValueError(f"further seeds that {row.key!r} has already, or one of them twice")
        return self

    @model_validator(mode="after")
    def _folds_are_scored(self) -> Plan:
        """Else a part would be learnt from and scored, or never be scored."""
        for row in self.rows:
            held = [{*parts} for parts in self.scored.values() if {*parts} & {*row.folds}]
            if row.folds and (not held or any(parts != {*row.folds} for parts in held)):
                raise ValueError(f"folds of {row.key!r} that are not the whole of a scored set")
        return self

    def reference_of(self, row: Row) -> Row:
        """The row with which ``row`` is compared; it may be itself."""
        key = row.against or self.reference
        return next(one for one in self.rows if one.key == key)


def _has_twice(values: Sequence[object]) -> bool:
    return len({*values}) < len(values)


@dataclass(frozen=True, slots=True)
class Run:
    """One network to be trained and scored."""

    row: Row
    seed: int
    fold: str | None = None

    @property
    def name(self) -> str:
        """The name of its result, without the ending."""
        fold = "" if self.fold is None else f"_{self.fold.replace(':', '_')}"
        return f"{self.row.key}_seed{self.seed}{fold}"

    def scored_parts(self, plan: Plan) -> dict[str, tuple[str, ...]]:
        """What it is scored on: of a set that holds its fold, that fold alone."""
        return {
            name: (self.fold,) if self.fold is not None and self.fold in parts else parts
            for name, parts in plan.scored.items()
        }


def read_plan(folder: Path) -> Plan:
    """The plan in ``folder``. Raises ``ConfigError`` for an unknown key or a value that cannot be."""
    path = folder / PLAN
    return parse_config(Plan, read_toml(path), where=path)


def runs_of(plan: Plan, *, only: Sequence[str] = ()) -> tuple[Run, ...]:
    """The runs that every row has, seed after seed in the order of the rows; with ``only``, of these rows.

    A plan that is stopped early has then scored all rows equally often. Raises ``ConfigError`` for a name
    that is no row.
    """
    unknown = sorted({*only} - {row.key for row in plan.rows})
    if unknown:
        raise ConfigError(
            f"rows {', '.join(unknown)}",
            expected=f"rows among {', '.join(row.key for row in plan.rows)}",
            remedy="name rows by their recipe's file, without the ending",
        )
    rows = [row for row in plan.rows if not only or row.key in only]
    n_seeds = max((len(row.seeds or plan.seeds) for row in rows), default=0)
    return tuple(
        run
        for place in range(n_seeds)
        for row in rows
        for run in _runs_of(row, (row.seeds or plan.seeds)[place : place + 1])
    )


def further_runs_of(row: Row, *, plan: Plan) -> tuple[Run, ...]:
    """The runs that ``row`` has beside those of ``runs_of``, once it turns out near the reference."""
    return tuple(_runs_of(row, () if plan.close is None else plan.close.seeds))


def _runs_of(row: Row, seeds: Sequence[int]) -> Iterator[Run]:
    for seed in seeds:
        for fold in row.folds or (None,):
            yield Run(row=row, seed=seed, fold=fold)
