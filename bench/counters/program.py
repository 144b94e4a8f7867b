"""The program whose requests are counted: ``python -m bench.counters.program``.

For each path it runs four windows: few requests and many, and the client's part of both alone. What
a request costs is the difference between many and few, without that of the client. It prints the
counters of its windows, or only marks them (``--mark``) for a tool that counts from outside.
"""

import argparse
import gc
import json
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial

from bench.counters.paths import Path, open_paths
from bench.counters.probes import Bytecodes, Calls, Garbage, Marks, Probe

FEW, MANY = 5, 15
_NOW = 1_800_000_000.0
#: The figures of the four windows, in this order.
Windows = dict[str, list[int]]


def windows(path: Path, probe: Probe) -> Windows:
    """Return the counters of the four windows."""
    found: Windows = {}
    for prepare in (path.prepare, path.prepare_client):
        path.here(prepare(MANY))  # what other paths have made CPython forget
        for count in (FEW, MANY):
            for name, counter in path.here(partial(_window, prepare(count), probe)).items():
                found.setdefault(name, []).append(counter)
    return found


def cost(few: int, many: int, client_few: int, client_many: int) -> float:
    """Return what one request costs."""
    return ((many - few) - (client_many - client_few)) / (MANY - FEW)


def _window(run: Callable[[], None], probe: Probe) -> dict[str, int]:
    gc.collect()
    gc.disable()
    try:
        return probe.count(run)
    finally:
        gc.enable()


def _instrument() -> None:
    """Have callgrind count from now on. It is ten times as quick before."""
    with subprocess.Popen(
        ["vgdb", f"--pid={os.getpid()}", "instrumentation", "on"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as vgdb:
        while vgdb.poll() is None:
            pass  # a process that waits in the kernel could only be reached by ptrace


def main() -> None:
    """Read the command line, count, and print the windows of each path."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mark", action="store_true")
    parser.add_argument("--callgrind", action="store_true")
    options = parser.parse_args()
    # A session is signed with the time: a new second would be a new cookie, and a new head.
    time.time = partial(float, _NOW)
    paths = list(open_paths())
    gc.collect()
    gc.freeze()  # or each of the collections below would look at all apps
    if options.callgrind:
        _instrument()
    probes: list[Probe] = [Marks()] if options.mark else [Calls(), Bytecodes(), Garbage()]
    found = {}
    for name, path in paths:
        found[name] = {
            counter: figures
            for probe in probes
            for counter, figures in windows(path, probe).items()
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
