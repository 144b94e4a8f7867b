"""What all notifications do that tell anything."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from tests.tasks.ledger.ledgertools import in_child
from tests.tasks.ledger.notificationtools import Ear, listen, of, wants_jobs

from dewar.tasks.ledger.notifications import (
    JOBS,
    MAX_IDS,
    PARTIAL,
    Notice,
    Notifications,
    Topic,
)

Make = Callable[[], Notifications]


class NotificationsContract:
    """Inherited by the tests of each kind, which say how to make some of one ledger."""

    @pytest.fixture
    def connect(self) -> Make:
        raise NotImplementedError

    def send_garbage(self, message: bytes) -> None:
        """Send what no process of ours would."""
        raise NotImplementedError

    @pytest.fixture
    def make(self, connect: Make) -> Iterator[Make]:
        """Makes the notifications of another process, which are closed in the end."""
        made: list[Notifications] = []

        def make() -> Notifications:
            made.append(connect())
            return made[-1]

        yield make
        for one in made:
            one.close()

    def test_a_listener_hears_what_it_wants(self, make: Make) -> None:
        """Also from a process that does not listen. It does not hear of the rest."""
        ear, other = listen(make(), "one", Topic.JOBS), make()
        other.notify(Notice(ended=("a",)))
        other.notify(Notice(owners=("two",)))
        other.notify(JOBS)
        assert ear.wait_for(wants_jobs) == JOBS

    def test_a_change_is_heard_by_who_watches(self, make: Make) -> None:
        """Those that wait for ends are not told of it."""
        watching, waiting = listen(make(), "one", Topic.CHANGED), listen(make(), "two", Topic.ENDED)
        other = make()
        other.notify(Notice(changed=("a", "b")))
        other.notify(Notice(ended=("c",)))
        assert watching.wait_for(lambda notice: notice.changed).changed == ("a", "b")
        assert waiting.wait_for(of("c")) == Notice(ended=("c",))

    def test_all_listeners_hear_the_same(self, make: Make) -> None:
        """Each notice goes to all that want it."""
        ears = [listen(make(), f"p{number}", Topic.ENDED) for number in range(5)]
        make().notify(Notice(ended=("a", "b")))
        for ear in ears:
            assert ear.wait_for(of("a")).ended == ("a", "b")

    def test_nobody_hears_itself(self, make: Make) -> None:
        """A process knows what it has done."""
        one, two = make(), make()
        ear, other = listen(one, "one", Topic.JOBS), listen(two, "two", Topic.JOBS)
        one.notify(JOBS)
        other.wait_for(wants_jobs)
        two.notify(Notice(owners=("one",)))
        assert ear.wait_for(lambda _: True).owners == ("one",)

    def test_an_owner_hears_of_its_own_jobs(self, make: Make) -> None:
        """Whatever else it wants; another one does not."""
        one, two = listen(make(), "one"), listen(make(), "two", Topic.JOBS)
        other = make()
        other.notify(Notice(owners=("one",)))
        other.notify(JOBS)
        assert one.wait_for(lambda notice: notice.owners).owners == ("one",)
        assert two.wait_for(wants_jobs) == JOBS

    def test_a_topic_can_be_added(self, make: Make) -> None:
        """It is new once, and heard from then on."""
        one, other = make(), make()
        ear = listen(one, "one", Topic.JOBS)
        other.notify(JOBS)
        ear.wait_for(wants_jobs)
        assert one.add_topic(Topic.ENDED)
        assert not one.add_topic(Topic.ENDED)
        for id in map(str, count()):
            other.notify(Notice(ended=(id,)))
            if ear.ids() or any(notice.is_partial for notice in ear.heard):
                break

    def test_who_does_not_listen_adds_no_topic(self, make: Make) -> None:
        """Nobody would be called."""
        assert not make().add_topic(Topic.ENDED)

    def test_more_than_fits_is_told_as_a_change(self, make: Make) -> None:
        """The listener looks at everything then."""
        ear = listen(make(), "one", Topic.ENDED)
        make().notify(Notice(ended=tuple(str(number) for number in range(MAX_IDS + 1))))
        assert ear.wait_for(lambda _: True).is_partial

    def test_who_has_closed_hears_nothing_and_can_tell(self, make: Make) -> None:
        """It may listen again, too."""
        one, other = make(), make()
        listen(one, "one", Topic.JOBS)
        ear = listen(other, "two", Topic.JOBS)
        before = threading.active_count()
        one.close()
        assert not one.is_listening
        assert threading.active_count() == before - 1
        one.notify(JOBS)
        ear.wait_for(wants_jobs)
        one.close()
        again = listen(one, "one", Topic.JOBS)
        other.notify(JOBS)
        again.wait_for(wants_jobs)

    def test_a_listener_that_fails_hears_on(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its error is logged."""
        ear, other = listen(make(), "one", Topic.ENDED), make()
        ear.failing = True
        other.notify(Notice(ended=("a",)))
        ear.wait_for(of("a"))
        other.notify(Notice(ended=("b",)))
        ear.wait_for(of("b"))
        assert "of this ear" in caplog.text

    @pytest.mark.parametrize(
        "message", [b"", b"?", b"o", b"e e e", b"\xff\xfe\x00", b"j" * 300, b"x" * 5000]
    )
    def test_garbage_is_harmless(self, make: Make, message: bytes) -> None:
        """The next notice is heard as if there had been none."""
        ear, other = listen(make(), "one", Topic.JOBS, Topic.ENDED), make()
        self.send_garbage(message)
        other.notify(Notice(ended=("a",)))
        ear.wait_for(of("a"))

    def test_many_threads_tell_and_nothing_is_missed(self, make: Make) -> None:
        """Each end is told by its name, or as a change that is not named."""
        ear, other = listen(make(), "one", Topic.ENDED), make()
        names = [f"{thread}n{number}" for thread in range(4) for number in range(50)]

        def tell(thread: int) -> None:
            for number in range(50):
                other.notify(Notice(ended=(f"{thread}n{number}",)))

        threads = [threading.Thread(target=tell, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other.notify(Notice(ended=("last",)))
        with ear.told:
            ear.told.wait_for(lambda: ear.heard and of("last")(ear.heard[-1]), 30)
        if not any(notice.is_partial for notice in ear.heard):
            assert ear.ids() >= set(names)

    def test_a_forked_child_listens_for_itself(self, make: Make) -> None:
        """It can tell its parent, and hear others; the end of its parent's listening is its own."""
        one, other = make(), make()
        ear = listen(one, "one", Topic.JOBS)
        other.notify(JOBS)
        ear.wait_for(wants_jobs)

        def child() -> int:
            assert not one.is_listening
            one.notify(JOBS)
            own = listen(one, "child", Topic.JOBS)
            other.notify(JOBS)
            own.wait_for(wants_jobs)
            one.close()
            return 7

        assert in_child(child) == 7
        ear.wait_for(wants_jobs)
        ear.heard.clear()
        other.notify(JOBS)
        ear.wait_for(wants_jobs)

    def test_who_is_killed_leaves_nothing_that_hurts(self, make: Make) -> None:
        """Others are told as before, and so is the next one of its name."""
        ear, other = listen(make(), "one", Topic.JOBS), make()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            own = listen(make(), "killed", Topic.JOBS)
            os.write(writer, b".")
            own.wait_for(lambda _: False)
            os._exit(1)
        os.read(reader, 1)
        other.notify(JOBS)
        ear.wait_for(wants_jobs)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)
        next_one = listen(make(), "killed", Topic.JOBS)
        other.notify(JOBS)
        ear.wait_for(wants_jobs)
        next_one.wait_for(wants_jobs)

    def test_a_partial_notice_reaches_all(self, make: Make) -> None:
        """Whatever they want."""
        ears: list[Ear] = [listen(make(), "one", Topic.JOBS), listen(make(), "two", Topic.ENDED)]
        make().notify(PARTIAL)
        for ear in ears:
            assert ear.wait_for(lambda _: True).is_partial
