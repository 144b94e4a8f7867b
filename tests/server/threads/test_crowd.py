"""`Crowd`: which clients go first if many are ready at once."""

import select
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dewar.server.threads.crowd import CROWDED, Crowd
from dewar.server.threads.poller import BATCH, READ, WRITE, EpollPoller, Poller, SelectorPoller
from dewar.support.waker import Waker

COUNT = 250
OTHERS = 4  # between two looks at the frequent clients
MOST = 1024
SEARCH = 0.05


class Clients:
    """Clients with real sockets, and a crowd of those that have sent something."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.pairs = {
            pair[0].fileno(): pair for pair in (socket.socketpair() for _ in range(COUNT))
        }
        self.start([0] * COUNT)
        for fd in self.pairs:
            poller.register(fd, READ)

    def start(self, served: list[int]) -> None:
        """Begin anew, with clients that have sent so many requests."""
        self.now = 1.0
        self.open: dict[int, Any] = {
            fd: SimpleNamespace(served=count, interest=READ)
            for fd, count in zip(self.pairs, served, strict=False)
        }
        table: Any = SimpleNamespace(open=self.open, ownership_lock=threading.Lock())
        self.crowd = Crowd(table)

    def ask(self, fd: int) -> None:
        """Send something to the server."""
        self.pairs[fd][1].send(b"x")

    def ask_all(self) -> None:
        """Have all clients send something."""
        for fd in self.open:
            self.ask(fd)

    def serve(self, fd: int) -> None:
        """Receive what a client has sent."""
        self.pairs[fd][0].recv(100)
        self.open[fd].served += 1

    def poll(self, passed: float = 0.001) -> Any:
        """Return the turns after a poll."""
        self.now += passed
        return self.crowd.turns(self.poller.poll(0, self.crowd.limit), self.now)

    def quiet(self) -> None:
        """Receive all that is left."""
        for ours, _ in self.pairs.values():
            ours.setblocking(False)
            try:
                while ours.recv(100):
                    pass
            except BlockingIOError:
                continue


@pytest.fixture(scope="module")
def every() -> Iterator[dict[str, Clients]]:
    waker = Waker()
    made = {"portable": Clients(SelectorPoller(waker.wake))}
    if hasattr(select, "epoll"):
        made["epoll"] = Clients(EpollPoller())
    yield made
    waker.close()
    for clients in made.values():
        clients.poller.close()
        for pair in clients.pairs.values():
            for one in pair:
                one.close()


@pytest.fixture
def clients(every: dict[str, Clients]) -> Clients:
    made = every.get("epoll", every["portable"])
    made.quiet()
    return made


def with_frequent(clients: Clients, frequent: int = 1) -> list[int]:
    """Have all ask, and some of them be frequent; return their descriptors."""
    clients.start([800] * frequent + [2] * (COUNT - frequent))
    clients.ask_all()
    clients.poll()
    return list(clients.open)[:frequent]


def test_one_that_asks_often_goes_before_many_that_ask_seldom(clients: Clients) -> None:
    """Also if it is the last of them; it asks for one thing after the other, they all at once."""
    clients.start([2] * (COUNT - 1) + [800])
    clients.ask_all()
    last = list(clients.open)[-1]
    assert next(iter(clients.poll())) == (last, READ)


def test_one_that_was_served_goes_before_many_new_ones(clients: Clients) -> None:
    """A flood of new clients does not delay it, though it is not frequent."""
    clients.start([0] * (COUNT - 1) + [1])
    clients.ask_all()
    assert next(iter(clients.poll())) == (list(clients.open)[-1], READ)


def test_a_frequent_client_that_asks_meanwhile_has_its_turn_soon(clients: Clients) -> None:
    """It does not wait for the next poll."""
    (frequent,) = with_frequent(clients)
    order = []
    for fd, _ in clients.poll():
        order.append(fd)
        clients.serve(fd)
        if len(order) in (10, 20, 31):
            clients.ask(frequent)
    turns = [number for number, fd in enumerate(order) if fd == frequent]
    assert turns[0] == 0
    assert len(turns) == 4
    assert all(turn - asked <= OTHERS for turn, asked in zip(turns[1:], (9, 19, 30), strict=True))


def test_frequent_clients_leave_most_turns_to_the_others(clients: Clients) -> None:
    """Even if they always have something to ask."""
    frequent = set(with_frequent(clients, 20))
    order = [fd for fd, _ in clients.poll()]
    share = sum(fd in frequent for fd in order) / len(order)
    assert 0.25 < share <= 0.34
    others = [fd for fd in order if fd not in frequent]
    assert len(others) == len(set(others)) >= CROWDED / 2


def test_nobody_is_frequent_among_equals(clients: Clients) -> None:
    """However many requests they have sent, and if some are a bit ahead."""
    clients.start([1000, 1010] * (COUNT // 2))
    clients.ask_all()
    clients.poll()
    assert "0 frequent" in repr(clients.crowd)
    clients.start([3] + [0] * (COUNT - 1))  # the first of a crowd that has just come
    clients.poll()
    assert "0 frequent" in repr(clients.crowd)


@pytest.mark.parametrize("interest", [0, WRITE])
def test_a_client_whose_request_runs_is_left_alone(clients: Clients, interest: int) -> None:
    """Another thread has its connection, or it waits to send; a stale event is not handled."""
    (frequent,) = with_frequent(clients)
    clients.open[frequent].interest = interest
    assert frequent not in {fd for fd, _ in clients.poll()}
    clients.open[frequent].interest = READ
    assert frequent in {fd for fd, _ in clients.poll()}


def test_an_event_to_send_is_of_the_poll(clients: Clients) -> None:
    """There are looks only at what frequent clients have sent."""
    (frequent,) = with_frequent(clients)
    clients.open[frequent].interest = WRITE
    events = [*((fd, READ) for fd in clients.open if fd != frequent), (frequent, WRITE)]
    assert list(clients.crowd.turns(events[-CROWDED:], 2.0))[-1] == (frequent, WRITE)


def test_one_that_has_left_is_forgotten(clients: Clients) -> None:
    """Its descriptor may be another client's, which asks as seldom as the others."""
    (frequent,) = with_frequent(clients)
    gone = clients.open.pop(frequent)
    list(clients.poll())
    assert "0 frequent" in repr(clients.crowd)
    clients.open[frequent] = gone


def test_those_that_are_served_keep_their_places(clients: Clients) -> None:
    """The places are few. A client that does not ask any more loses its place to a new one."""
    clients.start([800] * 32 + [0] * (COUNT - 32))
    first = list(clients.open)[:32]
    clients.ask_all()
    clients.poll()
    for fd in first[:31]:
        clients.serve(fd)
    for fd, _ in clients.poll():
        if fd == first[31]:
            clients.serve(fd)  # the last that is served
            break
    newcomer = list(clients.open)[40]
    clients.open[newcomer].served = 100_000
    clients.poll(SEARCH)  # this decides that the next poll is a search
    clients.poll()
    assert not clients.crowd.is_frequent((first[0], READ))
    assert clients.crowd.is_frequent((first[31], READ))
    assert clients.crowd.is_frequent((newcomer, READ))


def test_listeners_come_last(clients: Clients) -> None:
    """What follows a new client could be an event of one that had its descriptor."""
    clients.start([0] * COUNT)
    events = [(1, READ), *((fd, READ) for fd in list(clients.open)[: CROWDED - 2]), (2, READ)]
    assert list(clients.crowd.turns(events, 2.0))[-2:] == [(1, READ), (2, READ)]


def test_a_poll_reports_what_is_handled_in_ten_milliseconds(clients: Clients) -> None:
    """And at times all that is ready, to find who is frequent."""
    clients.start([0] * COUNT)
    crowd, events = clients.crowd, [(fd, READ) for fd in clients.open]
    assert crowd.limit == BATCH
    limits = []
    now = 2.0
    for passed in [0.001] * 8 + [0.02] * 12:
        crowd.turns(events, now)
        limits.append(crowd.limit)
        now += passed
    assert limits[:8] == [64, 128, 256, 512, 1024, 1024, 1024, 1024]
    assert limits.count(BATCH) == 3  # each fifty milliseconds
    assert limits[-2] == CROWDED
    assert all(CROWDED <= limit <= MOST for limit in limits if limit != BATCH)


def test_it_works_without_select_poll(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: then frequent clients go first, and have no looks of their own."""
    monkeypatch.delattr(select, "poll")
    (frequent,) = with_frequent(clients)
    assert next(iter(clients.poll(SEARCH))) != (frequent, READ)
    assert next(iter(clients.poll())) == (frequent, READ)


@pytest.mark.parametrize("kind", ["epoll", "portable"])
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    served=st.lists(st.integers(0, 5) | st.integers(100, 5000), min_size=CROWDED, max_size=COUNT),
    passed=st.lists(st.floats(0.0001, 0.06), min_size=30, max_size=30),
)
def test_each_ready_client_has_its_turn_within_a_few_rounds(
    every: dict[str, Clients], kind: str, served: list[int], passed: list[float]
) -> None:
    """Whatever the others do: here all of them ask again before they are answered."""
    if kind not in every:
        pytest.skip("this system has no epoll")
    clients = every[kind]
    clients.quiet()
    clients.start(served)
    clients.ask_all()
    had_turn: set[int] = set()
    for seconds in passed:
        order = [fd for fd, _ in clients.poll(seconds)]
        seldom = [fd for fd in order if not clients.crowd.is_frequent((fd, READ))]
        assert len(seldom) == len(set(seldom))
        assert set(order) <= set(clients.open)
        had_turn |= set(order)
    assert had_turn == set(clients.open)


def test_each_has_its_turn_while_all_rounds_are_slow(clients: Clients) -> None:
    """Though each of them lasts until the next search is due, and all are ready all the time."""
    clients.start([0] * COUNT)
    clients.ask_all()
    had_turn = {fd for _ in range(20) for fd, _ in clients.poll(SEARCH + 0.01)}
    assert had_turn == set(clients.open)
