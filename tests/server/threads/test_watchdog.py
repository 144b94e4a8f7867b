"""`Watchdog`: one question a tick, in virtual time."""

import queue
import threading

from dewar.server.threads.watchdog import Watchdog


class FakePool:
    """A pool whose leader is where the test puts it."""

    def __init__(self) -> None:
        self.run_count = 0
        self.running = False
        self.on_loop = False
        self.is_free = True
        self.taken_over: queue.Queue[int] = queue.Queue()
        self.quick_runs: list[int] = []
        self.watchdog: Watchdog | None = None
        self.saw_it_asleep = threading.Event()

    def is_running(self) -> bool:
        """Tell whether the leader is inside a run."""
        if self.watchdog is not None and self.watchdog.is_asleep:
            self.saw_it_asleep.set()
        return self.running

    def leads_on_loop(self) -> bool:
        """Tell whether the event loop's thread leads."""
        return self.on_loop

    def take_over(self) -> None:
        """Take the leadership."""
        self.taken_over.put(self.run_count)
        self.running = False
        self.on_loop = self.on_loop and not self.is_free

    def note_quick(self, runs: int) -> None:
        """Note quick runs."""
        self.quick_runs.append(runs)


class Ticks:
    """Stands for time.sleep: each tick comes when the test says so, and is waited for."""

    def __init__(self) -> None:
        self._go = threading.Semaphore(0)
        self._arrived = threading.Semaphore(0)

    def __call__(self, seconds: float) -> None:
        self._arrived.release()
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
        self._go.release(1_000_000)


def test_a_leader_that_is_in_the_same_run_for_a_whole_tick_is_replaced() -> None:
    """And one that got on is credited with what it did."""
    pool, ticks = FakePool(), Ticks()
    watchdog = Watchdog(pool, ticks)
    watchdog.start()
    pool.run_count, pool.running = 5, True
    ticks.tick()
    assert pool.taken_over.empty()
    assert pool.quick_runs == [5]
    ticks.tick()
    assert pool.taken_over.get(timeout=5) == 5
    ticks.run_out()
    watchdog.stop()


def test_an_idle_pool_lets_it_sleep_until_the_leader_wakes_it() -> None:
    """It costs nothing while nothing happens."""
    pool, ticks = FakePool(), Ticks()
    watchdog = pool.watchdog = Watchdog(pool, ticks)
    watchdog.start()
    for _ in range(101):
        ticks._arrived.acquire()
        ticks._go.release()
    # It looks at the pool once more after it has said that it sleeps.
    assert pool.saw_it_asleep.wait(5)
    assert repr(watchdog) == "<Watchdog asleep>"
    pool.run_count, pool.running = 1, True
    watchdog.wake()
    ticks._arrived.acquire()
    assert not watchdog.is_asleep
    ticks.run_out()
    watchdog.stop()


def test_a_loop_that_leads_and_does_not_look_is_replaced_after_a_while() -> None:
    """Later than a thread, for it does other things as well; a look puts it off."""
    pool, ticks = FakePool(), Ticks()
    watchdog = Watchdog(pool, ticks)
    watchdog.start()
    pool.on_loop = True
    ticks.tick(15)
    pool.run_count += 1
    ticks.tick(19)
    assert pool.taken_over.empty()
    ticks.tick(2)
    assert pool.taken_over.get(timeout=5) == 1
    ticks.run_out()
    watchdog.stop()


def test_a_loop_that_leads_is_asked_for_the_leadership_until_it_gives_it() -> None:
    """It may hold the token at that moment, or no thread be free; and nobody sleeps over it."""
    pool, ticks = FakePool(), Ticks()
    watchdog = Watchdog(pool, ticks)
    watchdog.start()
    pool.on_loop, pool.is_free = True, False
    ticks.tick(150)
    assert not watchdog.is_asleep
    assert pool.taken_over.qsize() > 100
    pool.is_free = True
    ticks.tick()
    assert not pool.on_loop
    ticks.run_out()
    watchdog.stop()


def test_only_one_that_sleeps_is_woken() -> None:
    """To be called by anybody, at any time."""
    watchdog = Watchdog(FakePool(), Ticks())
    watchdog.wake_if_asleep()
    assert not watchdog._lock.acquire(blocking=False), "nobody has slept"
    watchdog.is_asleep = True
    watchdog.wake_if_asleep()
    assert not watchdog.is_asleep
    assert watchdog._lock.acquire(blocking=False)
