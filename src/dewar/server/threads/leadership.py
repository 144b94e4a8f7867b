"""Which thread leads a pool, and how another one becomes the leader.

The token protocol:

* Each leadership has a list, the token. The leader puts its connection into it before a run and
  takes it out afterwards. A thread that takes the item out owns the leadership: taking from a list
  is atomic, so exactly one thread succeeds.
* A leader that finds its list empty has been replaced. It gives its connection back and drops the
  rest of its events: polling is level-triggered, so the new leader gets them again.
* The event loop's thread does it the other way round. While it does other work, the list holds
  None, so that the leadership can be taken from a loop that is idle or blocked. During a round the
  list is empty; during the first step of a coroutine it holds the connection, like any run.
"""

from dewar.server.connection.connection import Connection
from dewar.server.threads.connections import ConnectionTable
from dewar.server.threads.scores import LatencyScore, LoopScore
from dewar.server.threads.work_queue import WorkQueue

LeaderToken = list[Connection | None]


class Leadership:
    """The leadership of one pool.

    Args:
        connections: The connections, one of which may change its owner with the leadership.
        work_queue: The threads that can lead.
        latency: The score of slow requests; a leader that is replaced inside a run is slow.

    Attributes:
        token: The list of the current leadership. A leader sets a new one: from a shared list, a
            replaced leader would take its successor's connection.
        run_count: The number of the leader's latest run, or round on the event loop.
        is_on_loop: Whether the event loop's thread leads.
        takeovers: How often a leader was replaced inside a run.
        loop_score: The score of requests for the event loop.
    """

    __slots__ = (
        "_connections", "_work_queue", "is_on_loop", "latency", "loop_score", "run_count",
        "takeovers", "token",
    )  # fmt: skip

    def __init__(
        self, connections: ConnectionTable, work_queue: WorkQueue, latency: LatencyScore
    ) -> None:
        self._connections = connections
        self._work_queue = work_queue
        self.latency = latency
        self.loop_score = LoopScore()
        self.token: LeaderToken = []
        self.run_count = 0
        self.is_on_loop = False
        self.takeovers = 0

    def __repr__(self) -> str:
        where = "the loop" if self.is_on_loop else "a thread"
        return f"<Leadership on {where}, run {self.run_count}, {self.takeovers} takeovers>"

    def is_running(self) -> bool:
        """Return whether the leader is inside a run, on a thread of the pool."""
        return bool(self.token) and not self.is_on_loop

    # The leader calls these.

    def begin_on_loop(self) -> LeaderToken:
        """Give the leadership to the event loop's thread; return its token."""
        token = self.token = []
        self.is_on_loop = True
        return token

    def promote(self, connection: Connection | None = None) -> bool:
        """Have a follower lead; return whether one does.

        Args:
            connection: Handed off, for the caller to run.
        """
        follower = self._work_queue.maybe_leader()
        if follower is None:
            return False
        if connection is not None:
            self._connections.hand_off(connection)
        self.token = []
        follower.wake()
        return True

    def promote_idle(self) -> bool:
        """Have an idle thread lead in place of the event loop's; return whether one does."""
        follower = self._work_queue.maybe_worker()
        if follower is None:
            return False
        self.leave_loop()
        follower.wake()
        return True

    def leave_loop(self) -> None:
        """End the leadership of the event loop's thread. The caller owns the leadership."""
        self.loop_score.reset()
        self.is_on_loop = False
        self.token = []

    # Any thread may call these.

    def take_over(self) -> None:
        """Have a follower lead, unless the leader comes back first."""
        follower = self._work_queue.maybe_leader()
        if follower is None:
            return  # the system cannot start another thread: the leader goes on alone
        if self.take():
            follower.wake()
        else:
            self._work_queue.put_back(follower)

    def take(self) -> bool:
        """Take the leadership if the token is in its list; return whether it was."""
        with self._connections.ownership_lock:
            try:
                connection = self.token.pop()
            except IndexError:
                return False
            if self.is_on_loop:
                self.leave_loop()
            if connection is None:
                return True
            self._connections.hand_off(connection)
            self.token = []  # this tells the former leader that it does not lead any more
        self.takeovers += 1
        self.latency.note_slow()
        return True
