"""Workers whose programs make a new secret key in each process are found."""

import logging
import sys
from typing import NamedTuple

import pytest

from deploymenttools import Process, ask, free_port
from dewar import Dewar
from dewar.server.processes.control_channel import Report, open_control_channel
from dewar.server.processes.worker_agreement import WorkerAgreement
from polling import eventually

PROGRAM = """
    import os, secrets
    from dewar import Dewar

    app = Dewar(__name__)
    app.secret_key = {key}

    @app.get("/")
    def index():
        return str(os.getpid())
"""
WARNING = "The workers have different secret keys"


class App:
    def __init__(self, key):
        self.secret_key = key


class Failing:
    @property
    def secret_key(self):
        raise RuntimeError("not now")


def test_only_a_hash_is_told_and_it_is_of_this_server():
    """It is the same for the same key, text or bytes, and says nothing without the salt."""
    here, there = WorkerAgreement(), WorkerAgreement()
    told = here.hash_of(App("key"))
    assert told == here.hash_of(App(b"key"))
    assert len({told, here.hash_of(App("other")), there.hash_of(App("key"))}) == 3
    ours, theirs = open_control_channel()
    theirs.send_nowait(Report.SECRET, told)
    theirs.send_nowait(Report.READY)
    assert ours.receive_reports() == [(Report.SECRET, told), (Report.READY, "")]
    ours.close()
    theirs.close()


def test_an_application_without_a_key_tells_nothing():
    """Neither does one of another kind, nor one that fails; middleware is looked through."""
    agreement = WorkerAgreement()
    for app in (object(), App(None), App(""), App(5), Failing()):
        assert agreement.hash_of(app) == ""

    class Middleware:
        app = staticmethod(lambda environ, start_response: [])

    Middleware.app.secret_key = "key"
    assert agreement.hash_of(Middleware()) == agreement.hash_of(App("key"))


def test_the_keys_of_mounted_applications_count():
    """At each depth and in each order; one that is mounted in itself is no endless loop."""
    agreement = WorkerAgreement()

    def hash_with(inner_key):
        outer, inner, lowest = (Dewar(name) for name in ("outer", "inner", "lowest"))
        outer.secret_key, lowest.secret_key = "key", inner_key
        inner.mount("/lowest", lowest)
        outer.mount("/inner", inner)
        return agreement.hash_of(outer)

    assert hash_with("a") == hash_with("a") != hash_with("b")

    class Mount(NamedTuple):
        app: object

    around = App("key")
    around.app = lambda environ, start_response: []
    around.app.entries = (Mount(around),)
    assert agreement.hash_of(around) == agreement.hash_of(App("key"))


def test_a_difference_is_logged_once(caplog):
    """Among the workers of a generation: after a reload, another key may be wanted."""
    agreement = WorkerAgreement()
    with caplog.at_level(logging.WARNING, "dewar.server"):
        for generation, told in ((0, "a"), (0, "a"), (1, "b"), (0, "a"), (1, "b")):
            agreement.compare(generation, told)
        assert not caplog.records
        for told in ("c", "d"):
            agreement.compare(1, told)
    [record] = caplog.records
    assert WARNING in record.message
    assert "os.environ['SECRET_KEY']" in record.message
    assert repr(agreement) == "<WorkerAgreement of generation 1>"


@pytest.mark.parametrize(
    ("key", "warns"),
    [("secrets.token_hex()", True), ("os.urandom(24)", True), ("'the same for all'", False)],
)
def test_the_server_warns_of_it(write, folder, key, warns):
    """Served with two processes; the key itself is in no line."""
    write("program.py", PROGRAM.format(key=key))
    port = free_port()
    bind = ("--bind", f"127.0.0.1:{port}", "--processes", "2")
    command = [sys.executable, "-m", "dewar", "run", "program:app", *bind]
    server = Process(command, port, folder)
    try:
        pids = set()

        def both_serve():
            pids.add(ask(port, "GET", "/").body)
            return len(pids) == 2

        eventually(both_serve, "both workers")
        if warns:
            eventually(lambda: WARNING in server.log(), server.log)
    finally:
        server.stop()
    assert server.log().count(WARNING) == warns
    assert "the same for all" not in server.log()
