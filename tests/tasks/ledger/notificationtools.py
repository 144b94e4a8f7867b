"""Listeners that keep what they have heard."""

import threading
from collections.abc import Callable

from dewar.tasks.ledger.notifications import Notice, Notifications, Topic
from polling import LIMIT, eventually


class Ear:
    """Keeps the notices that it is told, and holds or fails on request."""

    def __init__(self) -> None:
        self.heard: list[Notice] = []
        self.told = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.holding = threading.Event()
        self.failing = False

    def __call__(self, notice: Notice) -> None:
        with self.told:
            self.heard.append(notice)
            self.told.notify_all()
        self.holding.set()
        assert self.gate.wait(LIMIT)
        if self.failing:
            raise ValueError("of this ear")

    def wait_for(self, condition: Callable[[Notice], object]) -> Notice:
        """Return the first notice that meets a condition, and forget those up to it."""
        with self.told:
            assert self.told.wait_for(lambda: any(map(condition, self.heard)), LIMIT), self.heard
            while True:
                notice = self.heard.pop(0)
                if condition(notice):
                    return notice

    def ids(self) -> set[str]:
        """Return the jobs that were told as ended."""
        with self.told:
            return {id for notice in self.heard for id in notice.ended}


def listen(notifications: Notifications, name: str, *topics: Topic) -> Ear:
    """Return a listener that hears by now, and has heard nothing."""
    ear = Ear()
    notifications.listen(name, topics, ear)
    eventually(lambda: notifications.is_listening)
    ear.heard.clear()
    return ear


def wants_jobs(notice: Notice) -> bool:
    return notice.jobs or notice.is_partial


def of(id: str) -> Callable[[Notice], bool]:
    """Return a condition: the job with this id is told as ended, or anything may have."""
    return lambda notice: id in notice.ended or notice.is_partial
