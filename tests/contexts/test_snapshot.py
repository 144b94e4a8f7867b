"""`Snapshot`: what a job sees of the request that it was submitted in."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest

from dewar import (
    Blueprint,
    Dewar,
    abort,
    current_app,
    g,
    has_app_context,
    has_request_context,
    request,
    session,
    url_for,
)
from dewar.contexts.current import contexts, maybe_current
from dewar.contexts.portable import BODY_LIMIT, pack_environ
from dewar.contexts.snapshot import Snapshot
from dewar.contexts.unavailable import ContextUnavailableError, SessionSentError
from dewar.signals import appcontext_popped, appcontext_pushed, request_tearing_down
from dewar.support.redaction import secret_names

IS_SECRET = secret_names()

Job = Any


@pytest.fixture
def app() -> Dewar:
    app = Dewar("snapshots", static_folder=None)
    app.secret_key = "key"
    pages = Blueprint("pages", __name__)

    @pages.route("/book/<int:number>", methods=["GET", "POST"])
    def book(number: int) -> str:
        return ""

    app.register_blueprint(pages)
    return app


def in_thread(snapshot: Snapshot, function: Job, *args: Any) -> Any:
    """Return what the function gives in a thread of its own."""
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append((snapshot.run(function, args, {}), None))
        except BaseException as error:
            outcome.append((None, error))
        assert not has_app_context()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def sent(snapshot: Snapshot) -> Snapshot:
    """Return what is left of a snapshot when it went through JSON."""
    portable = json.loads(json.dumps(snapshot.portable(IS_SECRET)))
    return Snapshot.from_portable(snapshot.app, portable)


@pytest.fixture(params=["here", "sent"])
def take(request: pytest.FixtureRequest) -> Any:
    def take() -> Snapshot:
        snapshot: Snapshot = maybe_current()._dewar_snapshot()
        return snapshot if request.param == "here" else sent(snapshot)

    return take


def test_a_job_sees_the_request_after_it_ended(app: Dewar, take: Any) -> None:
    """Method, path, query, headers, rule, session and `g` are those of the time it was taken."""
    with app.test_request_context("/book/7?q=1", method="POST", headers={"X-Shelf": "3"}):
        session["user"] = {"name": "ada"}
        g.number = 5
        snapshot = take()
        session["user"]["name"] = "eve"
        request.environ.clear()

    def job() -> Any:
        assert has_request_context()
        assert current_app.name == "snapshots"
        return (
            *(request.method, request.path, request.args["q"], request.headers["X-Shelf"]),
            *(request.endpoint, request.blueprints, request.view_args),
            *(session["user"], g.number, request.url, url_for("pages.book", number=1)),
        )

    assert in_thread(snapshot, job) == (
        *("POST", "/book/7", "1", "3", "pages.book", ["pages"], {"number": 7}),
        *({"name": "ada"}, 5, "http://localhost/book/7?q=1", "/book/1"),
    )


def test_each_run_has_its_own(app: Dewar, take: Any) -> None:
    """Many runs at once share no request, no `g` and no context."""
    with app.test_request_context("/book/7"):
        g.shared = "yes"
        snapshot = take()
    barrier = threading.Barrier(8)
    seen: list[Any] = []

    def job(number: int) -> None:
        g.number = number
        barrier.wait(10)
        seen.append((g.number, g.shared, request._get_current_object(), maybe_current()))

    threads = [
        threading.Thread(target=snapshot.run, args=(job, (number,), {})) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(number for number, *_ in seen) == list(range(8))
    assert len({id(one) for _, _, one, _ in seen}) == len({id(one) for *_, one in seen}) == 8


def test_an_app_context_travels_without_a_request(app: Dewar, take: Any) -> None:
    """Where there was no request, the job has none."""
    with app.app_context():
        g.n = 1
        snapshot = take()
    assert in_thread(snapshot, lambda: (g.n, bool(request), current_app.name)) == (
        *(1, False, "snapshots"),
    )


def test_only_the_app_context_is_torn_down_and_only_for_what_is_the_jobs(app: Dewar) -> None:
    """The submitter's connection is not closed by the job; the job's own is."""
    torn: list[Any] = []
    app.teardown_request(lambda exc: torn.append("request"))
    app.teardown_appcontext(lambda exc: torn.append((sorted(g), exc)))
    with app.test_request_context("/book/1"):
        g.database, g.replaced = object(), object()
        snapshot = Snapshot.take(maybe_current())
    torn.clear()

    def job() -> None:
        g.own = g.database
        g.replaced = object()
        raise error

    error = ValueError("of the job")
    with pytest.raises(ValueError, match="of the job"):
        in_thread(snapshot, job)
    assert torn == [(["own", "replaced"], error)]


def test_the_signals_are_those_of_an_app_context(app: Dewar) -> None:
    """A job is an app context's work, not another request."""
    with app.test_request_context("/book/1"):
        snapshot = maybe_current()._dewar_snapshot()
    seen: list[str] = []

    def pushed(_app: Any, **_: Any) -> None:
        seen.append("pushed")
        g.database = "the job's own"

    def popped(_app: Any, **_: Any) -> None:
        seen.append("popped")

    def torn(_app: Any, **_: Any) -> None:
        seen.append("torn")

    with (
        appcontext_pushed.connected_to(pushed, app),
        appcontext_popped.connected_to(popped, app),
        request_tearing_down.connected_to(torn, app),
    ):
        assert in_thread(snapshot, lambda: g.database) == "the job's own"
    assert seen == ["pushed", "popped"]


def test_what_an_app_prepares_for_each_context_is_the_jobs_own(app: Dewar) -> None:
    """What a signal handler put into the job's `g` is not replaced, and is torn down."""
    closed: list[Any] = []
    app.teardown_appcontext(lambda exc: closed.append(g.pop("database", None)))
    with app.app_context():
        g.database = "the submitter's"
        snapshot = maybe_current()._dewar_snapshot()

    def prepare(_app: Any, **_: Any) -> None:
        g.database = "the job's"

    closed.clear()
    with appcontext_pushed.connected_to(prepare, app):
        in_thread(snapshot, lambda: None)
    assert closed == ["the job's"]


def test_the_session_can_be_read_only(app: Dewar, take: Any) -> None:
    """Changing it says that the answer was sent."""
    with app.test_request_context("/"):
        session["n"] = 1
        snapshot = take()

    def job() -> None:
        assert dict(session) == {"n": 1}
        assert not session.modified
        for change in (
            lambda: session.update(n=2),
            lambda: session.pop("n"),
            lambda: session.__setitem__("n", 2),
            lambda: setattr(session, "permanent", True),
            lambda: setattr(session, "modified", True),
        ):
            with pytest.raises(SessionSentError, match="Change the session in the view"):
                change()

    in_thread(snapshot, job)


def test_a_session_nobody_opened_comes_from_the_cookie(app: Dewar, take: Any) -> None:
    """The job sees the session even if the view did not look at it."""

    @app.get("/login")
    def login() -> str:
        session["user"] = "ada"
        return ""

    client = app.test_client()
    cookie = client.get("/login").headers["Set-Cookie"].partition(";")[0]
    with app.test_request_context("/", headers={"Cookie": cookie}):
        snapshot = take()
    assert in_thread(snapshot, lambda: session["user"]) == "ada"


BODIES = {
    "json": ({"json": {"a": 1}}, lambda: request.get_json()["a"], 1),
    "data": ({"data": b"raw"}, lambda: request.get_data(), b"raw"),
    "form": ({"data": {"a": "1", "b": ["2", "3"]}}, lambda: request.form.getlist("b"), ["2", "3"]),
    "values": ({"data": {"a": "1"}}, lambda: request.values["a"], "1"),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_was_read_travels(app: Dewar, take: Any, name: str) -> None:
    """JSON, data and forms are there for the job, as the view read them."""
    options, read, expected = BODIES[name]
    with app.test_request_context("/book/1", method="POST", **options):
        assert read() == expected
        snapshot = take()
    assert in_thread(snapshot, read) == expected


def test_a_body_that_was_not_read_stays(app: Dewar, take: Any) -> None:
    """Reading it in the job says what to do."""
    with app.test_request_context("/book/1", method="POST", json={"a": 1}):
        snapshot = take()
    for read in (
        lambda: request.json,
        lambda: request.data,
        lambda: request.stream.read(),
    ):
        with pytest.raises(ContextUnavailableError, match="Read it in the view"):
            in_thread(snapshot, read)


def test_a_form_that_was_not_read_stays(app: Dewar, take: Any) -> None:
    """Plain or with files, asking for a field says what to do."""
    picture = {"title": "x", "picture": (BytesIO(b"..."), "a.png")}
    for data in ({"title": "x"}, picture):
        with app.test_request_context("/book/1", method="POST", data=data):
            snapshot = take()
        with pytest.raises(ContextUnavailableError, match="Read it in the view"):
            in_thread(snapshot, lambda: request.form["title"])


def test_a_request_without_a_body_has_an_empty_one(app: Dewar, take: Any) -> None:
    """A GET can be asked for its data."""
    with app.test_request_context("/book/1"):
        snapshot = take()
    assert in_thread(snapshot, lambda: (request.data, len(request.form))) == (b"", 0)


def test_uploaded_files_stay(app: Dewar, take: Any) -> None:
    """The fields of the form travel, and asking for a file says what to do."""
    data = {"title": "x", "picture": (BytesIO(b"..."), "a.png")}
    with app.test_request_context("/book/1", method="POST", data=data):
        assert request.files["picture"].filename == "a.png"
        snapshot = take()
    assert in_thread(snapshot, lambda: request.form["title"]) == "x"
    for use in (lambda: request.files["picture"], lambda: request.files.get("picture")):
        with pytest.raises(ContextUnavailableError, match="Save or read them"):
            in_thread(snapshot, use)


def test_a_form_without_files_has_none(app: Dewar, take: Any) -> None:
    """Where nothing was uploaded there is nothing to explain."""
    with app.test_request_context("/book/1", method="POST", data={"title": "x"}):
        assert request.form["title"] == "x"
        snapshot = take()
    assert in_thread(snapshot, lambda: list(request.files)) == []


def test_the_innermost_app_is_carried(app: Dewar) -> None:
    """Of two apps on the stack the job gets the one that is current."""
    other = Dewar("other", static_folder=None)
    with app.test_request_context("/book/1"), other.app_context():
        snapshot = maybe_current()._dewar_snapshot()
    assert in_thread(snapshot, lambda: (current_app.name, bool(request))) == ("other", False)


def test_an_app_context_over_its_own_request_has_the_request(app: Dewar) -> None:
    """``with app.app_context()`` in a view does not hide the request."""
    with app.test_request_context("/book/1"), app.app_context():
        g.inner = 1
        snapshot = maybe_current()._dewar_snapshot()
    assert in_thread(snapshot, lambda: (request.path, g.inner)) == ("/book/1", 1)


def test_an_app_with_a_context_of_its_own_is_asked_for_it() -> None:
    """A subclass's `app_context` makes the job's context too."""
    made: list[Any] = []

    class Special(Dewar):
        def app_context(self) -> Any:
            made.append(super().app_context())
            return made[-1]

    app = Special("special", static_folder=None)
    with app.test_request_context("/x"):
        snapshot = maybe_current()._dewar_snapshot()
    made.clear()
    assert in_thread(snapshot, lambda: (request.path, len(made))) == ("/x", 1)


def test_what_a_function_leaves_on_the_stack_is_gone(app: Dewar) -> None:
    """A context that the job pushed and forgot does no harm."""
    with app.test_request_context("/"):
        snapshot = maybe_current()._dewar_snapshot()
    assert in_thread(snapshot, lambda: app.app_context().push()) is None


def test_a_coroutine_function_is_run_to_its_end(app: Dewar, take: Any) -> None:
    """It sees the request."""
    with app.test_request_context("/book/3"):
        snapshot = take()

    async def job() -> Any:
        return request.path

    assert in_thread(snapshot, job) == "/book/3"


def test_a_request_that_matched_nothing_travels_as_it_is(app: Dewar, take: Any) -> None:
    """An error handler may submit a job too."""
    with app.test_request_context("/nowhere"):
        snapshot = take()

    def job() -> Any:
        assert request.url_rule is None
        return request.routing_exception.code  # type: ignore[union-attr]

    assert in_thread(snapshot, job) == 404


def test_it_works_from_within_a_served_request(app: Dewar) -> None:
    """The snapshot of a view outlives the view."""
    taken: list[Snapshot] = []

    @app.post("/start")
    def start() -> str:
        assert request.json == [1]
        g.user = "ada"
        taken.append(maybe_current()._dewar_snapshot())
        return "ok"

    @app.errorhandler(418)
    def teapot(error: Any) -> tuple[str, int]:
        taken.append(maybe_current()._dewar_snapshot())
        return "", 418

    app.add_url_rule("/tea", view_func=lambda: abort(418))
    client = app.test_client()
    assert client.post("/start", json=[1]).data == b"ok"
    assert client.get("/tea").status_code == 418
    assert in_thread(taken[0], lambda: (g.user, request.json)) == ("ada", [1])
    assert in_thread(taken[1], lambda: request.path) == "/tea"


def test_plain_values_travel_and_others_explain(app: Dewar) -> None:
    """To another process goes what comes back as it was; the rest is named where it is asked."""
    plain = {
        "number": 1,
        "text": "ä",
        "nested": {"a": [1, (2, b"3")]},
        "id": UUID(int=5),
        "when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    with app.test_request_context("/"):
        vars(g).update(plain, connection=object(), keys={1: 2})
        session["odd"] = {1: 2}
        snapshot = sent(maybe_current()._dewar_snapshot())

    def job() -> None:
        assert {name: g.get(name) for name in plain} == plain
        assert g.get("connection") is None
        for name in ("connection", "keys"):
            with pytest.raises(AttributeError, match=f"g.{name} did not travel"):
                getattr(g, name)
        with pytest.raises(AttributeError, match="g has no 'other'"):
            g.other
        with pytest.raises(KeyError, match="did not travel"):
            session["odd"]
        with pytest.raises(KeyError):
            session["none"]

    in_thread(snapshot, job)
    # And once more: what is absent stays absent, with its reason.
    in_thread(sent(snapshot), job)


def test_secrets_stay() -> None:
    """Of an environ only what is known goes, and nothing that proves who the client is."""
    environ = {
        "REQUEST_METHOD": "GET",
        "HTTP_COOKIE": "session=x",
        "HTTP_AUTHORIZATION": "Basic x",
        "HTTP_PROXY_AUTHORIZATION": "Basic x",
        "HTTP_HOST": "here",
        "AWS_SECRET_ACCESS_KEY": "of the server's own environment",
        "wsgi.input": BytesIO(),
    }
    assert pack_environ(environ, IS_SECRET) == {
        "REQUEST_METHOD": "GET",
        "HTTP_HOST": "here",
    }


@pytest.mark.parametrize(("size", "travels"), [(BODY_LIMIT, True), (BODY_LIMIT + 1, False)])
def test_a_large_body_does_not_go_to_another_process(app: Dewar, size: int, travels: bool) -> None:
    """It is better passed by reference."""
    with app.test_request_context("/", method="POST", data=b"x" * size):
        request.get_data()
        snapshot = sent(maybe_current()._dewar_snapshot())
    if travels:
        assert len(in_thread(snapshot, lambda: request.data)) == size
    else:
        with pytest.raises(ContextUnavailableError):
            in_thread(snapshot, lambda: request.data)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert contexts.state is None
