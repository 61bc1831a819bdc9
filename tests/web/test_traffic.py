from __future__ import annotations

import pytest

from supcam.web.traffic import Buckets


def test_a_bucket_empties_at_once_and_fills_up_with_time() -> None:
    now = [0.0]
    buckets = Buckets(per_s=2, burst=3, clock=lambda: now[0])
    assert [buckets.wait_s("a") for _ in range(3)] == [0, 0, 0]
    assert buckets.wait_s("a") == pytest.approx(0.5)
    assert buckets.wait_s("b") == 0
    now[0] = 0.6
    assert buckets.wait_s("a") == 0
    assert buckets.wait_s("a") > 0


def test_asking_costs_nothing() -> None:
    buckets = Buckets(per_s=1, burst=1, clock=lambda: 0.0)
    assert [buckets.wait_s("a", cost=0.0) for _ in range(5)] == [0] * 5
    assert buckets.wait_s("a") == 0
    assert buckets.wait_s("a", cost=0.0) == 1


def test_only_so_many_clients_are_remembered() -> None:
    buckets = Buckets(per_s=1, burst=1, clock=lambda: 0.0)
    for n in range(10_050):
        buckets.wait_s(str(n))
    assert len(buckets._levels) == 10_000
    assert buckets.wait_s("0") == 0
