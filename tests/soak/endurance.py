"""A million requests of every kind against one server process: does anything grow?

``make soak-endurance`` runs the long form; the suite runs a short one. Clients are processes of
their own; they look at every answer, and hang up in all the wrong places. In between, with all of
them gone, the server's process is looked at: its descriptors and threads must be as many as after
the warm-up (a tenth of the requests), and its memory must not grow by 2 % from there. Exits with 1
where that is not so, or where an answer was wrong.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from soak.mixed_client import ROUND
from soaktools import Sample, SoakedServer, result_of, start_client, table

CLIENT = Path(__file__).with_name("mixed_client.py")
MOST_GROWTH = 0.02


@dataclass
class Findings:
    """What a run found.

    Attributes:
        done: Requests by kind that were answered as they should be, or given up on purpose.
        wrong: What went wrong at the clients.
        errors: What the server logged that it should not have to.
        samples: The server's process after each stage, the first one being the warm-up.
        blocks: What Python had allocated then, in pieces. A leak shows here first.
    """

    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    errors: str = ""
    samples: list[Sample] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """How much more memory there is in the last quarter of the run than in its first one.

        Each is the mean of several looks: the interpreter takes memory by the MiB, so that one look
        at a server of 40 MiB is 2.5 % off as often as not. The warm-up does not count.
        """
        return _growth([sample.memory for sample in self.samples[1:]])

    @property
    def block_growth(self) -> float:
        """The same for the blocks that Python has allocated."""
        return _growth(self.blocks[1:])

    def complaints(self) -> list[str]:
        """Return what is not as it should be, but for the memory."""
        found = list(self.wrong)
        for name in ("fds", "threads"):
            seen = [getattr(sample, name) for sample in self.samples]
            if len(set(seen)) > 1:
                found.append(f"{name} are not flat: {seen}")
        if self.errors:
            found.append(f"the server logged:\n{self.errors[-2000:]}")
        return found


def _growth(series: Sequence[int]) -> float:
    quarter = max(1, len(series) // 4)
    return statistics.mean(series[-quarter:]) / statistics.mean(series[:quarter]) - 1


class Endurance:
    """A server and its clients.

    Args:
        threads: Of the server.
        clients: Processes that send requests.
    """

    def __init__(self, threads: int, clients: int) -> None:
        self._threads = threads
        self._clients = clients
        self.findings = Findings()

    def run(self, requests: int, stages: int) -> Findings:
        """Send about *requests* requests in *stages* equal parts, after one more as a warm-up."""
        findings = self.findings
        rounds = max(1, round(requests / stages / self._clients / ROUND))
        with SoakedServer(threads=self._threads) as server:
            server.start_threads(self._threads)
            with server.kept_moving(self._threads):
                self._send(server.port, max(1, rounds * stages // 10), 0)
            self._look(server)
            findings.done.clear()  # the warm-up does not count
            for stage in range(1, stages + 1):
                began = time.perf_counter()
                self._send(server.port, rounds, stage)
                seconds = time.perf_counter() - began
                self._look(server)
                self.report(findings.done.total(), seconds)
            findings.errors = server.errors()
        return findings

    def _look(self, server: SoakedServer) -> None:
        server.wait_quiet()
        self.findings.samples.append(server.sample())
        self.findings.blocks.append(int(server.get("/blocks")))

    def report(self, requests: int, seconds: float) -> None:
        """Say how far it is; the short form says nothing."""

    def _send(self, port: int, rounds: int, stage: int) -> None:
        seeds = range(stage * self._clients + 1, (stage + 1) * self._clients + 1)
        clients = [start_client(CLIENT, port, rounds, seed) for seed in seeds]
        for client in clients:
            with client:
                result = result_of(client)
            self.findings.done.update(result["done"])
            self.findings.wrong += result["wrong"]


class _Loud(Endurance):
    """Prints a line for each stage."""

    def report(self, requests: int, seconds: float) -> None:
        sample, before = self.findings.samples[-1], self.findings.samples[0]
        print(
            f"{requests:>9,} requests  {seconds:6.1f} s  {sample.fds} fds  {sample.threads}"
            f" threads  {sample.memory:,} KiB ({sample.memory / before.memory - 1:+.2%}),"
            f" {self.findings.blocks[-1]:,} blocks",
            flush=True,
        )


def main() -> int:
    """Run the long form and print what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--stages", type=int, default=20, help="looks at the server's process")
    parser.add_argument("--clients", type=int, default=3, help="processes that send requests")
    parser.add_argument("--threads", type=int, default=16, help="of the server")
    arguments = parser.parse_args()
    soak = _Loud(arguments.threads, arguments.clients)
    findings = soak.run(arguments.requests, arguments.stages)
    print(table(("kind", "requests"), [(k, f"{n:,}") for k, n in findings.done.most_common()]))
    complaints = findings.complaints()
    if findings.growth >= MOST_GROWTH:
        complaints.append(f"memory grew by {findings.growth:.1%}")
    if findings.block_growth >= MOST_GROWTH:
        complaints.append(f"what Python has allocated grew by {findings.block_growth:.1%}")
    print(f"{findings.done.total():,} requests: {len(findings.wrong)} wrong,", end=" ")
    print(f"memory {findings.growth:+.2%}, blocks {findings.block_growth:+.2%}")
    for complaint in complaints[:20]:
        print(" ", complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
