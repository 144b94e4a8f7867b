"""The end of a request without its methods is its end with them."""

import logging
from itertools import product
from typing import Any

import pytest

from dewar import Blueprint, Dewar, request
from dewar.contexts.current import maybe_current
from dewar.signals import appcontext_popped, appcontext_tearing_down, request_tearing_down

RAISING = list(product([False, True], repeat=3))


class Own(Dewar):
    """An app whose teardown goes through its methods."""

    def do_teardown_request(self, *args: Any) -> None:
        super().do_teardown_request(*args)


def make_app(cls: type[Dewar], calls: list[object], raising: tuple[bool, ...]) -> Dewar:
    app, blueprint = cls("shop"), Blueprint("part", "shop")

    def noting(name: str, *, raises: bool) -> Any:
        def note(error: object) -> None:
            calls.append((name, repr(error), request.path if name != "app" else None))
            if raises:
                raise LookupError(name)

        return note

    app.teardown_request(noting("outer", raises=raising[0]))
    blueprint.teardown_request(noting("inner", raises=raising[1]))
    app.teardown_appcontext(noting("app", raises=raising[2]))

    @blueprint.get("/<how>")
    def view(how: str) -> str:
        if how == "reading":
            request.close = lambda: calls.append("closed")  # type: ignore[method-assign]  # to see it
        if how == "failing":
            raise LookupError("view")
        return how

    app.register_blueprint(blueprint)
    return app


@pytest.mark.parametrize("raising", RAISING)
@pytest.mark.parametrize("path", ["/plain", "/reading", "/failing", "/missing/path"])
def test_the_functions_run_in_the_same_order_and_with_the_same_errors(
    raising: tuple[bool, ...], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The first error is raised and the others are logged, and nothing stays pushed."""
    found = []
    for cls in (Own, Dewar):
        calls: list[object] = []
        app = make_app(cls, calls, raising)
        caplog.clear()
        error: str | None = None
        with caplog.at_level(logging.ERROR):
            try:
                app.test_client().get(path)
            except LookupError as raised:
                error = str(raised)
        logged = [(r.getMessage(), str(r.exc_info and r.exc_info[1])) for r in caplog.records]
        found.append((calls, error, logged))
        assert maybe_current() is None
    assert found[0] == found[1]
    assert found[0][0]


@pytest.mark.parametrize(
    "signal", [request_tearing_down, appcontext_tearing_down, appcontext_popped]
)
def test_a_signal_is_sent(signal: Any) -> None:
    """Also between functions."""
    app = make_app(Dewar, [], (False, False, False))
    sent: list[object] = []

    def receive(sender: object, **_: object) -> None:
        sent.append(sender)

    with signal.connected_to(receive, app):
        app.test_client().get("/plain")
    app.test_client().get("/plain")
    assert sent == [app]
