"""Do workers that wait for one place keep out of each other's way?"""

from app.worker.backoff import Backoff


def most(spread: Backoff) -> float:
    return max(spread.draw() for _ in range(1_000))


def test_who_meets_nobody_asks_at_once() -> None:
    spread = Backoff()
    spread.got_a_place()

    assert most(spread) == 0


def test_who_comes_late_again_and_again_asks_later_up_to_half_a_second() -> None:
    spread, lasted = Backoff(), []
    for _ in range(10):
        spread.was_late()
        lasted.append(most(spread))

    assert 0.015 < lasted[0] <= 0.02
    assert lasted[0] < lasted[1] < lasted[2] < lasted[3]
    assert 0.45 < lasted[-1] <= 0.5


def test_who_gets_its_places_soon_asks_early_again() -> None:
    spread = Backoff()
    for _ in range(10):
        spread.was_late()
    for _ in range(4):
        spread.got_a_place()

    assert most(spread) < 0.002
