"""What nobody waits for, and when it is due."""

import pytest

from dewar.tasks.ledger.records import ProgressUpdate
from dewar.tasks.runtime import lazy_operations
from dewar.tasks.runtime.lazy_operations import LazyOperations


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lazy_operations, "time", clock)
    return clock


def lazy(id: str) -> ProgressUpdate:
    return ProgressUpdate(id=id, fraction=0.5, message="")


def test_an_operation_waits_for_others(clock: Clock) -> None:
    """For as long as they follow closely, and not for ever."""
    operations = LazyOperations(100)
    operations.put(lazy("a"), is_urgent=False)
    assert operations.due(0.0) == pytest.approx(100.003)
    clock.now = 100.002
    operations.put(lazy("b"), is_urgent=False)
    assert operations.due(0.0) == pytest.approx(100.005)
    assert operations.due(100.004) == pytest.approx(100.007)
    clock.now = 100.019
    operations.put(lazy("c"), is_urgent=False)
    assert operations.due(100.019) == pytest.approx(100.02)


def test_an_urgent_one_takes_all_with_it(clock: Clock) -> None:
    """In their order; those that come after it wait again."""
    operations = LazyOperations(100)
    operations.put(lazy("a"), is_urgent=False)
    assert operations.put(lazy("b"), is_urgent=True)
    assert operations.due(clock.now) == 0.0
    assert [operation.id for operation, _ in operations.take(clock.now)] == ["a", "b"]
    operations.put(lazy("c"), is_urgent=False)
    assert operations.due(clock.now) > clock.now


def test_they_are_hurried_when_somebody_waits(clock: Clock) -> None:
    """Until they are taken."""
    operations = LazyOperations(100)
    operations.put(lazy("a"), is_urgent=False)
    operations.hurry()
    assert operations.due(clock.now) == 0.0
    operations.take(clock.now)
    operations.put(lazy("b"), is_urgent=False)
    assert operations.due(clock.now) > clock.now


def test_only_the_first_and_urgent_ones_wake_a_thread(clock: Clock) -> None:
    """The others are found when it is time for the first."""
    operations = LazyOperations(100)
    assert operations.put(lazy("a"), is_urgent=False)
    assert not operations.put(lazy("b"), is_urgent=False)
    assert operations.put(lazy("c"), is_urgent=True)


def test_a_full_batch_is_due(clock: Clock) -> None:
    """And no more is taken at once; the rest waits as if it came now."""
    operations = LazyOperations(3)
    for id in "abcd":
        operations.put(lazy(id), is_urgent=False)
    assert operations.due(clock.now) == 0.0
    clock.now = 200.0
    assert [operation.id for operation, _ in operations.take(clock.now)] == ["a", "b", "c"]
    assert operations.due(clock.now) == pytest.approx(200.003)


def test_what_is_put_back_comes_first(clock: Clock) -> None:
    """In its order."""
    operations = LazyOperations(100)
    for id in "ab":
        operations.put(lazy(id), is_urgent=False)
    taken = operations.take(clock.now)
    operations.put(lazy("c"), is_urgent=False)
    operations.put_back(reversed(taken))
    assert [operation.id for operation, _ in operations.take(clock.now)] == ["a", "b", "c"]
