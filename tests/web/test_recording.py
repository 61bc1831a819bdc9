from __future__ import annotations

import numpy as np
from tests.drawn_spreads import drawn

from supcam.core.rle import decode_rle
from supcam.core.types import Decision
from supcam.pack.bundle import Model
from supcam.spread.analyze import analyze
from supcam.web.recording import doubt_of, identity, read_seen, record_of
from supcam.web.vault import Vault


def test_an_analysis_is_recorded_whole(model: Model, vault: Vault) -> None:
    analysis = analyze(drawn(0).grey, model=model)
    record = record_of(analysis, image_id="a" * 32, model=model, vault=vault)
    assert len(record.objects) == len(record.predictions) == len(analysis.objects)
    assert len({row.id for row in record.objects}) == len(record.objects)
    for item, row, said in zip(analysis.objects, record.objects, record.predictions, strict=True):
        mask = decode_rle({"size": list(analysis.size), "counts": row.rle})
        np.testing.assert_array_equal(mask[item.box.slices], item.mask)
        assert (said.type, said.n_chromosomes) == (item.type, item.n_chromosomes)
        assert said.object_id == row.id
    seen = read_seen(vault.get(record.analysis.seen_sha256))
    for item, said in zip(analysis.objects, record.predictions, strict=True):
        if item.seen:
            assert said.seen_index is not None
            np.testing.assert_allclose(seen.embeddings[said.seen_index], item.seen.embedding, rtol=2e-3)
            assert seen.squares[said.seen_index].tolist() == [
                item.seen.top_px, item.seen.left_px, item.seen.side_px,
            ]  # fmt: skip


def test_the_same_analysis_is_the_same_record(model: Model, vault: Vault) -> None:
    analysis = analyze(drawn(0).grey, model=model)
    one, other = (record_of(analysis, image_id="a" * 32, model=model, vault=vault) for _ in range(2))
    assert one.analysis.id == other.analysis.id
    assert one.analysis.seen_sha256 == other.analysis.seen_sha256
    assert [row.id for row in one.objects] == [row.id for row in other.objects]


def test_what_needs_a_look_is_doubted_more(model: Model) -> None:
    objects = analyze(drawn(0).grey, model=model).objects
    doubts = {decision: [doubt_of(i) for i in objects if i.decision is decision] for decision in Decision}
    assert all(0 <= each <= 1 for values in doubts.values() for each in values)
    if doubts[Decision.REVIEW] and doubts[Decision.ACCEPT]:
        assert min(doubts[Decision.REVIEW]) >= max(doubts[Decision.ACCEPT])


def test_ids_tell_their_parts_apart() -> None:
    assert identity("a", "b") != identity("ab")
    assert len(identity("a")) == 32
