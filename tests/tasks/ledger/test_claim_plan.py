"""Which waiting jobs are claimed: decisions without a database."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.tasks.ledger.claim_plan import OLDEST_EVERY, Level, Take, Turns, plan_claim

Waiting = dict[Level, list[float]]


def run(
    waiting: Mapping[Level, Sequence[float]],
    most: int,
    turns: Turns | None = None,
    allowed: Mapping[str, int] | None = None,
) -> list[tuple[Level, float]]:
    """Carry out a plan on lists of due times, which lose what is claimed; return that."""
    levels = [level for level, dues in waiting.items() if dues]
    plan = plan_claim(levels, most, allowed or {}, turns or Turns())
    claimed: list[tuple[Level, float]] = []
    take: Take | None = next(plan, None)
    while take is not None:
        assert take.count > 0
        dues = waiting[take.level]
        found, dues[:] = dues[: take.count], dues[take.count :]  # type: ignore[index]
        claimed += [(take.level, due) for due in found]
        try:
            take = plan.send(len(found))
        except StopIteration:
            take = None
    return claimed


def waits(queue: str, priority: int, dues: Sequence[float], task: str | None = None) -> Waiting:
    return {Level(queue, priority, dues[0], task): list(dues)}


def test_one_queue_with_one_priority_is_one_statement() -> None:
    """A plain program pays for no order that it does not need."""
    level = Level("default", 0, 1.0)
    plan = plan_claim([level], 50, {}, Turns())
    assert next(plan) == Take(level, 50)
    with pytest.raises(StopIteration):
        plan.send(7)


def test_a_higher_priority_goes_first() -> None:
    """Until there are no more, or enough."""
    waiting = waits("q", 0, [1.0, 2.0]) | waits("q", 5, [3.0, 4.0]) | waits("q", -5, [0.5])
    assert [due for _, due in run(waiting, 3)] == [3.0, 4.0, 1.0]
    assert [due for _, due in run(waiting, 3)] == [2.0, 0.5]


def test_every_eighth_job_is_the_oldest() -> None:
    """However many jobs of a higher priority come, one at a time or many."""
    for most in (1, 3, 8, 50):
        waiting = waits("q", 9, [10.0 + at for at in range(800)])
        waiting |= waits("q", 0, [float(at) / 1000 for at in range(100)])
        turns, claimed = Turns(), 0
        low = 0
        while claimed < 400:
            found = run(waiting, most, turns)
            claimed += len(found)
            low += sum(level.priority == 0 for level, _ in found)
        assert abs(low - claimed // OLDEST_EVERY) <= 1


@given(st.permutations(["", "", "mail", "paced"]), st.integers(1, 12))
def test_it_does_not_matter_in_which_order_levels_are_read(tasks: list[str], most: int) -> None:
    """Also of those that are due at the same time."""
    levels = [Level("q", number % 2, 1.0, task or None) for number, task in enumerate(tasks)]
    levels = list(dict.fromkeys(levels))
    plans = [run({one: [1.0] * 3 for one in order}, most) for order in (levels, levels[::-1])]
    assert plans[0] == plans[1]


def test_queues_take_turns() -> None:
    """Each has the same share, however long it is, and what one has left the others use."""
    waiting = waits("a", 0, [1.0] * 1000) | waits("b", 9, [2.0] * 1000) | waits("c", 0, [3.0] * 2)
    turns = Turns()
    counts = Counter(level.queue for level, _ in run(waiting, 30, turns))
    assert counts == {"a": 14, "b": 14, "c": 2}
    singles = [run(waiting, 1, turns)[0][0].queue for _ in range(10)]
    assert singles in (["a", "b"] * 5, ["b", "a"] * 5)


def test_a_task_with_limits_gives_as_many_as_it_may() -> None:
    """The rest of the room is for others; a task without an entry has no limit left."""
    waiting = waits("q", 9, [1.0] * 10, "paced") | waits("q", 5, [1.0] * 10, "paced")
    waiting |= waits("q", 0, [2.0] * 10)
    counts = Counter(level.priority for level, _ in run(waiting, 6, allowed={"paced": 2}))
    assert counts == {9: 2, 0: 4}
    assert {level.task for level, _ in run(waiting, 3, allowed={"paced": 0})} == {None}
    assert {level.task for level, _ in run(waiting, 3)} == {"paced"}


def test_turns_of_many_queues_are_forgotten() -> None:
    """A queue for each customer fills no memory."""
    turns = Turns()
    for number in range(30_000):
        turns.note(f"customer {number}", 1)
    assert len(turns._counts) <= 10_001


levels = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.integers(-2, 2), st.sampled_from([None, "paced"])),
    st.lists(st.integers(0, 50), min_size=1, max_size=20).map(sorted),
    max_size=10,
)


@given(levels, st.integers(1, 40), st.integers(0, 5))
def test_a_claim_is_full_unless_nothing_is_left(
    found: dict[tuple[str, int, str | None], list[int]], most: int, allowed: int
) -> None:
    """No job twice, none over a limit, the first of a level first, and no room left in vain."""
    waiting = {
        Level(queue, priority, dues[0], task): [float(due) for due in dues]
        for (queue, priority, task), dues in found.items()
    }
    before = {level: list(dues) for level, dues in waiting.items()}
    claimed = run(waiting, most, allowed={"paced": allowed})
    paced = [due for level, due in claimed if level.task == "paced"]
    assert len(paced) <= allowed
    assert len(claimed) <= most
    for level, dues in before.items():
        taken = [due for one, due in claimed if one == level]
        assert taken == dues[: len(taken)]
        assert waiting[level] == dues[len(taken) :]
    if len(claimed) < most:
        left = [level for level, dues in waiting.items() if dues]
        assert all(level.task == "paced" for level in left)
        assert not left or len(paced) == allowed


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=60))
def test_no_job_waits_for_ever(arrivals: list[tuple[int, int]]) -> None:
    """A job of the lowest priority is claimed, whatever arrives above it without end."""
    waiting = {Level("q", priority, 0.0): [0.0] for priority in (-1, 0, 1, 2, 3)}
    patient = next(iter(waiting))
    turns, now = Turns(), 0.0
    for _ in range(100):
        for priority, count in arrivals:
            now += 1.0
            waiting[Level("q", priority, 0.0)] += [now] * count
            current = {
                Level("q", level.priority, dues[0]): dues for level, dues in waiting.items() if dues
            }
            run(current, 2, turns)
            if not waiting[patient]:
                return
    raise AssertionError("it starves")
