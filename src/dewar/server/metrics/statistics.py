"""Statistics of a server: its threads, and its processes if it has several."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolStatistics:
    """The state of a pool at one moment; the numbers are not taken at the same instant.

    Attributes:
        threads: Threads started so far.
        idle_threads: Threads that wait for work.
        waiting: Requests that wait for a thread.
        connections: Open connections.
        handed_off: Connections whose request runs on a thread that does not lead.
        suspended: Connections whose application waits on the event loop, without a thread.
        accepted: Connections since the start.
        rejected: Connections and requests answered with 503, because there were too many.
        displaced: Idle connections closed since the start, because new ones needed their place.
        requests: Requests answered since the start.
        leader_takeovers: How often a stuck leader was replaced.
        early_promotion: Whether the leader passes the leadership on before it runs a request.
        websockets: Connections that have left HTTP for WebSocket.
        websocket_threads: Threads of WebSockets that do not wait on the event loop.
        spooled: Bytes of request bodies on disk.
    """

    threads: int
    idle_threads: int
    waiting: int
    connections: int
    handed_off: int
    suspended: int
    accepted: int
    rejected: int
    displaced: int
    requests: int
    leader_takeovers: int
    early_promotion: bool
    websockets: int
    websocket_threads: int
    spooled: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStatistics:
    """The state of one worker process about a second ago.

    Attributes:
        number: Its number, from 1 on; a successor may get the same one.
        pid: The id of the process.
        generation: 1 from the start, and one more with each reload.
        state: A name of `WorkerState`, such as ``"SERVING"``.
        age: Seconds since it was forked.
        heartbeat_age: Seconds since its threads last waited for clients.
        pool: Its threads and connections.
    """

    number: int
    pid: int
    generation: int
    state: str
    age: float
    heartbeat_age: float
    pool: PoolStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStatistics:
    """The state of a server at one moment.

    Attributes:
        addresses: The URLs it listens on.
        pool: Its threads and connections. With several processes these are sums, and counts since
            the start include processes that have ended.
        workers: The worker processes; empty if the server runs in this process.
        worker_failures: How many workers have ended or hung unasked.
    """

    addresses: tuple[str, ...]
    pool: PoolStatistics
    workers: tuple[WorkerStatistics, ...] = ()
    worker_failures: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return the statistics as plain data."""
        return asdict(self)


#: Returns the statistics of each process by its number, the label ``worker`` in the metrics.
ReadStatistics = Callable[[], Mapping[str, PoolStatistics]]

#: The numbers of a pool by name, in the order in which the scoreboard holds them.
POOL_FIELDS = tuple(field.name for field in fields(PoolStatistics))
_FLAGS = frozenset(field.name for field in fields(PoolStatistics) if field.type in (bool, "bool"))


def pool_from(numbers: Iterable[int]) -> PoolStatistics:
    """Return the statistics with *numbers* in the order of `POOL_FIELDS`."""
    values = {
        name: bool(number) if name in _FLAGS else number
        for name, number in zip(POOL_FIELDS, numbers, strict=True)
    }
    return PoolStatistics(**values)  # type: ignore[arg-type]  # each as its field has it


def numbers_of(pool: PoolStatistics) -> list[int]:
    """Return the numbers of *pool* in the order of `POOL_FIELDS`."""
    return [int(getattr(pool, name)) for name in POOL_FIELDS]
