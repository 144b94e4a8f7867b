"""`Watchdog`: one question a tick, in virtual time."""

import queue
import threading

from dewar.server.threads.leadership import Leadership
from dewar.server.threads.scores import LatencyScore
from dewar.server.threads.watchdog import Watchdog


class FakeLatency(LatencyScore):
    """A score that notes what it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.quick_runs: list[int] = []

    def note_quick(self, requests: int = 1) -> None:
        """Note quick runs."""
        self.quick_runs.append(requests)


class FakeLeadership(Leadership):
    """A leadership in a state of the test's choice."""

    def __init__(self) -> None:
        super().__init__(None, None, FakeLatency())  # type: ignore[arg-type]  # not taken here
        self.running = False
        self.is_free = True
        self.taken_over: queue.Queue[int] = queue.Queue()
        self.watchdog: Watchdog | None = None
        self.saw_it_asleep = threading.Event()

    def is_running(self) -> bool:
        """Return whether the leader is inside a run."""
        if self.watchdog is not None and self.watchdog.is_asleep:
            self.saw_it_asleep.set()
        return self.running

    def take_over(self) -> None:
        """Take the leadership."""
        self.taken_over.put(self.run_count)
        self.running = False
        self.is_on_loop = self.is_on_loop and not self.is_free


class Ticks:
    """Stands for time.sleep: each tick comes when the test says so, and is waited for."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)
        self._has_run_out = False

    def __call__(self, seconds: float) -> None:
        self._arrived.release()
        if not self._has_run_out:
            self._go.acquire()

    def tick(self, count: int = 1) -> None:
        """Let `count` ticks go by; return when the watchdog waits for the next one."""
        for _ in range(count):
            self._arrived.acquire()
            self._go.release()
        self._arrived.acquire()
        self._arrived.release()

    def run_out(self) -> None:
        """Let the thread go on for ever."""
        self._has_run_out = True
        self._go.release()


def test_a_leader_that_is_in_the_same_run_for_a_whole_tick_is_replaced() -> None:
    """And the runs of one that goes on count as quick."""
    leadership, ticks = FakeLeadership(), Ticks()
    watchdog = Watchdog(leadership, ticks)
    watchdog.start()
    leadership.run_count, leadership.running = 5, True
    ticks.tick()
    assert leadership.taken_over.empty()
    assert leadership.latency.quick_runs == [5]  # type: ignore[attr-defined]
    ticks.tick()
    assert leadership.taken_over.get(timeout=5) == 5
    ticks.run_out()
    watchdog.stop()


def test_an_idle_pool_lets_it_sleep_until_the_leader_wakes_it() -> None:
    """It costs nothing while nothing happens."""
    leadership, ticks = FakeLeadership(), Ticks()
    watchdog = leadership.watchdog = Watchdog(leadership, ticks)
    watchdog.start()
    for _ in range(101):
        ticks._arrived.acquire()
        ticks._go.release()
    # It looks at the leadership once more after it has said that it sleeps.
    assert leadership.saw_it_asleep.wait(5)
    assert repr(watchdog) == "<Watchdog asleep>"
    leadership.run_count, leadership.running = 1, True
    watchdog.wake()
    ticks._arrived.acquire()
    assert not watchdog.is_asleep
    ticks.run_out()
    watchdog.stop()


def test_a_loop_that_leads_and_does_not_look_is_replaced_after_a_while() -> None:
    """Later than a thread, because it does other work as well; each look restarts the time."""
    leadership, ticks = FakeLeadership(), Ticks()
    watchdog = Watchdog(leadership, ticks)
    watchdog.start()
    leadership.is_on_loop = True
    ticks.tick(15)
    leadership.run_count += 1
    ticks.tick(19)
    assert leadership.taken_over.empty()
    ticks.tick(2)
    assert leadership.taken_over.get(timeout=5) == 1
    ticks.run_out()
    watchdog.stop()


def test_a_loop_that_leads_is_asked_for_the_leadership_until_it_gives_it() -> None:
    """It may hold the token then, or no thread may be free; the watchdog does not sleep."""
    leadership, ticks = FakeLeadership(), Ticks()
    watchdog = Watchdog(leadership, ticks)
    watchdog.start()
    leadership.is_on_loop, leadership.is_free = True, False
    ticks.tick(150)
    assert not watchdog.is_asleep
    assert leadership.taken_over.qsize() > 100
    leadership.is_free = True
    ticks.tick()
    assert not leadership.is_on_loop
    ticks.run_out()
    watchdog.stop()


def test_only_one_that_sleeps_is_woken() -> None:
    """Any thread may call it at any time."""
    watchdog = Watchdog(FakeLeadership(), Ticks())
    watchdog.wake_if_asleep()
    assert not watchdog._lock.acquire(blocking=False), "it has not slept"
    watchdog.is_asleep = True
    watchdog.wake_if_asleep()
    assert not watchdog.is_asleep
    assert watchdog._lock.acquire(blocking=False)
