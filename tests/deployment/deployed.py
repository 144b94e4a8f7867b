"""The app that the deployment tests serve: everything whose answer a server could spoil."""

import asyncio
import atexit
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dewar import (
    Blueprint,
    Dewar,
    Local,
    Response,
    abort,
    current_app,
    g,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)
from dewar.mounting.dispatcher import DispatcherMiddleware
from dewar.views import MethodView

# Where two requests meet that must be inside the app at the same time, in seconds.
_MEETING = 10


async def _answer_of_another() -> None:
    """Wait on the event loop, as a view does that asks another server."""
    await asyncio.sleep(0.001)


class Counts:
    """How many requests have begun, and how many were torn down; one lock keeps them exact."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begun = self.streams = self.ended = 0
        self.ended_waiting: list[str] = []

    def begin(self) -> None:
        with self._lock:
            self.begun += 1

    def stream(self) -> None:
        with self._lock:
            self.streams += 1

    def end(self) -> None:
        with self._lock:
            self.ended += 1


def make_file() -> Path:
    """Write 300,000 bytes to send, which go with the process; the same ones for every server."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "sent.bin")
    path.write_bytes(bytes(range(250)) * 1200)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def make_waiting() -> Blueprint:
    """Return coroutines in every place that takes one."""
    waiting = Blueprint("waiting", __name__, url_prefix="/waiting")

    @waiting.before_request
    async def keep() -> Any:
        await asyncio.sleep(0)
        g.name = request.args.get("name", "-")
        return "stopped by a hook" if g.name == "stop" else None

    @waiting.after_request
    async def stamp(response: Response) -> Response:
        await asyncio.sleep(0)
        response.headers["X-Name"] = g.name
        return response

    @waiting.errorhandler(ZeroDivisionError)
    async def explain(error: ZeroDivisionError) -> Any:
        await asyncio.sleep(0)
        return {"error": str(error), "name": g.name}, 409

    @waiting.teardown_request
    async def end(error: BaseException | None) -> None:
        await asyncio.sleep(0)
        current_app.counts.ended_waiting.append(g.name)  # type: ignore[attr-defined]

    @waiting.get("/")
    async def view() -> Any:
        await _answer_of_another()
        session["name"] = g.name
        return {"name": request.args.get("name"), "kept": g.name, "session": session["name"]}

    @waiting.get("/torn-down")
    async def torn_down() -> Any:
        names = current_app.counts.ended_waiting  # type: ignore[attr-defined]
        return {"times": names.count(request.args["of"])}

    @waiting.get("/broken")
    async def broken() -> Any:
        await asyncio.sleep(0)
        return 1 // 0

    @waiting.get("/tasks")
    async def tasks() -> Any:
        async def work(number: int) -> str:
            await _answer_of_another()
            return f"{number} {request.args.get('name')} {g.name}"

        return await asyncio.gather(*map(work, range(5)))

    @waiting.get("/left")
    async def left() -> Any:
        leave = asyncio.create_task(asyncio.Event().wait())  # ended by the request's end
        await asyncio.sleep(0)
        return {"runs": not leave.done()}

    @waiting.get("/stream")
    async def stream() -> Any:
        @stream_with_context
        async def pieces() -> AsyncIterator[str]:
            for number in range(20):
                await asyncio.sleep(0)
                yield f"{number} {request.args['name']} {g.name}\n"

        if request.method == "GET":  # for HEAD it does not begin
            current_app.counts.stream()  # type: ignore[attr-defined]
        return Response(pieces(), mimetype="text/plain")

    waiting.add_url_rule("/class", view_func=Waiting.as_view("class"))
    return waiting


class Waiting(MethodView):
    async def get(self) -> str:
        await asyncio.sleep(0)
        return f"{type(self).__name__} {g.name}"


def make_app(name: str = "deployed") -> Dewar:
    app = Dewar(name, static_folder=None)
    app.secret_key = "for tests"
    app.logger.disabled = True
    app.counts = counts = Counts()  # type: ignore[attr-defined]
    local = Local()
    meeting = threading.Barrier(2)
    file = make_file()

    @app.before_request
    def begin() -> None:
        counts.begin()

    @app.teardown_request
    def end(error: BaseException | None) -> None:
        counts.end()

    @app.get("/counts")
    def show_counts() -> dict[str, int]:
        # A stream is torn down when its view has ended, and once more at its own end.
        return {"due": counts.begun + counts.streams - 1, "ended": counts.ended}

    @app.route("/", methods=["GET", "POST", "OPTIONS"])
    def index() -> str:
        return f"{request.method} {request.args.get('x', '-')} é€"

    @app.get("/json")
    def as_json() -> Response:
        response = jsonify(a=1, ü=[None, 1.5])
        response.headers.add("X-Twice", "one")
        response.headers.add("X-Twice", "two")
        response.set_cookie("first", "1", httponly=True)
        response.set_cookie("second", "2", path="/json")
        return response

    @app.get("/path/<path:rest>")
    def path(rest: str) -> dict[str, str]:
        return {"rest": rest, "path": request.path, "query": request.query_string.decode()}

    @app.get("/empty")
    def empty() -> tuple[str, int]:
        return "", 204

    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("on purpose")

    @app.get("/teapot")
    def teapot() -> None:
        abort(418, "short and stout")

    @app.get("/go")
    def go() -> Any:
        return redirect(url_for("path", rest="a b/c", x="ü"))

    @app.get("/link")
    def link() -> dict[str, str]:
        return {
            "inside": url_for("path", rest="a/b"),
            "outside": url_for("path", rest="a/b", _external=True),
            "root": request.script_root,
        }

    @app.get("/client")
    def client() -> dict[str, Any]:
        return {
            "remote": request.remote_addr,
            "url": request.url,
            "host": request.host,
            "scheme": request.scheme,
        }

    @app.get("/file")
    def download() -> Response:
        return send_file(file, mimetype="application/x-test", conditional=True, etag="fixed")

    @app.get("/bytes/<int:count>")
    def many(count: int) -> bytes:
        return b"0123456789abcdef" * (count // 16)

    @app.get("/memory")
    def memory() -> Response:
        return send_file(io.BytesIO(b"from memory"), mimetype="text/plain")

    @app.post("/upload")
    def upload() -> dict[str, Any]:
        return {
            "form": request.form.to_dict(),
            "files": {
                name: [f.filename, hashlib.sha256(f.read()).hexdigest()]
                for name, f in request.files.items()
            },
        }

    @app.post("/digest")
    def digest() -> dict[str, Any]:
        data = request.get_data()
        return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    @app.get("/stream")
    def stream() -> Response:
        g.name = request.args["name"]
        counts.stream()

        def pieces() -> Iterator[str]:
            for number in range(20):
                yield f"{number} {request.args['name']} {g.name}\n"

        return Response(stream_with_context(pieces()), mimetype="text/plain")

    @app.get("/endless")
    def endless() -> Response:
        counts.stream()

        def pieces() -> Iterator[bytes]:
            while True:
                yield b"x" * 16384

        return Response(stream_with_context(pieces()), mimetype="text/plain")

    @app.get("/async")
    async def in_a_coroutine() -> dict[str, str]:
        @asynccontextmanager
        async def named(name: str) -> AsyncIterator[None]:
            g.name = name
            yield

        async with named(request.args["name"]):
            return {"name": g.name}

    @app.get("/across")
    def across() -> list[str]:
        names = ("deployed", "mounted", "beside")
        return [url_for(f"{name}:across", _external=True) for name in names]

    @app.get("/mine")
    def mine() -> Any:
        """Set everything to a name, give way, and tell what is there then."""
        name = request.args["name"]
        found = [session.get("name", name), getattr(g, "name", "none"), session.get("count", 0)]
        g.name = local.name = session["name"] = name
        session["count"] = session.get("count", 0) + 1
        time.sleep(0.001)
        response = make_response(jsonify(found=found, now=[g.name, local.name, session["name"]]))
        local.__release_local__()
        return response

    @app.get("/meet")
    def meet() -> dict[str, Any]:
        """Be inside the app at the same time as another request."""
        name = g.name = local.name = request.args["name"]
        meeting.wait(_MEETING)  # both have set theirs
        seen = [g.name, local.name, request.args["name"]]
        meeting.wait(_MEETING)
        local.__release_local__()
        return {"name": name, "seen": seen}

    app.register_blueprint(make_waiting())
    return app


app = make_app()
app.mount("/beside", make_app("beside"))
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/mounted": make_app("mounted")})

if os.environ.get("DEPLOYED_IS_WARM"):
    # The parent of processes that are still to be forked has used its event loop by then.
    app.test_client().get("/waiting/?name=parent")
