"""The server that the soaks watch: a Dewar app, until standard input ends.

Its one argument is a JSON object of settings; the first line that it prints is its port.
"""

import gc
import json
import logging
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

from dewar import Dewar, Response, request, send_file
from dewar.server import Server, Settings
from dewar.server.system.memory import limit_arenas
from servertools import block_a_moment
from soaktools import FILE, PIECE

LARGE = bytes(range(256)) * 32768


def make_app(threads: int) -> Dewar:
    """Return an app with a view for everything that a client may want to do."""
    app = Dewar("soaked", static_folder=None)
    app.logger.disabled = True  # one traceback per 500, by the thousand
    gathering = threading.Barrier(threads)
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - lives as long as the app
    file.write(FILE)
    file.flush()

    @app.get("/")
    def index() -> str:
        return "index"

    @app.get("/echo")
    def echo() -> str:
        return request.args["n"]

    @app.post("/sum")
    def total() -> str:
        size = checksum = 0
        while piece := request.stream.read(65536):
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
        return f"{size} {checksum}"

    @app.get("/stream")
    def stream() -> Response:
        return Response(iter([PIECE] * 8), mimetype="text/plain")

    @app.get("/endless")
    def endless() -> Response:
        def pieces() -> Iterator[bytes]:
            while True:
                yield PIECE

        return Response(pieces(), mimetype="text/plain")

    @app.get("/file")
    def a_file() -> Response:
        return send_file(file.name, mimetype="application/octet-stream")

    @app.get("/large")
    def large() -> bytes:
        return LARGE

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("on purpose")

    @app.get("/gather")
    def gather() -> str:
        """Hold all threads at once, so that each, and the overflow leader, is started."""
        gathering.wait(20)
        time.sleep(0.05)
        return "gathered"

    @app.get("/nap")
    def nap() -> str:
        """Be slow enough to make the leadership change hands."""
        block_a_moment()
        return "had a nap"

    @app.get("/blocks")
    def blocks() -> str:
        """Count what Python has allocated, without what only waits for the collector."""
        gc.collect()
        return str(sys.getallocatedblocks())

    return app


def main() -> None:
    """Serve until standard input ends."""
    logging.basicConfig(level=logging.WARNING)
    settings: dict[str, Any] = json.loads(sys.argv[1])
    app = make_app(settings.get("threads", 16))
    limit_arenas()  # as `dewar run` and `run()` do
    server = Server(app, Settings(bind="127.0.0.1:0", **settings))
    app.get("/statistics")(lambda: server.statistics().as_dict())
    server.start()
    print(server.addresses[0].rpartition(":")[2], flush=True)
    sys.stdin.read()
    server.stop(5)


if __name__ == "__main__":
    main()
