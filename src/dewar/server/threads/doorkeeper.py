"""Leading while all threads are inside the application.

The doorkeeper accepts, reads, flushes and looks at deadlines as any leader does, but runs no
request: what is complete waits for the next thread that comes back. So slow handlers hold up
nobody but those who wait for a thread, and these wait in order and in bounded number.
"""

from dewar.server.connection.connection import Connection
from dewar.server.connection.service import Service
from dewar.server.threads.acceptor import RELUCTANCE, Acceptor
from dewar.server.threads.chores import Chores, Stage
from dewar.server.threads.pace import Pace
from dewar.server.threads.poller import READ, Poller
from dewar.server.threads.roster import Roster
from dewar.server.threads.staff import Staff
from dewar.server.threads.turns import MANY, by_turn
from dewar.server.threads.worker import Worker
from dewar.server.wire.errors import UNAVAILABLE, Refusal


class Doorkeeper:
    """One pool's leader of last resort. All but `stuck_since` and `refused` is the leader's.

    Attributes:
        chores: What a leader does besides.
        refused: Requests answered with 503, because too many waited.
    """

    def __init__(
        self, service: Service, poller: Poller, acceptor: Acceptor, roster: Roster, chores: Chores
    ) -> None:
        self._service = service
        self._poller = poller
        self._acceptor = acceptor
        self._roster = roster
        self.chores = chores
        self._last_return: tuple[int, float] = (-1, 0.0)
        self.refused = 0

    def __repr__(self) -> str:
        return f"<Doorkeeper, {self.refused} refused>"

    def lead(self, staff: Staff, pace: Pace) -> bool:
        """Lead until a thread is free to; tell whether one does now. Else the pool has ended."""
        if self._service.settings.processes == 1:
            worker = self._lead(staff, pace, None)
        else:
            self._acceptor.step_back()
            try:
                worker = self._lead(staff, pace, RELUCTANCE)
            finally:
                self._acceptor.step_forward()
        if worker is None:
            return False
        worker.wake()
        return True

    def handle(self, fd: int, mask: int, staff: Staff) -> None:
        """Take an event. What is for the event loop is begun; other requests wait for a thread."""
        connection = self.maybe_ready(fd, mask)
        if connection is None:
            return
        if self.begin_on_loop(connection):
            self._roster.settle(connection)
        else:
            self.queue(connection, staff)

    def maybe_ready(self, fd: int, mask: int) -> Connection | None:
        """Take an event; return the connection if a request is complete on it."""
        connection = self._roster.open.get(fd)
        if connection is None:
            self.chores.attend(fd)
            return None
        try:
            is_ready = connection.receive() if mask == READ else self.chores.see_to(connection)
        except Exception as error:  # noqa: BLE001  # a fault of ours costs one connection
            is_ready = self.chores.drop(connection, error)
        if is_ready:
            return connection
        self._roster.settle(connection)
        return None

    def begin_on_loop(self, connection: Connection) -> bool:
        """Begin with a request if the event loop alone can answer it; return whether it is handled.

        It does not block, but on the loop's own thread, where a coroutine takes its first step.
        """
        try:
            return connection.begin_on_loop()
        except Exception as error:  # noqa: BLE001  # as above
            self.chores.drop(connection, error)
            return True

    def queue(self, connection: Connection, staff: Staff) -> None:
        """Let a request wait for a thread, or turn it away where too many do."""
        if staff.is_full():
            self.refused += 1
            connection.turn_away(Refusal(UNAVAILABLE, "The server is busy. Try again later."))
            self._roster.settle(connection)
        else:
            self._roster.send_away(connection)
            staff.submit(connection)

    def stuck_since(self, staff: Staff) -> float | None:
        """Return since when all threads have been inside the application without one's return.

        The time is the service's clock's, and at most a second late. None where one is free.
        """
        returns, since = self._last_return
        return since if returns == staff.returns and staff.is_stuck() else None

    def _lead(self, staff: Staff, pace: Pace, reluctance: float | None) -> Worker | None:
        service = self._service
        chores = self.chores
        while chores.stage is not Stage.ENDED:
            events = self._poller.poll(chores.patience() if reluctance is None else reluctance)
            now = service.now = service.clock()
            # Where handlers are slow on the whole, a leader would soon be stuck again: then it is
            # cheaper to stay, and to give the requests to whoever is free.
            if not pace.is_slow and (worker := staff.maybe_worker()) is not None:
                return worker  # polling is level-triggered: the events will be told again
            if now >= chores.next_sweep or chores.stage is not Stage.SERVING:
                chores.sweep(now, events)
                self._note_returns(staff.returns, now)
            if len(events) > MANY:
                events = by_turn(events, self._roster.open)
            for fd, mask in events:
                self.handle(fd, mask, staff)
            if reluctance is not None:
                chores.attend_left()
        return None

    def _note_returns(self, returns: int, now: float) -> None:
        if self._last_return[0] != returns:
            self._last_return = returns, now
