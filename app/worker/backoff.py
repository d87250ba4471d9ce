"""How much later than the others does a worker ask for the same place in the pace?"""

import random

# Seconds. A place becomes free every 33 ms at Gameball's limit of 30 a second.
_FIRST, _MOST = 0.02, 0.5
_LESS_AFTER_A_PLACE = 4


class Backoff:
    """Workers that wait for one place do not all ask at the same instant, all but one in vain.

    Each asks later by chance, within a time that doubles whenever another was faster. Who gets
    its places, and so above all who is alone, asks as soon as they are free.
    """

    def __init__(self) -> None:
        self._seconds = 0.0

    def got_a_place(self) -> None:
        self._seconds /= _LESS_AFTER_A_PLACE

    def was_late(self) -> None:
        self._seconds = min(max(_FIRST, 2 * self._seconds), _MOST)

    def draw(self) -> float:
        """How much later to ask this time, in seconds."""
        return random.uniform(0, self._seconds)
