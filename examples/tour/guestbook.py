"""A JSON API for the notes, and the page that uses it."""

from werkzeug.wrappers import Response

from dewar import abort, current_app, jsonify, render_template, request, url_for
from examples.tour.application import app
from examples.tour.notes import Notes

LIMITS = {"name": 40, "message": 280}

app.extensions["notes"] = Notes()


def notes() -> Notes:
    """Return the notes of the app that handles this request."""
    store: Notes = current_app.extensions["notes"]
    return store


@app.get("/guestbook")
def guestbook() -> str:
    """Show the guestbook."""
    return render_template("guestbook.html", notes=notes().newest_first(), limits=LIMITS)


@app.get("/api/notes")
def list_notes() -> Response:
    """List the notes, newest first."""
    return jsonify(notes=notes().newest_first())


@app.post("/api/notes")
def add_note() -> tuple[Response, int] | tuple[Response, int, dict[str, str]]:
    """Add a note: a name and a message."""
    body = request.get_json()
    problems = problems_with(body)
    if problems:
        return jsonify(error="The note was not saved.", fields=problems), 400
    note = notes().add(body["name"].strip(), body["message"].strip())
    return jsonify(note), 201, {"Location": url_for("get_note", note_id=note.id)}


@app.get("/api/notes/<int:note_id>")
def get_note(note_id: int) -> Response:
    """Return one note."""
    note = notes().maybe_get(note_id)
    if note is None:
        abort(404, f"There is no note {note_id}.")
    return jsonify(note)


@app.delete("/api/notes/<int:note_id>")
def remove_note(note_id: int) -> tuple[str, int]:
    """Remove one note."""
    if not notes().remove(note_id):
        abort(404, f"There is no note {note_id}.")
    return "", 204


def problems_with(body: object) -> dict[str, str]:
    """Return the problem of each invalid field; an empty dict if all are valid."""
    if not isinstance(body, dict):
        return {"body": "Send an object with a name and a message."}
    checked = {field: problem(body.get(field), limit) for field, limit in LIMITS.items()}
    return {field: text for field, text in checked.items() if text}


def problem(value: object, limit: int) -> str | None:
    """Return the problem of a text field, or None."""
    if not isinstance(value, str) or not value.strip():
        return "Write something here."
    if len(value.strip()) > limit:
        return f"At most {limit} characters, please."
    return None
