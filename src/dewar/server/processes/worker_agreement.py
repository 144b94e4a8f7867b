"""`WorkerAgreement`: finds workers whose applications have different secret keys.

A program that makes its key as it starts makes another one in each worker. Then each worker refuses
the sessions of the others, which looks like sessions that are lost now and then.

SECURITY: a worker tells the supervisor a hash of its key, and never the key. The hash is keyed with
random bytes that only this server's processes have, so it says nothing to anybody else.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from wsgiref.types import WSGIApplication

from dewar.layers import layers
from dewar.server.processes.app_source import AppSource
from dewar.server.processes.control_channel import HASH_LENGTH, ControlChannel, Report

_logger = logging.getLogger("dewar.server")

_WARNING = (
    "The workers have different secret keys: each refuses the sessions that another one has signed,"
    " and all are lost when the workers restart. The program makes a new key in each process, with"
    " os.urandom, secrets or uuid perhaps. Make one key, keep it outside of the program, and read"
    " it: app.secret_key = os.environ['SECRET_KEY']."
)


class WorkerAgreement:
    """Compares the keys of workers that have loaded the same code. The supervisor has one."""

    def __init__(self) -> None:
        self._salt = os.urandom(32)
        self._generation = 0
        self._hash = ""
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<WorkerAgreement of generation {self._generation}>"

    def telling(self, source: AppSource, channel: ControlChannel) -> AppSource:
        """Return a worker's source, which tells the supervisor of the application it has loaded."""

        def load() -> WSGIApplication:
            app = source.load()
            told = self.hash_of(app)
            if told:
                channel.send_nowait(Report.SECRET, told)
            return app

        return replace(source, load=load)

    def hash_of(self, app: object) -> str:
        """Return the keyed hash of an application's secret keys; empty without any."""
        keys = [key for key in _keys_of(app, frozenset()) if key]
        text = b"".join(b"%d:%b" % (len(key), key) for key in keys)
        return (
            blake2b(text, key=self._salt, digest_size=HASH_LENGTH // 2).hexdigest() if text else ""
        )

    def compare(self, generation: int, told: str) -> None:
        """Compare what a worker has told with the others of its generation; warn once.

        After a reload, another key may be what was wanted.
        """
        if generation > self._generation or not self._hash:
            self._generation, self._hash = generation, told
        elif generation == self._generation and told != self._hash and not self._has_warned:
            self._has_warned = True
            _logger.warning(_WARNING)


def _keys_of(app: object, above: frozenset[int]) -> Iterator[bytes]:
    """Yield the key of an application, and those of the applications that are mounted in it."""
    for layer in layers(app):
        if id(layer) in above:
            return
        above |= {id(layer)}
        yield _key_of(layer)
        mounts = getattr(layer, "entries", None)
        for mount in mounts if isinstance(mounts, tuple) else ():
            yield from _keys_of(getattr(mount, "app", None), above)


def _key_of(layer: object) -> bytes:
    try:
        key = getattr(layer, "secret_key", None)
    except Exception:  # noqa: BLE001  # a property of a program may fail
        return b""
    if isinstance(key, str):
        return key.encode(errors="surrogatepass")
    return key if isinstance(key, bytes) else b""
