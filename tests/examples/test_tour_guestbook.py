from concurrent.futures import ThreadPoolExecutor

import pytest
from examples.tour.notes import Notes

NOTE = {"name": " Ada ", "message": "Hello"}


def test_a_note_is_kept_found_and_removed(client):
    """POST answers 201 with its address; GET finds it there until DELETE has answered 204."""
    created = client.post("/api/notes", json=NOTE)
    address = created.headers["Location"]
    assert created.status_code == 201
    assert created.json["name"] == "Ada"
    assert client.get(address).json == created.json
    assert client.get("/api/notes").json == {"notes": [created.json]}
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["message", "name"]),
        ({"name": "Ada"}, ["message"]),
        ({"name": "  ", "message": "Hello"}, ["name"]),
        ({"name": 7, "message": "Hello"}, ["name"]),
        ({"name": "Ada", "message": "x" * 281}, ["message"]),
        (["Ada"], ["body"]),
        ("Ada", ["body"]),
    ],
)
def test_a_note_that_is_wrong_is_not_kept(client, body, fields):
    """The answer is 400 and names each field that is wrong."""
    answer = client.post("/api/notes", json=body)
    assert answer.status_code == 400
    assert sorted(answer.json["fields"]) == fields
    assert client.get("/api/notes").json == {"notes": []}


@pytest.mark.parametrize(
    ("data", "type_", "status"),
    [("{", "application/json", 400), ("name=Ada", "text/plain", 415)],
)
def test_what_is_not_json_is_refused_in_json(client, data, type_, status):
    """Even a body that cannot be read gets an answer that can."""
    answer = client.post("/api/notes", data=data, content_type=type_)
    assert answer.status_code == status
    assert answer.json["error"]


def test_a_body_too_long_is_refused(client):
    """No one fills the memory through the guestbook."""
    assert client.post("/api/notes", json={"name": "x" * 20_000}).status_code == 413


def test_the_page_shows_notes_as_text(client):
    """What a visitor wrote is never markup."""
    client.post("/api/notes", json={"name": "Eve", "message": "<script>alert(1)</script>"})
    text = client.get("/guestbook").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_the_oldest_note_goes_when_there_are_too_many():
    """The notes never outgrow their limit, and show the newest first."""
    notes = Notes(limit=2)
    for name in ("one", "two", "three"):
        notes.add(name, "Hello")
    assert [note.name for note in notes.newest_first()] == ["three", "two"]
    assert repr(notes) == "<Notes 2 of at most 2>"


def test_notes_written_at_once_all_have_their_own_number():
    """Many threads can add notes; none is lost and no number given twice."""
    notes = Notes(limit=1000)
    with ThreadPoolExecutor(16) as pool:
        added = list(pool.map(lambda n: notes.add(f"visitor {n}", "Hello"), range(400)))
    assert {note.id for note in added} == set(range(1, 401))
    assert len(notes.newest_first()) == 400
