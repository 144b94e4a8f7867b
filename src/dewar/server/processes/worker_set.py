"""`WorkerSet`: forks, signals and reaps the worker processes, as the policy decides."""

import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from socket import socket

from dewar.server.processes.app_source import AppSource
from dewar.server.processes.control_channel import (
    Command,
    ControlChannel,
    Report,
    open_control_channel,
)
from dewar.server.processes.decisions import Action, Decision
from dewar.server.processes.fork import EXIT_LOAD, ChildCleanup, fork
from dewar.server.processes.hooks import ServerHooks
from dewar.server.processes.policy import SupervisorPolicy
from dewar.server.processes.scoreboard import Scoreboard
from dewar.server.processes.worker_agreement import WorkerAgreement
from dewar.server.processes.worker_process import Assignment, WorkerProcess
from dewar.server.processes.worker_state import WorkerState
from dewar.server.settings.settings import Settings
from dewar.support.bounded_log import BoundedLog

_logger = logging.getLogger("dewar.server")

# How often `end_all` looks whether a worker has ended, in seconds.
_LOOK = 0.05
_COMMANDS = {Action.RETIRE: Command.RETIRE, Action.STOP: Command.STOP, Action.QUIT: Command.QUIT}


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSpec:
    """What all workers have in common.

    Attributes:
        listeners: The sockets that all workers accept from.
        cleanup: Closes, in a worker, what belongs to the supervisor alone.
        return_handlers: Gives the program, in a worker, its signal handlers back.
        hooks: Called at the steps of each worker.
    """

    settings: Settings
    source: AppSource
    listeners: list[socket]
    cleanup: ChildCleanup
    return_handlers: Callable[[], None]
    hooks: ServerHooks


@dataclass(frozen=True, slots=True)
class WorkerHandle:
    """A worker process, as the supervisor sees it."""

    number: int
    pid: int
    channel: ControlChannel
    generation: int


class WorkerSet:
    """Executes the decisions of the policy, and passes events to it.

    Args:
        spec: What all workers have in common.
        policy: Gets the events.
        scoreboard: Where the workers write their heartbeats and statistics.

    Attributes:
        failure: The last reason why a worker could not load the application.
        is_stop_requested: Whether the application, in a worker, has asked to stop the server.
    """

    def __init__(self, spec: WorkerSpec, policy: SupervisorPolicy, scoreboard: Scoreboard) -> None:
        self._spec = spec
        self._policy = policy
        self._scoreboard = scoreboard
        self._handles: dict[int, WorkerHandle] = {}
        self._agreement = WorkerAgreement()
        self._log = BoundedLog(_logger, time.monotonic)
        self.failure = ""
        self.is_stop_requested = False
        spec.cleanup.add(self._close_channels)

    def __repr__(self) -> str:
        return f"<WorkerSet of {len(self._handles)} for {self._spec.source.name}>"

    @property
    def channels(self) -> Mapping[int, ControlChannel]:
        """The supervisor's ends of the channels to the workers, by number."""
        return {number: handle.channel for number, handle in self._handles.items()}

    @property
    def pids(self) -> frozenset[int]:
        """The processes of the workers."""
        return frozenset(handle.pid for handle in self._handles.values())

    def execute(self, decision: Decision) -> None:
        """Execute a decision."""
        if decision.action is Action.FORK:
            self._fork()
            return
        handle = self._handles[decision.number]
        if decision.reason:
            _logger.warning(
                "Worker %d (process %d): %s: %s.",
                handle.number, handle.pid, decision.reason, decision.action.name,
            )  # fmt: skip
        if decision.action is Action.ABORT:
            self._send_signal(handle, signal.SIGABRT)
        elif decision.action is Action.KILL:
            self._send_signal(handle, signal.SIGKILL)
        else:
            loads = self._scoreboard.state_of(handle.number) is WorkerState.STARTING
            handle.channel.send_nowait(_COMMANDS[decision.action])
            if loads:
                # While it loads it does not read commands, and SIGTERM ends it. If it has just
                # begun to serve, SIGTERM only asks for a replacement, and the command stops it.
                self._send_signal(handle, signal.SIGTERM)
        self._show_state(handle.number)

    def read_reports(self, number: int, now: float) -> None:
        """Read the messages of a worker."""
        for report, text in self._handles[number].channel.receive_reports():
            if report is Report.READY:
                self._policy.note_ready(number, now)
                self._show_state(number)
            elif report is Report.WANTS_REPLACEMENT:
                self._policy.note_wants_replacement(number)
            elif report is Report.STOP_ALL:
                self.is_stop_requested = True
            elif report is Report.SECRET:
                self._agreement.compare(self._handles[number].generation, text)
            else:
                self.failure = text

    def pass_signal(self, name: str) -> None:
        """Pass a signal that the supervisor got to all workers, whose programs may handle it."""
        for handle in self._handles.values():
            handle.channel.pass_signal(signal.Signals[name])

    def reap(self) -> list[int]:
        """Reap the workers that have ended; return their numbers."""
        gone = []
        for handle in list(self._handles.values()):
            try:
                pid, status = os.waitpid(handle.pid, os.WNOHANG)
            except ChildProcessError:
                pid, status = handle.pid, 0  # another part of the program has waited for it
            if pid:
                self._note_exit(handle, status)
                gone.append(handle.number)
        return gone

    def end_all(self, timeout: float) -> None:
        """Stop all workers and wait for them; kill those that are left after *timeout* seconds."""
        for handle in self._handles.values():
            handle.channel.send_nowait(Command.STOP)
        deadline = time.monotonic() + timeout
        while self._handles and time.monotonic() < deadline:
            self.reap()
            time.sleep(_LOOK)
        self.kill_all()

    def kill_all(self) -> None:
        """Kill all workers at once, because the supervisor itself ends."""
        for handle in list(self._handles.values()):
            self._send_signal(handle, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(handle.pid, 0)
            handle.channel.close()
            self._scoreboard.release(handle.number)
        self._handles.clear()

    def _fork(self) -> None:
        now = time.monotonic()
        number = self._scoreboard.maybe_free()
        if number is None:
            self._policy.note_no_fork(now)
            return
        generation = self._policy.generation
        self._scoreboard.reserve(number, generation, now)
        self._spec.hooks.forking(number)
        ours, theirs = open_control_channel()
        try:
            pid = fork(lambda: self._run_worker(number, ours, theirs))
        except OSError as error:
            ours.close()
            theirs.close()
            self._log.warn("No worker can be forked: %s. Trying again.", error)
            self._policy.note_no_fork(now)
            return
        theirs.close()
        self._scoreboard.assign(number, pid)
        self._handles[number] = WorkerHandle(number, pid, ours, generation)
        self._policy.note_forked(number, now)
        self._spec.hooks.forked(number, pid)

    def _run_worker(self, number: int, ours: ControlChannel, theirs: ControlChannel) -> int:
        """Run in the child: close what belongs to the supervisor, then serve."""
        ours.close()
        spec = self._spec
        spec.cleanup.run()
        spec.return_handlers()
        return WorkerProcess(
            Assignment(
                settings=spec.settings,
                source=self._agreement.telling(spec.source, theirs),
                listeners=list(spec.listeners),
                slot=self._scoreboard.slot(number),
                channel=theirs,
                hooks=spec.hooks,
            )
        ).run()

    def _close_channels(self) -> None:
        """Close the supervisor's ends in a child: one left open hides that the supervisor died."""
        for handle in self._handles.values():
            handle.channel.close()

    def _note_exit(self, handle: WorkerHandle, status: int) -> None:
        now = time.monotonic()
        self.read_reports(handle.number, now)  # its last words
        handle.channel.close()
        del self._handles[handle.number]
        self._scoreboard.release(handle.number)
        before = self._policy.state_of(handle.number)
        if self._policy.note_gone(handle.number, now):
            loading = " while it loaded the application" * (before is WorkerState.STARTING)
            ended = describe_status(status)
            _logger.error("Worker %d (process %d) %s%s.", handle.number, handle.pid, ended, loading)
            if before is WorkerState.STARTING and not self.failure:
                self.failure = f"A worker {ended}{loading}."
        elif before is WorkerState.ABORTED:
            _logger.error("Worker %d (process %d) was hung.", handle.number, handle.pid)
        self._spec.hooks.worker_gone(handle.number)

    def _send_signal(self, handle: WorkerHandle, number: int) -> None:
        with suppress(ProcessLookupError):  # some systems no longer know one that is not reaped
            os.kill(handle.pid, number)

    def _show_state(self, number: int) -> None:
        self._scoreboard.set_state(number, self._policy.state_of(number))


def describe_status(status: int) -> str:
    """Return a status of `os.waitpid` in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        hint = " (it could not load the application)" if code == EXIT_LOAD else ""
        return f"ended with status {code}{hint}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
