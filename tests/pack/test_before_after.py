from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from supcam.core.types import BundleError
from supcam.pack.before_after import (
    BeforeAfter,
    Change,
    DecidedFacts,
    ModelId,
    PairedFacts,
    parse_before_after,
    read_comparisons,
)


def comparison(*, right: int = 9, wrong: int = 1, p: float = 0.01, name: str = "tiny") -> BeforeAfter:
    return BeforeAfter(
        made=datetime(2026, 1, right + 1, tzinfo=UTC),
        before=ModelId(name=name, version="1.0.0", sha256="a" * 64),
        after=ModelId(name=name, version="1.0.0+decisions", sha256="b" * 64),
        decided=DecidedFacts(
            n_learnt=30, n_learnt_rejected=2, n_learnt_cases=4, n_held_out=20, n_held_out_rejected=1,
            n_held_out_cases=3, sha256="c" * 64,
        ),
        figures=(Change(name="accuracy <b>", before=0.5, after=0.75, difference=0.25),),
        test=PairedFacts(
            n_became_right=right, n_became_wrong=wrong, n_differing_cases=3, p_value=p, least_p=0.01
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("right", "wrong", "p", "words"),
    [
        (9, 1, 0.01, "It helped."),
        (1, 9, 0.01, "It did harm."),
        (9, 1, 0.2, "It cannot be said"),
        (0, 0, 1.0, "answer alike"),
    ],
)
def test_the_verdict_is_said_in_plain_words(right: int, wrong: int, p: float, words: str) -> None:
    assert words in comparison(right=right, wrong=wrong, p=p).words


def test_what_is_written_is_read_the_newest_first(tmp_path: Path) -> None:
    for right in (1, 9):
        (tmp_path / f"{right}.json").write_bytes(comparison(right=right).to_json())
    (tmp_path / "x.json").write_text("{}")
    found, wrong = read_comparisons(tmp_path)
    assert [each.test.n_became_right for each in found] == [9, 1]
    assert wrong == ["x.json"]
    assert parse_before_after(comparison().to_json(), where="here") == comparison()
    with pytest.raises(BundleError):
        parse_before_after(b'{"format_version": "2.0"}', where="here")
    assert read_comparisons(tmp_path / "none") == ([], [])
