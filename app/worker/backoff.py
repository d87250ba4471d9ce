"""Randomised back-off for workers that wait for the same rate-limit slot."""

import random

# Seconds. At Gameball's limit of 30 calls per second a slot becomes free every 33 ms.
_FIRST, _MOST = 0.02, 0.5
_LESS_AFTER_A_PLACE = 4


class Backoff:
    """A random delay that keeps workers from asking for one slot at the same instant.

    The longest delay doubles when another worker gets the slot first, and shrinks to a quarter
    when this worker gets one. A worker that runs alone has almost no delay.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def got_a_place(self) -> None:
        self._seconds /= _LESS_AFTER_A_PLACE

    def was_late(self) -> None:
        self._seconds = min(max(_FIRST, 2 * self._seconds), _MOST)

    def draw(self) -> float:
        """Return the delay before the next request, in seconds."""
        return random.uniform(0, self._seconds)
