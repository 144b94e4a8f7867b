"""What the threads of a server are doing, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolStatistics:
    """What a pool was doing at one moment; the parts are not taken at the same instant.

    Attributes:
        threads: Threads started so far.
        parked: Those of them that wait for work.
        waiting: Requests that wait for a thread.
        connections: Open connections.
        away: Connections whose request runs on a thread that does not lead.
        suspended: Connections whose application waits on the event loop, without a thread.
        accepted: Connections since the start.
        turned_away: Connections and requests answered with 503, because there were too many.
        requests: Requests answered since the start.
        take_overs: How often a stuck leader was deposed.
        hands_over: Whether the leader passes the leadership on before it runs a request.
    """

    threads: int
    parked: int
    waiting: int
    connections: int
    away: int
    suspended: int
    accepted: int
    turned_away: int
    requests: int
    take_overs: int
    hands_over: bool
