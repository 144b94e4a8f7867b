"""The plain form of `g` and a session: what it keeps, and what it makes anew for each job."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from markupsafe import Markup

from dewar import Dewar, g, session
from dewar.contexts.current import maybe_current
from dewar.contexts.portable import pack_items, unpack_items
from dewar.contexts.snapshot import Snapshot
from dewar.json.tagged import TaggedJSONSerializer
from dewar.support.redaction import secret_names

IS_SECRET = secret_names()


@pytest.fixture
def app() -> Dewar:
    app = Dewar("packing", static_folder=None)
    app.secret_key = "key"
    return app


def sent(app: Dewar) -> Snapshot:
    """Return what a job gets of the current context."""
    return Snapshot.from_portable(app, maybe_current()._dewar_snapshot().portable(IS_SECRET))


def test_plain_values_come_back_and_others_are_named() -> None:
    """Those that would come back as something else are left behind as well."""
    kept: dict[str, Any] = {
        "text": "a",
        "numbers": [1, 2.5, None, True],
        "pair": (1, (2,)),
        "bytes": b"\xff",
        "id": UUID(int=7),
        "at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "markup": Markup("<b>"),
        "looks tagged": {" t": [1]},
    }
    absent = {"object": object(), "keys": {1: 2}, "half": datetime(2026, 1, 1, 0, 0, 0, 5, UTC)}
    packed, names = pack_items({**kept, **absent})
    assert unpack_items(packed) == kept
    assert names == list(absent)
    assert pack_items({}) == ({}, [])
    assert unpack_items({}) == {}


@pytest.mark.parametrize("is_empty", [True, False])
def test_no_serializer_is_made_for_a_job(
    app: Dewar, monkeypatch: pytest.MonkeyPatch, is_empty: bool
) -> None:
    """Neither where it is submitted nor where it runs, and least of all for an empty `g`."""
    made: list[TaggedJSONSerializer] = []
    make = TaggedJSONSerializer.__init__

    def note(self: TaggedJSONSerializer) -> None:
        made.append(self)
        make(self)

    with app.test_request_context("/"):
        if not is_empty:
            g.number, session["user"] = (5, 7), "ada"
        else:
            assert "user" not in session
        monkeypatch.setattr(TaggedJSONSerializer, "__init__", note)
        snapshot = sent(app)
        again = sent(app)
    assert dict(snapshot.g) == dict(again.g) == ({} if is_empty else {"number": (5, 7)})
    assert made == []


def test_an_app_s_own_tags_and_json_change_nothing_for_jobs(app: Dewar) -> None:
    """They are for its cookies and answers; what jobs are packed with is nobody's to change."""
    with app.test_request_context("/"):
        g.number = 5
        before = maybe_current()._dewar_snapshot().portable(IS_SECRET)["g"]
        own: Any = app.session_interface
        own.serializer.register(type("Tag", (type(own.serializer.order[0]),), {"key": " own"}))
        app.json.dumps = lambda value, **_: "[]"
        assert maybe_current()._dewar_snapshot().portable(IS_SECRET)["g"] == before


def test_a_job_s_namespace_has_no_class_of_its_own(app: Dewar) -> None:
    """Each run has its own `g`, and all with the same things left behind have one class."""
    with app.test_request_context("/"):
        g.database, g.number = object(), 1
        one, two = sent(app), sent(app)
        g.other = object()
        three = sent(app)
    classes: list[type] = []
    spaces: list[Any] = []

    def job() -> None:
        with pytest.raises(AttributeError, match=r"g\.database did not travel"):
            _ = g.database
        classes.append(type(g._get_current_object()))
        spaces.append(g._get_current_object())

    for snapshot in (one, two, three):
        snapshot.run(job, (), {})
    assert classes[0] is classes[1]
    assert classes[2] is not classes[0]
    assert len({id(space) for space in spaces}) == 3
