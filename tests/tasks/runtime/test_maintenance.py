"""What is done again and again."""

import pytest

from dewar.tasks.runtime.maintenance import Timers


def test_each_is_called_at_its_own_pace() -> None:
    """What is due is called once, and the time to the next is returned."""
    calls: list[str] = []
    rounds = Timers()
    rounds.add(10.0, lambda: calls.append("slow"))
    rounds.add(3.0, lambda: calls.append("quick"))
    assert rounds.run(0.0) == 3.0
    assert rounds.run(2.0) == 1.0
    assert rounds.run(3.0) == 3.0
    assert rounds.run(50.0) == 3.0
    assert calls == ["slow", "quick", "quick", "slow", "quick"]


def test_one_that_was_hurried_is_due_at_once() -> None:
    """The others keep their time."""
    calls: list[int] = []

    def look() -> None:
        calls.append(1)

    rounds = Timers()
    rounds.add(10.0, look)
    rounds.add(5.0, lambda: calls.append(2))
    rounds.run(0.0)
    rounds.make_due(look)
    assert rounds.run(1.0) == 4.0
    assert calls == [1, 2, 1]


def test_one_that_fails_comes_again_at_its_time() -> None:
    """Its error is the caller's."""
    rounds = Timers()
    rounds.add(1.0, lambda: 1 / 0)
    for now in (0.0, 1.0):
        with pytest.raises(ZeroDivisionError):
            rounds.run(now)
    assert rounds.run(1.5) == 0.5
