"""The events of a poll while many clients are ready at once.

They are handled in the order of the poller, which is that of their arrival. A poll costs as much as
it reports, so it reports what is handled in about ten milliseconds. A request then costs the same
beside a hundred ready clients and beside ten thousand.

Some clients are *frequent*: they have sent far more requests than the others that are ready. Such a
client waits for each response before it sends the next request, while thousands send one each. So
there is a look at frequent clients every few events. They get no more than a third of the turns.
"""

import select
from collections.abc import Iterator
from heapq import nlargest

from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.poller import BATCH, READ

Event = tuple[int, int]

# How many events make a crowd. Fewer are handled before any client has waited long.
CROWDED = 64
# How many events a poll reports at most in a crowd, and how many seconds they should take.
_MOST, _ROUND = 1024, 0.01
# Seconds between two polls that report all that is ready, to find the frequent clients.
_SEARCH = 0.05
# After how many events there is a look at the frequent clients, and how many of them have a turn.
_SLICE, _TURNS = 4, 2
# How many times the requests of the average client a frequent client has sent, and how many at
# least: the first of ten thousand that are all alike is not frequent.
_TIMES, _LEAST = 4, 16
# At most as many. A look costs a share of a microsecond for each.
_MAX_FREQUENT = 32


class Crowd:
    """Decides whose turn it is while many clients are ready. Only the leader uses it.

    Args:
        connections: The connections of the pool.

    Attributes:
        limit: How many events the next poll should report.
    """

    def __init__(self, connections: ConnectionTable) -> None:
        self._connections = connections
        # By descriptor, the least recently served first. References would keep closed ones alive.
        self._frequent: dict[int, None] = {}
        self._poll = select.poll() if hasattr(select, "poll") else None
        self._batch = CROWDED
        self._polled_at = self._searched_at = 0.0
        self.limit = BATCH

    def __repr__(self) -> str:
        return f"<Crowd, {self._batch} at a time, {len(self._frequent)} frequent>"

    def turns(self, events: list[Event], now: float) -> "CrowdTurns":
        """Return the events to handle now; the poller reports the rest again.

        Args:
            events: What a poll with `limit` has reported.
            now: The time of that poll, in seconds.
        """
        self._adapt(now)
        is_search = self.limit == BATCH
        if is_search:
            self._searched_at = now
            # Those that have sent more than others go first: most are not looked at otherwise.
            first = self._find_frequent(events)[: self._batch // 2]
            events = list(dict.fromkeys([*first, *events[: self._batch]]))[: self._batch]
        # Never twice in a row: the poller puts what it has reported last, so the order of a poll
        # that reports all is that of the poll before. Those that are always ready would be first.
        is_due = not is_search and now - self._searched_at >= _SEARCH
        self.limit = BATCH if is_due else self._batch
        opened = self._connections.open
        # Listeners come last. So no event is of a closed client whose descriptor a new one has.
        return CrowdTurns(self, sorted(events, key=lambda event: event[0] not in opened))

    def frequent_turns(self) -> Iterator[Event]:
        """Look at the frequent clients, and return the events of some that are ready."""
        ready = dict(self._poll.poll(0)) if self._poll is not None and self._frequent else {}
        left = _TURNS
        for fd in [fd for fd in self._frequent if fd in ready]:  # the least recently served first
            if not left:
                return
            connection = self._connections.open.get(fd)
            if connection is None:  # closed, or it waits for the event loop
                self._forget(fd)
                continue
            with self._connections.ownership_lock:  # a thread may be giving it back
                is_leaders = connection.interest == READ
            if is_leaders:
                left -= 1
                self._frequent[fd] = self._frequent.pop(fd)
                yield fd, ready[fd]

    def is_frequent(self, event: Event) -> bool:
        """Return whether `frequent_turns` has *event*. Nobody else may handle it, or it is stale.

        By then another thread may have the connection.
        """
        return event[0] in self._frequent and event[1] == READ

    def _adapt(self, now: float) -> None:
        """Adapt the number of events to how long the last ones took."""
        took, self._polled_at = now - self._polled_at, now
        scale = _ROUND / took if took > _ROUND / 2 else 2.0
        self._batch = max(CROWDED, min(_MOST, int(self._batch * scale)))

    def _find_frequent(self, events: list[Event]) -> list[Event]:
        """Return the events of clients that have sent more than the average, most first.

        The frequent ones among them are looked at from now on.
        """
        opened = self._connections.open
        served = {
            event: opened[event[0]].served
            for event in events
            if event[1] == READ and event[0] in opened
        }
        enough = _TIMES * sum(served.values()) / max(1, len(served))
        found = [event for event, count in served.items() if count > enough]
        most = nlargest(_MAX_FREQUENT, found, key=served.__getitem__)
        for event in most:
            if served[event] >= _LEAST:
                self._remember(event[0])
        return list(dict.fromkeys([*most, *found]))

    def _remember(self, fd: int) -> None:
        if self._poll is None or fd in self._frequent:
            return
        if len(self._frequent) >= _MAX_FREQUENT:
            self._forget(next(iter(self._frequent)))
        self._frequent[fd] = None
        self._poll.register(fd, select.POLLIN)

    def _forget(self, fd: int) -> None:
        if self._poll is not None:
            self._poll.unregister(fd)
            del self._frequent[fd]


class CrowdTurns:
    """The events to handle after a poll, and in between those of frequent clients."""

    __slots__ = ("_crowd", "_events")

    def __init__(self, crowd: Crowd, events: list[Event]) -> None:
        self._crowd = crowd
        self._events = events

    def __repr__(self) -> str:
        return f"<CrowdTurns of {len(self)} events>"

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        crowd = self._crowd
        for number, event in enumerate(self._events):
            if number % _SLICE == 0:
                yield from crowd.frequent_turns()
            if not crowd.is_frequent(event):
                yield event
