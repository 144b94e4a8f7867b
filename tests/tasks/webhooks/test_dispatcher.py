import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from callbacktools import PATIENCE, Receiver, answer
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.schema import deliveries
from dewar.tasks.webhooks.client import WebhookClient
from dewar.tasks.webhooks.concurrency import ConcurrencyLimit
from dewar.tasks.webhooks.dispatcher import WebhookDispatcher
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.records import DeliveryState
from dewar.tasks.webhooks.schedule import (
    Delivered,
    DeliveryResult,
    Disabled,
    GaveUp,
    Retry,
    Schedule,
)
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
START = 1_700_000_000.0
OK = DeliveryResult(status=204)
BAD = DeliveryResult(status=500, error="500: no")
LEASE = 2 * 15.0 + 60.0


class Clock:
    """Says what it is told to."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


class Watched(Outbox):
    """An outbox at which one can wait for what is recorded."""

    def __init__(self, database):
        super().__init__(database)
        self.steps = []
        self.looked = 0
        self._changed = threading.Condition()

    def record(self, delivery, step, answer, now):
        did = super().record(delivery, step, answer, now)
        with self._changed:
            self.steps.append((delivery.id, step))
            self._changed.notify_all()
        return did

    def next_due(self):
        found = super().next_due()
        with self._changed:
            self.looked += 1
            self._changed.notify_all()
        return found

    def wait(self, count):
        """Return what was recorded when it is so much."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.steps) >= count, PATIENCE), self.steps
            return list(self.steps)

    def look(self, sender):
        """Return when the sender has looked, from the beginning, and found nothing more to do."""
        for _ in range(2):  # the first may have begun before
            with self._changed:
                before = self.looked
            sender.wake()
            with self._changed:
                assert self._changed.wait_for(lambda before=before: self.looked > before, PATIENCE)


def settle(sender):
    """Return when nothing is on its way: what is recorded is also counted and logged."""
    with sender._changed:
        assert sender._changed.wait_for(lambda: not sender._limit.used, PATIENCE)


@pytest.fixture
def clock():
    """A clock that stands."""
    return Clock()


@pytest.fixture
def database(tmp_path):
    """A ledger's."""
    ledger = open_ledger(tmp_path / "jobs.sqlite")
    yield ledger.database
    ledger.close()


@pytest.fixture
def outbox(database):
    """An outbox to wait at."""
    return Watched(database)


@pytest.fixture
def add(database):
    """Put callbacks in, as the ledger does."""

    def add_some(*names, due=START, url="https://example.com/hook"):
        rows = [
            {"id": name, "job_id": f"job-{name}", "url": url, "body": "{}", "created": due}
            | {"due": due, "attempts": 0, "state": "pending"}
            for name in names
        ]
        with database.writing() as connection:
            connection.execute(deliveries.insert(), rows)

    return add_some


@pytest.fixture
def send(outbox, clock):
    """Make senders that are stopped in the end."""
    made = []

    def make(post, box=outbox, clock=clock, **settings):
        settings = {"schedule": Schedule(jitter=0.0), **settings}
        made.append(
            WebhookDispatcher(
                box, post, WebhookSettings(**settings), owner=f"o{len(made)}", clock=clock
            )
        )
        return made[-1]

    yield make
    for sender in made:
        assert sender.stop(PATIENCE)


class Posted:
    """Takes the place of a webhook client, and answers as it is told to, by host."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []
        self.gate = threading.Event()
        self.most = Counter()
        self._now = Counter()
        self._changed = threading.Condition()

    def __call__(self, url, id, body, now):
        host = url.split("/")[2].partition(".")[0]
        with self._changed:
            self.calls.append((id, now))
            for key in (host, "all"):
                self._now[key] += 1
                self.most[key] = max(self.most[key], self._now[key])
            self._changed.notify_all()
        answered = self.answers.get(host, OK)
        if answered is None:
            assert self.gate.wait(PATIENCE)
            answered = OK
        with self._changed:
            self._now.subtract([host, "all"])
        return answered

    def wait(self, count):
        """Return when so many calls have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, PATIENCE), self.calls


def test_what_is_due_is_sent(outbox, add, send):
    """Each due callback is sent once, and no other."""
    add("a", "b", "c")
    add("later", due=START + 1000)
    post = Posted()
    sender = send(post)
    assert sender.statistics().state == "new"
    sender.start()
    assert sorted(outbox.wait(3)) == [(name, Delivered()) for name in "abc"]
    outbox.look(sender)
    assert sorted(name for name, _ in post.calls) == ["a", "b", "c"]
    assert outbox.counts()[DeliveryState.DELIVERED] == 3
    settle(sender)
    found = sender.statistics()
    assert (found.state, found.delivered, found.sending) == ("running", 3, 0)


def test_a_refused_thread_delays_no_callback(outbox, add, send, monkeypatch):
    """The coordinator makes the attempts itself until the system has threads again."""
    add("a", "b", "c")
    start = threading.Thread.start

    def refusing(thread):
        if thread.name.startswith("dewar-webhook-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    sender = send(Posted())
    sender.start()
    assert sorted(outbox.wait(3)) == [(name, Delivered()) for name in "abc"]
    settle(sender)
    assert sender.statistics().state == "running"
    assert sender.stop(PATIENCE)


def test_the_whole_schedule(outbox, add, send, clock):
    """Ten attempts at the times of the specification, with one id, and then no more."""
    add("a")
    post = Posted(example=BAD)
    sender = send(post)
    sender.start()
    for count in range(1, 10):
        _, step = outbox.wait(count)[-1]
        clock.now = step.at - 0.5
        outbox.look(sender)
        assert len(post.calls) == count
        clock.now = step.at
        sender.wake()
    assert outbox.wait(10)[-1] == ("a", GaveUp())
    times = [now - START for _, now in post.calls]
    assert times == [0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105]
    assert {name for name, _ in post.calls} == {"a"}
    assert outbox.get("a").state is DeliveryState.FAILED
    clock.now += 1e9
    outbox.look(sender)
    assert len(post.calls) == 10


def test_each_step_is_counted(outbox, add, send):
    """For the inspector."""
    add("a", url="https://good.test/")
    add("b", url="https://bad.test/")
    add("c", url="https://gone.test/")
    sender = send(Posted(bad=BAD, gone=DeliveryResult(status=410)))
    sender.start()
    assert {type(step) for _, step in outbox.wait(3)} == {Delivered, Retry, Disabled}
    settle(sender)
    found = sender.statistics()
    assert (found.delivered, found.retried, found.disabled, found.gave_up) == (1, 1, 1, 0)


def test_it_wakes_when_something_is_due(outbox, add, send):
    """By itself, on a clock that goes."""
    import time

    add("a", due=time.time() + 0.3)
    sender = send(Posted(), clock=time.time)
    sender.start()
    assert outbox.wait(1) == [("a", Delivered())]


def test_a_nudge_is_never_lost(outbox, add, send):
    """A callback inserted before a wake-up is sent, whatever the coordinator is doing."""
    sender = send(Posted())
    sender.start()
    for number in range(50):
        add(f"m{number}")
        sender.wake()
    outbox.wait(50)


def test_a_host_that_hangs_has_only_its_slots(outbox, add, send):
    """Other hosts are served, however many callbacks wait for the slow one."""
    add(*(f"slow{number:03}" for number in range(230)), url="https://slow.test/")
    add(*(f"fast{number}" for number in range(20)), url="https://fast.test/", due=START + 1)
    post = Posted(slow=None)
    sender = send(post, max_threads=4, per_host=2, clock=lambda: START + 2)
    sender.start()
    assert {name[:4] for name, _ in outbox.wait(20)} == {"fast"}
    assert post.most["slow"] == 2
    assert post.most["all"] <= 4
    post.gate.set()
    outbox.wait(250)
    assert post.most["slow"] == 2


def test_only_so_many_are_on_their_way(outbox, add, send):
    """The limit holds for any number of due callbacks."""
    for number in range(12):
        add(f"m{number}", url=f"https://h{number}.test/")
    post = Posted(**{f"h{number}": None for number in range(12)})
    sender = send(post, max_threads=3)
    sender.start()
    post.wait(3)
    assert sender.statistics().sending == 3
    post.gate.set()
    outbox.wait(12)
    assert post.most["all"] == 3


def test_several_processes_share_the_work(database, add, send):
    """None is sent twice."""
    add(*(f"m{number:03}" for number in range(100)))
    post = Posted()
    boxes = [Watched(database) for _ in range(3)]
    senders = [send(post, box) for box in boxes]
    for sender in senders:
        sender.start()
    post.wait(100)
    for box, sender in zip(boxes, senders, strict=True):
        box.look(sender)
        assert sender.stop(PATIENCE)
    assert Counter(name for name, _ in post.calls).most_common(1)[0][1] == 1
    assert len(post.calls) == 100


class Failing(Watched):
    """Fails for a while."""

    fails = frozenset()

    def record(self, *args):
        if "record" in self.fails:
            raise OSError("disk full")
        return super().record(*args)

    def due(self, *args):
        if "due" in self.fails:
            raise OSError("disk full")
        return super().due(*args)


def test_what_was_sent_and_not_recorded_is_sent_again(database, add, send, clock, caplog):
    """When the lease has run out, with the same id: at least once."""
    box = Failing(database)
    box.fails = {"record"}
    add("a")
    post = Posted()
    sender = send(post, box)
    sender.start()
    post.wait(1)
    box.look(sender)
    assert sender.stop(PATIENCE)
    assert "tried again after its lease" in caplog.text
    box.fails = frozenset()
    other = send(post, box)
    other.start()
    box.look(other)
    assert len(post.calls) == 1
    clock.now += LEASE
    other.wake()
    assert box.wait(1) == [("a", Delivered())]
    assert [name for name, _ in post.calls] == ["a", "a"]


def test_a_database_that_fails_is_tried_again(database, add, send, caplog):
    """The coordinator continues."""
    box = Failing(database)
    box.fails = {"due"}
    sender = send(Posted(), box)
    assert sender._poll_outbox() == 5.0
    assert "The outbox cannot be used" in caplog.text
    sender.start()
    box.fails = frozenset()
    add("a")
    sender.wake()
    box.wait(1)


def test_a_mistake_of_ours_takes_no_slot(outbox, add, send, clock, caplog):
    """An exception is logged, and the callback is tried again after its lease."""
    broken = threading.Event()

    def post(url, id, body, now):
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError
        return OK

    add("a")
    sender = send(post, max_threads=1)
    sender.start()
    assert broken.wait(PATIENCE)
    add("b")
    sender.wake()
    assert outbox.wait(1) == [("b", Delivered())]
    assert "ZeroDivisionError" in caplog.text


def test_stopping_waits_for_what_is_on_its_way(outbox, add, send):
    """It claims nothing more."""
    add("a")
    post = Posted(example=None)
    sender = send(post)
    sender.start()
    post.wait(1)
    assert not sender.stop(0.05)
    add("b")
    sender.wake()
    post.gate.set()
    assert sender.stop(PATIENCE)
    assert outbox.wait(1) == [("a", Delivered())]
    assert [name for name, _ in post.calls] == ["a"]
    sender.start()
    assert sender.statistics().state == "stopping"


def test_it_may_be_stopped_before_it_begins(send):
    """And nudged."""
    sender = send(Posted())
    sender.wake()
    assert sender.stop()
    assert threading.active_count() == len(threading.enumerate())


def test_starting_twice_is_starting_once(outbox, send):
    """There is one coordinator."""
    sender = send(Posted())
    sender.start()
    sender.start()
    assert [thread.name for thread in sender._threads] == ["dewar-webhooks"]
    assert "running" in repr(sender)


def test_the_next_look_is_when_something_is_due(outbox, add, send, clock):
    """It also polls for the callbacks of dead processes."""
    sender = send(Posted())
    assert sender._poll_outbox() == 5.0
    add("a", due=START + 3)
    assert sender._poll_outbox() == 3.0
    clock.now += 2.5
    assert sender._poll_outbox() == 0.5


def test_a_log_names_no_url(outbox, add, send, caplog):
    """It may hold a secret of the receiver's."""
    add("a", url="https://gone.test/hunter2")
    add("b", url="https://bad.test/hunter2")
    sender = send(
        Posted(gone=DeliveryResult(status=410), bad=BAD),
        schedule=Schedule(delays=(0.0,), jitter=0.0),
    )
    sender.start()
    outbox.wait(2)
    settle(sender)
    assert "job-a" in caplog.text
    assert "failed 1 times" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_real_receiver_that_is_busy_is_waited_for(outbox, add, send, clock):
    """After its Retry-After it gets the same message with a new signature."""
    receiver = Receiver(answer(429, "Retry-After: 77\r\n"), answer(500), answer(200))
    try:
        settings = WebhookSettings(secrets=[SECRET])
        add("a", url=receiver.url())
        sender = send(WebhookClient(SSRFGuard(["127.0.0.1"]), settings).post)
        sender.start()
        assert outbox.wait(1)[-1] == ("a", Retry(START + 77))
        clock.now += 77
        sender.wake()
        assert outbox.wait(2)[-1] == ("a", Retry(clock.now + 300))
        clock.now += 300
        sender.wake()
        assert outbox.wait(3)[-1] == ("a", Delivered())
        came = receiver.wait(3)
        assert {one.headers["webhook-id"] for one in came} == {"a"}
        assert {one.body for one in came} == {b"{}"}
        stamps = [int(one.headers["webhook-timestamp"]) - START for one in came]
        assert stamps == [0, 77, 377]
        assert len({one.headers["webhook-signature"] for one in came}) == 3
    finally:
        receiver.close()


CRASHING = """
import os, signal, sys
from dewar.tasks.webhooks.client import WebhookClient
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.dispatcher import WebhookDispatcher
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.ledger.opening import open_ledger

class Dying(Outbox):
    def record(self, *args):
        os.kill(os.getpid(), 9)

settings = WebhookSettings(secrets=[sys.argv[2]])
outbox = Dying(open_ledger(sys.argv[1]).database)
post = WebhookClient(SSRFGuard(["127.0.0.1"]), settings).post
WebhookDispatcher(outbox, post, settings, owner="dying", clock=lambda: float(sys.argv[3])).start()
signal.pause()
"""


def test_a_process_that_is_killed_loses_nothing(tmp_path, outbox, add, send, clock):
    """Killed between sending and recording: another sends it again, with the same id."""
    receiver = Receiver(answer(200))
    try:
        add("a", url=receiver.url())
        path = str(tmp_path / "jobs.sqlite")
        run = subprocess.run(
            [sys.executable, "-c", CRASHING, path, SECRET, str(START)], timeout=60, check=False
        )
        assert run.returncode == -9
        assert len(receiver.wait(1)) == 1
        sender = send(
            WebhookClient(SSRFGuard(["127.0.0.1"]), WebhookSettings(secrets=[SECRET])).post
        )
        sender.start()
        outbox.look(sender)
        assert len(receiver.requests) == 1
        clock.now += LEASE
        sender.wake()
        outbox.wait(1)
        assert [one.headers["webhook-id"] for one in receiver.wait(2)] == ["a", "a"]
        assert outbox.get("a").attempts == 2
    finally:
        receiver.close()


FORKING = """
import os, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is the point
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.schedule import DeliveryResult
from dewar.tasks.webhooks.dispatcher import WebhookDispatcher
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.ledger.opening import open_ledger

here = threading.Event()
def post(url, id, body, now):
    print(id, os.getpid(), flush=True)
    here.set()
    return DeliveryResult(status=204)

outbox = Outbox(open_ledger(sys.argv[1]).database)
clock = lambda: float(sys.argv[2])
sender = WebhookDispatcher(outbox, post, WebhookSettings(), owner="x", clock=clock)
sender.start()
assert here.wait(20)
sender._changed.acquire()  # held while it forks, as it may be
child = os.fork()
if child == 0:
    sender.wake()
    assert sender.stop(1)
    here.clear()
    assert outbox.retry_now("b", 0.0)
    sender.start()
    assert here.wait(20)
    assert sender.stop(20)
    os._exit(0)
_, status = os.waitpid(child, 0)
sender._changed.release()  # not before: this process would send what the child is to send
assert sender.stop(20)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_begins_anew(tmp_path, add, outbox):
    """The child never waits, even if a thread of the parent held the lock."""
    add("a")
    add("b", due=START + 10**9)
    run = subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "jobs.sqlite"), str(START)],
        timeout=90,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (first, parent), (second, child) = (line.split() for line in run.stdout.splitlines())
    assert (first, second) == ("a", "b")
    assert parent != child


def test_slots_are_given_back():
    """By host, whatever else the URL says."""
    limit = ConcurrencyLimit(3, 2)
    assert limit.take("https://a.test/1")
    assert limit.take("https://A.test/2")
    assert not limit.take("https://a.test/3")
    assert limit.take("https://b.test/")
    assert not limit.has_room
    assert not limit.take("https://c.test/")
    limit.give_back("https://a.test/2")
    assert limit.take("https://c.test/")
    assert repr(limit) == "<ConcurrencyLimit 3 of 3, for 3 hosts>"
