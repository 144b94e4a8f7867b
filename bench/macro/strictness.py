"""The strictness group: the corpus of raw requests, over real sockets, on every server.

What the RFC allows counts as right for everyone, also where Dewar does otherwise: reading a bare
LF as a line end, refusing a method, closing at any time. A refusal is right with any status from
400 on, or with none. The cases about limits are left out, since each server has its own.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.server.corpus.case import Case
from tests.server.corpus.corpus import CASES

from bench.contestants import Contestants
from bench.conversation import LAST, PATIENCE, Conversation, Seen, converse, root_or
from bench.macro.rounds import environment
from bench.servers import Contestant, Server, ServerFailedError
from bench.table import Row, failed

GROUP = "raw requests, as RFC 9112 asks (cases right)"
# So many cases at a time; fewer than the servers' threads, so that none waits for one.
AT_A_TIME = 6


class Verdict(Enum):
    """How a server did in one case."""

    RIGHT = "as the RFC asks"
    WRONG = "not as the RFC asks"
    SMUGGLED = "two opinions about where a message ends"


@dataclass(kw_only=True)
class Score:
    """One server's results, with its bytes whole or in two pieces."""

    name: str
    cut: str
    failure: str = ""
    wrong: list[str] = field(default_factory=list)
    smuggled: list[str] = field(default_factory=list)
    count: int = 0


def cases() -> dict[str, Case]:
    """Return what every server is asked."""
    return {name: case for name, case in CASES.items() if not case.limited}


def measure(root: Path, contestants: Contestants) -> tuple[list[Row], list[Score]]:
    """Ask every server every case, whole and in two pieces."""
    scores = [score for each in contestants.strict() for score in _ask(root, each)]
    return [_row(score) for score in scores], scores


def _ask(root: Path, contestant: Contestant) -> list[Score]:
    scores = [Score(name=contestant.name, cut=cut) for cut in ("whole", "in two")]
    server = Server(contestant=contestant, folder=root, environment=environment(root))
    try:
        with server:
            for pieces, score in enumerate(scores, 1):
                _score(server.port, score, pieces)
    except ServerFailedError as error:
        for score in scores:
            score.failure = str(error)
    return scores


def _score(port: int, score: Score, pieces: int) -> None:
    asked = cases()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        verdicts = pool.map(lambda case: judge(case, _try(port, case, pieces)), asked.values())
        for name, verdict in zip(asked, verdicts, strict=True):
            score.count += 1
            if verdict is not Verdict.RIGHT:
                score.wrong.append(name)
            if verdict is Verdict.SMUGGLED:
                score.smuggled.append(name)


def _try(port: int, case: Case, pieces: int) -> Conversation:
    data = case.data if _is_open(case) else case.data + LAST
    half = len(case.data) // 2
    parts = [data] if pieces == 1 else [data[:half], data[half:]]
    # One that waits for more, as it should, need not be waited for that long.
    return converse(port, parts, PATIENCE / 3 if _is_open(case) else PATIENCE)


def _is_open(case: Case) -> bool:
    """Whether bytes after the case would be taken for a part of it."""
    return case.waits or (case.refusal is None and case.data.endswith(b"\r"))


def judge(case: Case, got: Conversation) -> Verdict:
    """Return whether a conversation went as the RFC allows."""
    right = [_plain(seen) for seen in case.requests]
    if case.refusal is None:
        is_right = _is_served(case, got, right)
        allowed = [right]
    else:
        readings = [[_plain(seen) for seen in requests] for requests in case.may]
        waits = case.may_wait and got.seen == right and not got.went_on
        allowed = [right, *readings]
        refused = any(_is_refused(case, got, reading) for reading in allowed)
        is_right = waits or refused or got.seen in readings
    if is_right:
        return Verdict.RIGHT
    return Verdict.SMUGGLED if case.framing and _has_strayed(case, got, allowed) else Verdict.WRONG


def _has_strayed(case: Case, got: Conversation, allowed: list[list[Seen]]) -> bool:
    """Whether bytes were served as a request that are none in any reading of the RFC."""
    if case.refusal is not None and got.went_on:
        return True
    known = [seen for reading in allowed for seen in reading]
    strange = [seen for seen in got.seen if seen not in known]
    # One body cut short by a fault, behind which the server closes, harms nobody else.
    return len(strange) > (1 if got.is_closed and not got.went_on else 0)


def _is_served(case: Case, got: Conversation, right: list[Seen]) -> bool:
    if not _is_begin(got.seen, right):
        return False
    if case.may_refuse and (got.refusals or got.is_closed):
        return True
    if _is_open(case):
        # A part of a message may be refused, and its connection closed.
        return got.seen == right or got.is_closed
    if got.refusals:
        return False
    if case.closes:
        return got.seen == right and not got.went_on
    # A server may close at any time (RFC 9112 §9.5); what came behind is not served then.
    return (got.seen == right and got.went_on) or (got.is_closed and bool(got.seen or not right))


def _is_refused(case: Case, got: Conversation, right: list[Seen]) -> bool:
    if not _is_begin(got.seen, right) or not _has_ended(got):
        return False
    # Where the message has an end without doubt, the connection may go on behind a refusal.
    return not got.went_on or (not case.framing and bool(got.refusals))


def _has_ended(got: Conversation) -> bool:
    return bool(got.refusals) or got.is_closed


def _is_begin(seen: Sequence[Seen], right: Sequence[Seen]) -> bool:
    return list(seen) == list(right[: len(seen)])


def _plain(seen: tuple[str, str, str, str, bytes]) -> Seen:
    """Leave out the target as sent, which not every server gives."""
    method, _, path, query, body = seen
    return method, root_or(path), query, body


def _row(score: Score) -> Row:
    what = f"{score.name}, {score.cut}"
    if score.failure:
        return failed(GROUP, what, score.failure)
    right = score.count - len(score.wrong)
    note = f"{len(score.wrong)} failures, {len(score.smuggled)} of the smuggling class"
    return Row(group=GROUP, what=what, figure=right, unit=f"of {score.count}", note=note)
