"""The thread, and the threads, that write into the ledger."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from dewar.tasks.errors import TasksError
from dewar.tasks.ledger.records import NewJob, ProgressUpdate
from dewar.tasks.runtime.group_commit import LedgerWriter
from dewar.tasks.runtime.pending_write import Entry
from dewar.tasks.runtime.writer_state import MOVES, WriterState
from polling import eventually

_LONG = 3600.0


class Book:
    """Stands for the ledger: keeps what is written, fails and holds on request."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failing = False
        self.holding: threading.Event | None = None
        self.held = threading.Event()
        self.rests = 0
        #: What was written without a ticket.
        self.alone: list[str] = []

    def write(self, entries: Sequence[Entry]) -> None:
        gate, self.holding = self.holding, None
        if gate is not None:
            self.held.set()
            assert gate.wait(20)
        if self.failing:
            raise OSError("disk full")
        self.batches.append([operation.id for operation, _ in entries])
        for _, ticket in entries:
            if ticket is not None:
                ticket.settle(took_effect=True)

    def write_new(self, new: NewJob) -> bool:
        self.write([(new, None)])
        self.alone.append(new.id)
        return True

    def on_idle(self) -> float:
        self.rests += 1
        return _LONG

    @property
    def ids(self) -> list[str]:
        return [id for batch in self.batches for id in batch]


def new(id: str) -> NewJob:
    return NewJob(id=id, task="t", arguments="[]", created=0.0, due=0.0)


def lazy(id: str) -> ProgressUpdate:
    return ProgressUpdate(id=id, fraction=0.5, message="")


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def writer(book: Book) -> Iterator[LedgerWriter]:
    writer = LedgerWriter(book.write, book.write_new)
    writer.start(book.on_idle)
    yield writer
    book.failing = False
    assert writer.stop(20)


def in_thread(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def test_who_waits_has_it_written_when_it_returns(writer: LedgerWriter, book: Book) -> None:
    """A lone thread writes its operation itself."""
    assert writer.write(new("a"))
    assert book.batches == [["a"]]
    assert book.alone == ["a"]


def test_what_comes_while_another_writes_is_written_together(
    writer: LedgerWriter, book: Book
) -> None:
    """Twenty that come during one transaction cost one more."""
    gate = book.holding = threading.Event()
    first = in_thread(lambda: writer.write(new("first")))
    assert book.held.wait(20)
    others = [in_thread(lambda n=n: writer.write(new(f"{n}"))) for n in range(20)]
    eventually(lambda: writer.waiting == 20)
    gate.set()
    for thread in [first, *others]:
        thread.join(20)
    assert len(book.batches) == 2
    assert sorted(book.batches[1], key=int) == [f"{n}" for n in range(20)]


def test_what_comes_during_a_lone_write_is_not_left_behind(
    writer: LedgerWriter, book: Book
) -> None:
    """The lone thread does not write it, but wakes the writer's own thread."""
    gate = book.holding = threading.Event()
    first = in_thread(lambda: writer.write(new("first")))
    assert book.held.wait(20)
    second = in_thread(lambda: writer.write(new("second")))
    eventually(lambda: writer.waiting)
    gate.set()
    first.join(20)
    second.join(20)
    assert not second.is_alive()
    assert (book.ids, book.alone) == (["first", "second"], ["first"])


def test_a_new_job_goes_with_lazy_things_that_are_due(book: Book) -> None:
    """What is urgent, or was put off long enough, is written in the same transaction."""
    writer = LedgerWriter(book.write, book.write_new)
    writer.put(lazy("a"), is_due=True)
    assert writer.write(new("b"))
    assert book.batches == [["b", "a"]]
    assert book.alone == []
    writer.put(lazy("c"))
    assert writer.write(new("d"))  # at once: "c" is put off until it is quiet
    assert book.batches[1:] in ([["d"]], [["d", "c"]])
    writer.start(book.on_idle)
    assert writer.stop(20)
    assert sorted(book.ids) == ["a", "b", "c", "d"]


def test_lazy_things_are_written_without_anybody_waiting(writer: LedgerWriter, book: Book) -> None:
    """In their order, and soon."""
    for number in range(100):
        writer.put(lazy(str(number)))
    eventually(lambda: len(book.ids) == 100)
    assert book.ids == [str(number) for number in range(100)]
    assert len(book.batches) < 50


def test_the_stop_writes_what_waits(book: Book) -> None:
    """Nothing that was put is left behind."""
    writer = LedgerWriter(book.write, book.write_new)
    for number in range(2000):
        writer.put(lazy(str(number)))
    writer.start(book.on_idle)
    assert writer.stop(20)
    assert len(book.ids) == 2000


def test_after_the_stop_nobody_waits_in_vain(book: Book) -> None:
    """A thread that comes late is told so."""
    writer = LedgerWriter(book.write, book.write_new)
    writer.start(book.on_idle)
    assert writer.stop(20)
    with pytest.raises(TasksError, match="has stopped running tasks"):
        writer.write(new("late"))
    writer.put(lazy("late"))
    assert book.ids == []


def test_a_new_job_that_can_not_be_written_is_refused(
    writer: LedgerWriter, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    """Its submitter gets the database's error; the next one may be luckier."""
    book.failing = True
    with caplog.at_level(logging.ERROR, logger="dewar.tasks"):
        with pytest.raises(OSError, match="disk full"):
            writer.write(new("a"))
    book.failing = False
    assert writer.write(new("b"))
    assert book.ids == ["b"]


def test_anything_else_is_written_again_until_it_succeeds(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    """An outcome is not lost because a disk was full for a moment."""
    failed = threading.Event()
    write = book.write

    def failing(entries: Sequence[Entry]) -> None:
        try:
            write(entries)
        except OSError:
            failed.set()
            raise

    writer = LedgerWriter(failing, book.write_new)
    book.failing = True
    with caplog.at_level(logging.CRITICAL, logger="dewar.tasks"):
        writer.start(book.on_idle)
        writer.put(lazy("a"))
        assert failed.wait(20)
        writer.put(lazy("b"))
        book.failing = False
        assert writer.stop(20)
    assert book.ids == ["a", "b"]


def test_a_stop_gives_up_what_the_database_does_not_take(
    book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    """The process ends, and the log says what was not written."""
    book.failing = True
    writer = LedgerWriter(book.write, book.write_new)
    writer.start(book.on_idle)
    writer.put(lazy("a"))
    with caplog.at_level(logging.ERROR, logger="dewar.tasks"):
        assert writer.stop(30)
    assert "could not be written" in caplog.text


def test_a_nudge_calls_rest_soon(writer: LedgerWriter, book: Book) -> None:
    """The patrol does not wait for its time then."""
    eventually(lambda: book.rests)
    before = book.rests
    writer.wake()
    eventually(lambda: book.rests > before)
    assert book.rests == before + 1


def test_many_threads_and_every_operation_is_written_once(writer: LedgerWriter, book: Book) -> None:
    """Under load nothing is lost, doubled, or out of a thread's order."""

    def work(name: int) -> None:
        for number in range(50):
            assert writer.write(new(f"{name}-{number}"))
            writer.put(lazy(f"{name}+{number}"))

    threads = [in_thread(lambda n=n: work(n)) for n in range(8)]
    for thread in threads:
        thread.join(30)
    assert writer.stop(20)
    assert len(book.ids) == len(set(book.ids)) == 800
    for name in range(8):
        assert [id for id in book.ids if id.startswith(f"{name}-")] == [
            f"{name}-{number}" for number in range(50)
        ]
        assert [id for id in book.ids if id.startswith(f"{name}+")] == [
            f"{name}+{number}" for number in range(50)
        ]


def test_the_table_of_states_is_complete() -> None:
    """A writer ends from anywhere, once."""
    assert set(MOVES) == set(WriterState)
    assert MOVES[WriterState.ENDED] == frozenset()
    for state in set(WriterState) - {WriterState.ENDED}:
        assert WriterState.ENDED in MOVES[state]
    assert {after for moves in MOVES.values() for after in moves} == set(WriterState) - {
        WriterState.OPEN
    }


@pytest.mark.parametrize("after", WriterState)
@pytest.mark.parametrize("before", WriterState)
def test_no_state_follows_another_unless_the_table_says_so(
    book: Book, before: WriterState, after: WriterState
) -> None:
    """What is illegal is an error, and changes nothing."""
    writer = LedgerWriter(book.write, book.write_new)
    writer.state = before
    if after in MOVES[before]:
        writer._move(after)
        assert writer.state is after
    else:
        with pytest.raises(TasksError, match=f"{before.name}.* cannot become {after.name}"):
            writer._move(after)
        assert writer.state is before


def test_a_stop_ends_it_for_good(book: Book) -> None:
    """It writes what waits first, and another stop changes nothing."""
    writer = LedgerWriter(book.write, book.write_new)
    gate = book.holding = threading.Event()
    writer.start(book.on_idle)
    assert writer.state is WriterState.OPEN
    first = in_thread(lambda: writer.write(new("a")))
    assert book.held.wait(20)
    writer.put(lazy("b"))
    assert not writer.stop(0)
    assert writer.state is WriterState.STOPPING
    gate.set()
    first.join(20)
    assert writer.stop(20)
    assert (writer.state, book.ids) == (WriterState.ENDED, ["a", "b"])
    assert writer.stop(20)
    assert writer.state is WriterState.ENDED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_where_its_thread_fails_nobody_waits_in_vain(book: Book) -> None:
    """It has ended then, without having been stopped; a stop has nothing left to do."""

    def fail() -> float:
        raise SystemExit

    writer = LedgerWriter(book.write, book.write_new)
    writer.start(fail)
    writer._thread.join(20)
    assert writer.state is WriterState.ENDED
    with pytest.raises(TasksError, match="has stopped running tasks"):
        writer.write(new("late"))
    assert writer.stop(20)


def test_its_thread_goes_on_whatever_fails_in_it(
    writer: LedgerWriter,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else a process would live on with jobs that it neither runs nor gives back."""
    failed = threading.Event()

    def fail(self: LedgerWriter, due: float) -> None:
        failed.set()
        raise OSError("Invalid argument")

    with monkeypatch.context() as patched:
        patched.setattr(LedgerWriter, "_wait", fail)
        writer.wake()
        assert failed.wait(20)
    writer.put(lazy("a"))
    eventually(lambda: book.ids == ["a"])
    assert "it goes on" in caplog.text


def test_an_outage_is_logged_once_and_a_stop_does_not_wait_for_its_pause(
    writer: LedgerWriter, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    """Each further try would say the same."""
    book.failing = True
    writer.put(lazy("a"))
    eventually(lambda: writer._failures > 2)
    assert writer.stop(20)
    assert caplog.text.count("The ledger cannot be written: disk full") == 1
