"""What the supervisor decides, with a clock of its own and no process at all."""

import pytest

from dewar.server.errors import ServerStateError
from dewar.server.processes.decisions import Action, Decision, SupervisorPhase
from dewar.server.processes.policy import SupervisorPolicy
from dewar.server.processes.worker_state import TRANSITIONS, Heartbeat, WorkerState


class Stage:
    """A policy, a clock, and workers that obey at once, unless they are held."""

    def __init__(self, wanted: int = 2, worker_timeout: float = 60, graceful: float = 30) -> None:
        self.policy = SupervisorPolicy(wanted, worker_timeout, graceful)
        self.now = 1000.0
        self.next_number = 1
        self.beats: dict[int, float] = {}
        self.stuck: dict[int, float] = {}
        self.alive: list[int] = []

    def decide(self) -> list[tuple[str, int]]:
        """Carry out what is decided as far as making goes; return all of it."""
        heartbeats = {
            n: Heartbeat(self.beats.get(n, self.now), self.stuck.get(n)) for n in self.alive
        }
        decisions = self.policy.decide(self.now, heartbeats)
        for decision in decisions:
            if decision.action is Action.FORK:
                self.policy.note_forked(self.next_number, self.now)
                self.alive.append(self.next_number)
                self.next_number += 1
        return [(decision.action.name, decision.number) for decision in decisions]

    def ready(self, *numbers: int) -> None:
        """Workers accept."""
        for number in numbers:
            self.policy.note_ready(number, self.now)

    def gone(self, *numbers: int) -> None:
        """Workers are reaped."""
        for number in numbers:
            self.alive.remove(number)
            self.policy.note_gone(number, self.now)

    def started(self) -> "Stage":
        """Bring all that are wanted up."""
        forks = self.decide()
        self.ready(*range(1, len(forks) + 1))
        assert self.policy.phase is SupervisorPhase.SERVING
        assert self.decide() == []
        return self


def test_the_first_workers_are_made_all_at_once() -> None:
    """There is nothing to be careful of yet."""
    stage = Stage(wanted=4)
    assert stage.decide() == [("FORK", 0)] * 4
    assert stage.decide() == []
    stage.ready(1, 2, 3)
    assert stage.policy.phase is SupervisorPhase.STARTING
    stage.ready(4)
    assert stage.policy.phase is SupervisorPhase.SERVING


def test_a_dead_worker_is_replaced_at_once() -> None:
    """The first time nothing is waited for."""
    stage = Stage().started()
    stage.now += 100
    stage.gone(1)
    assert stage.decide() == [("FORK", 0)]
    assert stage.policy.worker_failures == 1


def test_quick_deaths_in_a_row_are_replaced_ever_more_slowly() -> None:
    """0.1 s, doubling, up to 10 s; `wait_time` says when."""
    stage = Stage(wanted=1).started()
    stage.gone(1)
    waits = []
    for _ in range(10):
        began = stage.now
        while not (made := stage.decide()):
            stage.now += stage.policy.wait_time(stage.now)
        assert made == [("FORK", 0)]
        waits.append(round(stage.now - began, 6))
        stage.gone(stage.alive[-1])
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_worker_that_served_for_a_while_ends_the_row() -> None:
    """Its death says nothing about the next one's chances."""
    stage = Stage(wanted=1).started()
    for number in range(1, 6):
        stage.gone(number)
        while not stage.decide():
            stage.now += stage.policy.wait_time(stage.now)
    stage.ready(6)
    stage.now += 1.0
    stage.gone(6)
    assert stage.decide() == [("FORK", 0)]


def test_a_worker_that_fails_at_the_first_start_ends_everything() -> None:
    """There is nothing to serve with, and trying again would change nothing."""
    stage = Stage(wanted=2)
    stage.decide()
    stage.ready(1)
    stage.gone(2)
    assert stage.policy.failed
    assert stage.decide() == [("QUIT", 1)]
    stage.gone(1)
    assert stage.policy.is_done()


def test_a_reload_replaces_one_after_the_other() -> None:
    """At every moment as many serve as are wanted."""
    stage = Stage(wanted=2).started()
    stage.policy.reload()
    assert stage.policy.is_reloading()
    assert stage.decide() == [("FORK", 0)]
    assert stage.decide() == []  # nobody stops before it serves
    stage.ready(3)
    assert stage.decide() == [("RETIRE", 1), ("FORK", 0)]
    stage.gone(1)
    assert stage.decide() == []
    stage.ready(4)
    assert stage.decide() == [("RETIRE", 2)]
    assert not stage.policy.is_reloading()
    stage.gone(2)
    assert stage.decide() == []
    assert stage.policy.worker_failures == 0


def test_a_large_server_reloads_several_at_a_time() -> None:
    """A quarter of them, so that a reload takes four rounds and not a hundred."""
    stage = Stage(wanted=8).started()
    stage.policy.reload()
    assert stage.decide() == [("FORK", 0)] * 2


def test_a_reload_whose_successor_fails_is_given_up() -> None:
    """Those that serve stay, and nothing more is tried."""
    stage = Stage(wanted=2).started()
    stage.policy.reload()
    stage.decide()
    stage.gone(3)
    assert stage.policy.abandoned == 1
    assert not stage.policy.is_reloading()
    stage.now += 100
    assert stage.decide() == []
    stage.policy.reload()  # after the code was mended
    assert stage.decide() == [("FORK", 0)]
    stage.ready(4)
    assert stage.decide()[0] == ("RETIRE", 1)


def test_a_worker_that_asks_out_is_replaced_before_it_goes() -> None:
    """After its share of requests."""
    stage = Stage(wanted=2).started()
    stage.policy.note_wants_replacement(2)
    assert stage.decide() == [("FORK", 0)]
    stage.ready(3)
    assert stage.decide() == [("RETIRE", 2)]


def test_a_successor_that_fails_outside_a_reload_is_tried_again() -> None:
    """The one that asked goes on meanwhile."""
    stage = Stage(wanted=1).started()
    stage.policy.note_wants_replacement(1)
    stage.decide()
    stage.gone(2)
    assert stage.decide() == [("FORK", 0)]
    assert stage.policy.state_of(1) is WorkerState.SERVING


def test_one_more_and_one_less() -> None:
    """Of two that serve the older one goes; the last one stays."""
    stage = Stage(wanted=1).started()
    stage.policy.grow()
    assert stage.decide() == [("FORK", 0)]
    stage.ready(2)
    assert stage.decide() == []
    assert stage.policy.shrink()
    assert stage.decide() == [("RETIRE", 1)]
    assert not stage.policy.shrink()


def test_a_worker_without_a_sign_of_life_is_aborted_and_killed() -> None:
    """And replaced at once, without waiting for its end."""
    stage = Stage(worker_timeout=10).started()
    stage.beats[1] = stage.now
    stage.now += 10
    assert stage.decide() == []
    stage.now += 0.1
    assert stage.decide() == [("ABORT", 1), ("FORK", 0)]
    stage.now += 0.5
    assert stage.decide() == []
    stage.now += 0.5
    assert stage.decide() == [("KILL", 1)]
    stage.gone(1)
    assert stage.policy.worker_failures == 1


def test_a_worker_all_of_whose_threads_are_inside_the_app_is_hung() -> None:
    """Although its overflow leader beats."""
    stage = Stage(worker_timeout=10).started()
    stage.stuck[2] = stage.now
    stage.now += 10.1
    heartbeats = {n: Heartbeat(stage.now, stage.stuck.get(n)) for n in (1, 2)}
    (decision, fork) = stage.policy.decide(stage.now, heartbeats)
    assert decision == Decision(Action.ABORT, 2, "no thread back from the app for 10.1 s")
    assert fork.action is Action.FORK


def test_without_a_worker_timeout_nothing_is_hung() -> None:
    """Zero is for any time."""
    stage = Stage(worker_timeout=0).started()
    stage.beats = {1: stage.now, 2: stage.now}
    stage.now += 10_000
    assert stage.decide() == []


def test_silence_while_everything_was_frozen_is_excused() -> None:
    """A supervisor that was stopped itself cannot blame the workers."""
    stage = Stage(worker_timeout=10).started()
    stage.beats = {1: stage.now, 2: stage.now}
    stage.now += 3600
    stage.policy.note_oversleep(3599, stage.now)
    assert stage.decide() == []
    stage.now += 10.1
    assert [action for action, _ in stage.decide()] == ["ABORT", "ABORT", "FORK", "FORK"]


def test_a_stop_lets_all_finish_then_cuts_then_kills() -> None:
    """Each after its time; nobody is replaced meanwhile."""
    stage = Stage().started()
    stage.policy.stop(stage.now, 30)
    assert stage.decide() == [("STOP", 1), ("STOP", 2)]
    stage.gone(2)
    stage.now += 29.9
    assert stage.decide() == []
    stage.now += 0.1
    assert stage.decide() == [("QUIT", 1)]
    stage.now += 4
    assert stage.decide() == [("KILL", 1)]
    stage.gone(1)
    assert stage.policy.is_done()
    assert stage.policy.worker_failures == 0
    assert not stage.policy.failed


def test_a_second_stop_can_only_be_quicker() -> None:
    """Also one that is more patient."""
    stage = Stage().started()
    stage.policy.stop(stage.now, 30)
    stage.decide()
    stage.policy.stop(stage.now, 60)
    assert stage.decide() == []
    stage.policy.stop(stage.now, 0)
    assert stage.decide() == [("QUIT", 1), ("QUIT", 2)]


def test_a_retiring_worker_has_its_time_and_no_more() -> None:
    """Then it cuts what is left."""
    stage = Stage(graceful=5).started()
    stage.policy.reload()
    stage.decide()
    stage.ready(3)
    assert stage.decide()[0] == ("RETIRE", 1)
    stage.now += 5
    assert ("QUIT", 1) in stage.decide()


def test_reloads_that_come_quicker_than_clients_leave_wait() -> None:
    """So that processes do not pile up; a dead worker is replaced all the same."""
    stage = Stage(wanted=1).started()
    for number in range(2, 5):
        stage.policy.reload()
        assert ("FORK", 0) in stage.decide()
        stage.ready(number)
        assert stage.decide() == [("RETIRE", number - 1)]
    stage.policy.reload()
    assert stage.decide() == []
    stage.now += 2
    stage.gone(4)
    assert stage.decide() == [("FORK", 0)]


def test_rest_is_never_longer_than_until_the_next_deadline() -> None:
    """And a second at most, because workers have to be looked at."""
    stage = Stage().started()
    assert stage.policy.wait_time(stage.now) == 1.0
    stage.policy.stop(stage.now, 0.25)
    stage.decide()
    assert stage.policy.wait_time(stage.now) == 0.25


def test_where_the_system_has_no_process_to_give_it_is_asked_again_later() -> None:
    """A second later."""
    policy = SupervisorPolicy(1, 60, 30)
    assert policy.decide(0.0, {}) == [Decision(Action.FORK)]
    policy.note_no_fork(0.0)
    assert policy.decide(0.9, {}) == []
    assert policy.decide(1.0, {}) == [Decision(Action.FORK)]


def test_the_table_of_moves_is_closed() -> None:
    """Every state is in it, and leads to its end."""
    assert set(TRANSITIONS) == set(WorkerState)
    for state in set(WorkerState) - {WorkerState.GONE}:
        assert WorkerState.GONE in TRANSITIONS[state]


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    """A policy that goes wrong says so."""
    stage = Stage().started()
    (worker, *_) = stage.policy._workers.values()
    with pytest.raises(ServerStateError, match="cannot become STARTING"):
        stage.policy._move(worker, WorkerState.STARTING, stage.now)
