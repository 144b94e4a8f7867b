"""The process that takes signals and supervises the workers.

It has one thread and serves no clients: it forks workers that share the listening sockets, and runs
a loop. Each round passes events to the `SupervisorPolicy`, and the `WorkerSet` executes its
decisions. The supervisor forks while it has one thread only: a lock that another thread held at the
fork would stay locked in the worker.
"""

import gc
import logging
import selectors
import time
from dataclasses import replace
from socket import socket

from dewar.server.processes.app_source import AppSource
from dewar.server.processes.decisions import SupervisorPhase
from dewar.server.processes.deferred_handlers import DeferredHandlers
from dewar.server.processes.fork import EXIT_LOAD, ChildCleanup
from dewar.server.processes.metrics_process import MetricsProcess
from dewar.server.processes.orphans import OrphanReaper, is_init
from dewar.server.processes.policy import SupervisorPolicy
from dewar.server.processes.scoreboard import Scoreboard
from dewar.server.processes.supervisor_links import MakeEndpoint, SupervisorLinks
from dewar.server.processes.worker_set import WorkerSet, WorkerSpec
from dewar.server.settings.settings import Settings
from dewar.server.system.last_threads import limit_interpreter_exit
from dewar.server.system.listeners import close_listeners, stop_listening, url_of
from dewar.server.system.process_title import set_title
from dewar.server.system.signals import HANDLED_SIGNALS, SignalInbox
from dewar.server.system.terminal import Terminal

_logger = logging.getLogger("dewar.server")

# Without signals, on another thread than the main one, ended workers are found by looking.
_LOOK = 0.2
# Workers act on these as if they had got them. SIGTERM is not here: a worker runs the program's
# handler for it whenever it stops, for whatever reason.
_PASSED_ON = frozenset({"SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"})
# Few descriptors and rare rounds: unlike epoll, poll needs no descriptor.
_Selector: type[selectors.BaseSelector] = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)


class Supervisor:
    """Keeps as many workers running as are wanted.

    Args:
        settings: How to serve.
        source: Where the application comes from.
        listeners: Bound sockets, which may not listen yet; closed at the end.
        scoreboard: Where the workers write their heartbeats and statistics.
        links: What it is linked to besides the workers.
    """

    def __init__(
        self,
        settings: Settings,
        source: AppSource,
        listeners: list[socket],
        scoreboard: Scoreboard,
        links: SupervisorLinks,
    ) -> None:
        self._settings = settings
        self._source = source
        self._listeners = listeners
        self._scoreboard = scoreboard
        self._status_listener = links.status_listener
        self._parent_link = links.parent_link
        self._hooks = links.hooks
        self._terminal = Terminal()
        self._inbox = SignalInbox((*HANDLED_SIGNALS, "SIGUSR2", "SIGCHLD"), defers=True)
        self._cleanup = ChildCleanup()
        if links.parent_link is not None:
            self._cleanup.add(links.parent_link.close_in_child)
        self._metrics_process = self._maybe_metrics_process(links.endpoint)
        self._policy = SupervisorPolicy(
            settings.processes, settings.worker_timeout, settings.graceful_timeout
        )
        self._orphans: OrphanReaper | None = None
        self._max_workers = scoreboard.capacity // 4
        self._is_up = False
        self._abandoned = 0
        self._next_beat = 0.0

    def __repr__(self) -> str:
        return f"<Supervisor of {self._source.name}: {self._policy!r}>"

    def run(self) -> int:
        """Run until a signal or the parent stops it; return the exit status.

        Raises:
            Exception: Whatever *source* raises, if the application is preloaded.
            BaseException: What a signal handler of the program has raised, after a graceful stop.
        """
        set_title(f"dewar: supervisor [{self._source.name}]")
        try:
            if self._settings.preload:
                self._preload()
            self._orphans = OrphanReaper() if is_init() else None
            spec = WorkerSpec(
                settings=self._settings,
                source=self._source,
                listeners=self._listeners,
                cleanup=self._cleanup,
                return_handlers=self._inbox.return_handlers,
                hooks=self._hooks,
            )
            workers = WorkerSet(spec, self._policy, self._scoreboard)
            handlers = DeferredHandlers(self._inbox, workers.end_all)
            addresses = tuple(url_of(each, self._settings.scheme) for each in self._listeners)
            self._hooks.starting(addresses, self._policy.wanted)
            # What exists now is exempt from garbage collection: that would write to every page of
            # memory that the workers share. With preload the application is part of it.
            gc.collect()
            gc.freeze()
            with self._inbox:
                try:
                    status = self._serve(workers, handlers)
                finally:
                    self._end(workers)
            self._hooks.ended()
            return status
        finally:
            close_listeners(self._listeners)
            # A preloaded application may have started threads here.
            limit_interpreter_exit(self._policy.time_left(time.monotonic()))

    def _end(self, workers: WorkerSet) -> None:
        workers.kill_all()
        if self._metrics_process is not None:
            self._metrics_process.stop()  # last: the stop can be watched

    def _preload(self) -> None:
        app = self._source.load()
        self._source = replace(self._source, load=lambda: app, is_loaded=True)

    def _maybe_metrics_process(self, make_endpoint: MakeEndpoint | None) -> MetricsProcess | None:
        if make_endpoint is None:
            return None
        scoreboard = self._scoreboard
        endpoint = make_endpoint(
            lambda: {str(worker.number): worker.pool for worker in scoreboard.workers()},
            scoreboard.families,
        )
        title = f"dewar: metrics [{self._source.name}]"
        return MetricsProcess(title, endpoint, self._listeners, self._cleanup)

    def _serve(self, workers: WorkerSet, handlers: DeferredHandlers) -> int:
        policy = self._policy
        while True:
            now = time.monotonic()
            self._supervise_metrics_process(workers, now)
            for decision in policy.decide(now, self._scoreboard.heartbeats()):
                workers.execute(decision)
            self._report_status(workers, now)
            if self._run_handlers(workers, handlers):
                continue
            if policy.is_done():
                break
            self._wait(workers, now)
            self._handle_events(workers)
        if policy.failed:
            self._status_listener.failed(workers.failure)
            return EXIT_LOAD
        raised = handlers.raised
        if raised is not None and not isinstance(raised, KeyboardInterrupt):
            raise raised
        return 0

    def _run_handlers(self, workers: WorkerSet, handlers: DeferredHandlers) -> bool:
        """Run the program's signal handlers that are due; return whether there were any."""
        stopping = self._policy.phase is SupervisorPhase.STOPPING
        graceful_timeout = self._settings.graceful_timeout
        time_left = self._policy.time_left(time.monotonic()) if stopping else None
        if not handlers.run(time_left, graceful_timeout):
            return False
        self._handle_events(workers)  # signals that came meanwhile, before what a handler raised
        if handlers.raised is not None and self._policy.phase is not SupervisorPhase.STOPPING:
            self._stop(graceful_timeout)
        self._inbox.claim()
        return True

    def _supervise_metrics_process(self, workers: WorkerSet, now: float) -> None:
        metrics_process = self._metrics_process
        if metrics_process is None or self._policy.phase is SupervisorPhase.STOPPING:
            return
        metrics_process.supervise(now)
        if metrics_process.failure:
            workers.failure = metrics_process.failure
            self._policy.fail_start(now)

    def _wait(self, workers: WorkerSet, now: float) -> None:
        """Wait for an event or the next decision, and read the workers' messages."""
        wait_time = self._policy.wait_time(now)
        if self._status_listener.interval is not None:
            wait_time = min(wait_time, max(0.0, self._next_beat - now))
        if self._inbox.sock is None:
            wait_time = min(wait_time, _LOOK)
        with _Selector() as selector:
            if self._inbox.sock is not None:
                selector.register(self._inbox.sock, selectors.EVENT_READ)
            if self._parent_link is not None and not self._parent_link.is_closed:
                selector.register(self._parent_link.sock, selectors.EVENT_READ)
            for number, channel in workers.channels.items():
                if not channel.is_closed:
                    selector.register(channel.sock, selectors.EVENT_READ, number)
            beside = self._metrics_process.channel if self._metrics_process is not None else None
            if beside is not None and not beside.is_closed and beside.sock.fileno() >= 0:
                selector.register(beside.sock, selectors.EVENT_READ)
            ready = selector.select(wait_time)
        back = time.monotonic()
        self._policy.note_oversleep(back - now - wait_time, back)
        for key, _ in ready:
            if key.data is not None:
                workers.read_reports(key.data, back)

    def _handle_events(self, workers: WorkerSet) -> None:
        """Handle signals, ended workers and a request to stop."""
        for name in self._inbox.take():
            self._on_signal(name, workers)
        if self._parent_link is not None:
            timeout = self._parent_link.take()
            if timeout is not None:
                self._stop(timeout)
        if workers.is_stop_requested and self._policy.phase is not SupervisorPhase.STOPPING:
            self._stop(self._settings.graceful_timeout)
        workers.reap()
        if self._orphans is not None:
            beside = self._metrics_process.pid if self._metrics_process is not None else 0
            self._orphans.reap(workers.pids | {beside})
        self._scoreboard.set_worker_failures(self._policy.worker_failures)

    def _on_signal(self, name: str, workers: WorkerSet) -> None:
        """Act on a signal."""
        if name == "SIGINT" and self._parent_link is not None:
            return  # the terminal sends it to the program too, which stops this process
        if name in _PASSED_ON:
            workers.pass_signal(name)
        if name in ("SIGTERM", "SIGINT"):
            again = self._policy.phase is SupervisorPhase.STOPPING
            self._stop(0.0 if again else self._settings.graceful_timeout)
        elif name == "SIGQUIT":
            self._stop(0.0)
        elif self._policy.phase is SupervisorPhase.STOPPING:
            return
        elif name == "SIGHUP" and self._terminal.has_gone():
            if self._parent_link is None:  # else the program decides
                self._stop(self._settings.graceful_timeout)
        elif name == "SIGHUP":
            self._reload()
        elif name in ("SIGTTIN", "SIGTTOU"):
            self._scale(name)

    def _stop(self, timeout: float) -> None:
        if self._policy.phase is not SupervisorPhase.STOPPING:
            self._status_listener.stopping()
            # The file of a UNIX socket is removed at once. Clients that have connected are in the
            # queue that the workers share, and are answered.
            for listener in self._listeners:
                stop_listening(listener)
            close_listeners(self._listeners)
        self._policy.stop(time.monotonic(), timeout)

    def _reload(self) -> None:
        if self._source.is_loaded:
            _logger.warning(
                "SIGHUP restarts the workers with the same code: it was loaded before they were"
                " forked. Start the server again for new code, or leave preload out."
            )
        else:
            _logger.info("SIGHUP: each worker is replaced by one with freshly loaded code.")
        self._hooks.reloading()
        self._status_listener.reloading()
        self._policy.reload()

    def _scale(self, name: str) -> None:
        policy = self._policy
        if name == "SIGTTOU":
            if not policy.shrink():
                _logger.warning("SIGTTOU: the last worker stays. Stop the server with SIGTERM.")
                return
        elif policy.wanted >= self._max_workers:
            _logger.warning("SIGTTIN: %d workers are the most there can be.", policy.wanted)
            return
        else:
            policy.grow()
        self._hooks.scaled(policy.wanted)
        self._status_listener.status(f"{policy.wanted} workers wanted")

    def _report_status(self, workers: WorkerSet, now: float) -> None:
        """Tell the status listener what has changed."""
        policy, status_listener = self._policy, self._status_listener
        if policy.abandoned != self._abandoned:
            self._abandoned = policy.abandoned
            _logger.error("The reload has failed; the workers that serve stay. %s", workers.failure)
        is_up = policy.phase is SupervisorPhase.SERVING and not policy.is_reloading()
        if self._metrics_process is not None and not self._metrics_process.was_ready:
            is_up = False
        if is_up and not self._is_up:
            status_listener.ready(f"{policy.wanted} workers serve {self._source.name}")
        self._is_up = is_up
        if status_listener.interval is not None and now >= self._next_beat:
            self._next_beat = now + status_listener.interval
            status_listener.beat()
