"""Accept jobs while workers and the whole server are killed, and account for every one of them.

``make crashes`` runs the long form: 10,000 jobs, ten ``kill -9``. Nothing may vanish: each accepted
job is done or, where it may not be repeated, perhaps lost; it has one outcome, and one callback
with one ``webhook-id`` over all attempts. Run as a script it prints what it counted and exits with
1 where something is amiss.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.ledger.opening import open_ledger
from dewar.tasks.ledger.records import JobState
from dewar.tasks.webhooks import new_secret, verify
from faulttools import Running
from polling import eventually

_CLIENTS = 8
_PATIENCE = 240.0


class Receiver(ThreadingHTTPServer):
    """Takes callbacks, turns some away at first, and remembers their ids."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, secret: str, turned_away: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secret = secret
        self.turned_away = turned_away
        self.ids: dict[str, Counter[str]] = defaultdict(Counter)
        self.taken: set[str] = set()
        self.states: dict[str, str] = {}
        self.dice = random.Random(7)
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def take(self, webhook_id: str, body: dict[str, Any]) -> int:
        """Return the status to answer a callback with."""
        with self.lock:
            seen = self.ids[body["id"]]
            seen[webhook_id] += 1
            if seen.total() == 1 and self.dice.random() < self.turned_away:
                return 500
            self.taken.add(body["id"])
            self.states[body["id"]] = body["state"]
            return 204


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # its sender was killed half way
        told = verify(body, self.headers, [self.server.secret])
        self.send_response(self.server.take(self.headers["webhook-id"], told))
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Crashes:
    """One run.

    Args:
        jobs: how many are to be accepted.
        kills: how many times something is killed meanwhile; every third time it is all of it.
        folder: for the ledger and the marks.
    """

    def __init__(self, jobs: int, kills: int, folder: Path) -> None:
        self.jobs = jobs
        self.kills = kills
        self.marks = folder / "marks"
        self.where = folder / "jobs.sqlite3"
        self.secret = new_secret()
        self.receiver = Receiver(self.secret, 0.02)
        self.accepted: dict[str, str] = {}
        self.refused: Counter[str] = Counter()
        self.lock = threading.Lock()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.server = self.serve()

    def serve(self) -> Running:
        """Start the server."""
        env = {
            **os.environ,
            "LEDGER": str(self.where),
            "MARKS": str(self.marks),
            "CALLBACK": self.receiver.url,
            "SECRET": self.secret,
            "PYTHONUNBUFFERED": "1",
        }
        script = str(Path(__file__).parent / "crashing.py")
        code = f"import runpy, sys; sys.argv[1:] = ['127.0.0.1:{self.port}'];"
        code += f" runpy.run_path({script!r}, run_name='__main__')"
        server = Running(code, env=env)
        server.wait_ready()
        return server

    def run(self) -> list[str]:
        """Submit, kill, wait; return what is amiss."""
        numbers = iter([f"{'once' if n % 5 == 0 else 'again'}/{n}" for n in range(self.jobs)])
        threads = [
            threading.Thread(target=self.submit, args=(numbers,), daemon=True)
            for _ in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        try:
            for kill in range(1, self.kills + 1):
                self.wait(lambda: len(self.accepted) >= kill * self.jobs // (self.kills + 1))  # noqa: B023
                self.kill(everything=kill % 3 == 0)
            for thread in threads:
                thread.join(_PATIENCE)
            ledger = open_ledger(self.where)
            try:
                self.wait(lambda: not _active(ledger))
                self.wait(lambda: self.receiver.taken >= set(self.accepted))
                return self.amiss(ledger)
            finally:
                ledger.close()
        finally:
            self.server.close()
            self.receiver.shutdown()
            self.receiver.server_close()

    def submit(self, numbers: Any) -> None:
        """Have each number accepted, as often as it takes."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while True:
            with self.lock:
                number = next(numbers, None)
            if number is None:
                client.close()
                return
            eventually(lambda number=number: self.ask(client, number), limit=_PATIENCE)

    def ask(self, client: http.client.HTTPConnection, number: str) -> bool:
        try:
            client.request("POST", f"/{number}")
            answer = client.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.refused[type(error).__name__] += 1
            client.close()
            return False
        if answer.status != 202:
            self.refused[str(answer.status)] += 1
            client.close()
            return False
        with self.lock:
            self.accepted[json.loads(body)["id"]] = number
        return True

    def kill(self, everything: bool) -> None:
        """Kill a worker, or the whole server and start another."""
        if everything:
            self.server.close()
            self.server = self.serve()
            return
        victim = random.SystemRandom().choice(self.server.workers())
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        self.wait(self.server.without(victim))

    def wait(self, condition: Any) -> None:
        """Wait until something holds."""
        eventually(
            condition,
            lambda: f"{len(self.accepted)} accepted; {self.server.lines[-20:]}",
            _PATIENCE,
        )

    def amiss(self, ledger: Ledger) -> list[str]:
        """Compare the ledger, the marks and the callbacks with what was accepted."""
        marks = Counter(self.marks.read_text().split())
        states: Counter[JobState] = Counter()
        attempts: Counter[int] = Counter()
        found: list[str] = []
        records = ledger.get_many(list(self.accepted))
        for id, number in self.accepted.items():
            record = records.get(id)
            if record is None:
                found.append(f"{id} has vanished")
                continue
            kind, _, n = number.partition("/")
            states[record.state] += 1
            attempts[record.attempts] += 1
            allowed = {JobState.DONE} | ({JobState.LOST} if kind == "once" else set())
            if record.state not in allowed or record.finished is None:
                found.append(f"{id}, {number}, is {record.state}")
            if record.state is JobState.DONE and not marks[n]:
                found.append(f"{id}, {number}, never ran")
            ids = self.receiver.ids[id]
            if len(ids) != 1:
                found.append(f"{id} has the webhook ids {ids}")
            if self.receiver.states[id] != record.state.value:
                found.append(f"{id} was told as {self.receiver.states[id]}")
        twice = self.twice(ledger, marks)
        told = sum(ids.total() for ids in self.receiver.ids.values())
        print(
            f"{len(self.accepted)} accepted, {self.kills} kills: "
            + ", ".join(
                f"{count} {state.value}" for state, count in sorted(states.items(), key=str)
            )
            + f"; attempts {dict(sorted(attempts.items()))}; {told} callbacks for"
            f" {len(self.receiver.taken)} jobs; requests that failed {dict(self.refused)}",
            flush=True,
        )
        return found + twice

    def twice(self, ledger: Ledger, marks: Counter[str]) -> list[str]:
        """Return which of the jobs that may not be repeated ran more often than they have jobs.

        A client whose request was cut asks again, so one number may have two jobs.
        """
        jobs: Counter[str] = Counter()
        last: str | None = None
        while page := ledger.list(task="once", limit=1000, before=last):
            jobs.update(json.loads(record.arguments)[0][0] for record in page)
            last = page[-1].id
        return [f"once/{n} ran {marks[n]} times" for n, count in jobs.items() if marks[n] > count]


def _active(ledger: Ledger) -> int:
    counts = ledger.counts()
    return counts[JobState.QUEUED] + counts[JobState.RUNNING]


def run(jobs: int, kills: int) -> list[str]:
    """Do one run in a folder of its own; return what is amiss."""
    with tempfile.TemporaryDirectory() as folder:
        return Crashes(jobs, kills, Path(folder)).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    given = parser.parse_args()
    problems = run(given.jobs, given.kills)
    print("\n".join(problems[:20]) or "nothing is amiss")
    sys.exit(bool(problems))
