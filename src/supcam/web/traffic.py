"""How often somebody may ask: a bucket for each client that fills up with time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_CLIENTS = 10_000


class Buckets:
    """Each client may ask ``burst`` times at once and ``per_s`` times a second in the long run.

    The clients that asked last are remembered, so that memory stays bounded.
    """

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, client: str, *, cost: float = 1.0) -> float:
        """0 when ``client`` may go on, which costs; else the seconds after which it may. Cost 0 only asks."""
        with self._lock:
            now = self._clock()
            level, at = self._levels.pop(client, (self._burst, now))
            level = min(self._burst, level + (now - at) * self._per_s)
            is_allowed = level >= 1
            self._levels[client] = (level - cost if is_allowed else level, now)
            while len(self._levels) > _MOST_CLIENTS:
                self._levels.popitem(last=False)
            return 0.0 if is_allowed else (1 - level) / self._per_s
