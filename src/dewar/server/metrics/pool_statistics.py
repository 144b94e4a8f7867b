"""What the threads of a server are doing, in numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolStatistics:
    """What a pool was doing at one moment; the parts are not taken at the same instant.

    Attributes:
        threads: Threads started so far.
        idle_threads: Those of them that wait for work.
        waiting: Requests that wait for a thread.
        connections: Open connections.
        handed_off: Connections whose request runs on a thread that does not lead.
        suspended: Connections whose application waits on the event loop, without a thread.
        accepted: Connections since the start.
        rejected: Connections and requests answered with 503, because there were too many.
        requests: Requests answered since the start.
        leader_takeovers: How often a stuck leader was replaced.
        early_promotion: Whether the leader passes the leadership on before it runs a request.
    """

    threads: int
    idle_threads: int
    waiting: int
    connections: int
    handed_off: int
    suspended: int
    accepted: int
    rejected: int
    requests: int
    leader_takeovers: int
    early_promotion: bool
