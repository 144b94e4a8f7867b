"""What workers share with the supervisor: memory that none of them writes to."""

import json
import sys

import pytest

from faulttools import running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")

#: An app that says what its process has loaded since the fork, and what was frozen at the fork.
LOAD = """
import gc, json, os, sys
from dewar import Dewar

at_fork = {}

def note():
    at_fork.update(modules=set(sys.modules), frozen=gc.get_freeze_count())

os.register_at_fork(after_in_child=note)
app = Dewar("app")

@app.get("/since")
def since():
    loaded = sorted(set(sys.modules) - at_fork["modules"])
    return json.dumps({"modules": loaded, "frozen": at_fork["frozen"]})

def load():
    return app

"""


@pytest.mark.parametrize("preload", [True, False])
def test_the_heap_is_frozen_before_a_worker_is_forked(preload: bool) -> None:
    """So that looking for garbage in a worker does not write to all of it."""
    with running(f"processes=2, preload={preload}", LOAD, "run(load=load, ") as server:
        assert json.loads(server.ask("/since"))["frozen"] > 10_000


def test_a_worker_imports_nothing_for_its_first_requests() -> None:
    """With preload each of its modules is in the memory that all workers share."""
    with running("processes=2, preload=True", LOAD, "run(load=load, ") as server:
        for _ in range(2):
            assert json.loads(server.ask("/since"))["modules"] == []
