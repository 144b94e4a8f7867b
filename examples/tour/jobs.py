"""An upload that starts a background job, with live progress and a callback."""

import base64
import hashlib
import inspect
import json
from collections import Counter
from pathlib import Path
from typing import Any

from werkzeug.utils import secure_filename

from dewar import (
    Tasks,
    abort,
    current_app,
    current_job,
    render_template,
    request,
    session,
    tasks_blueprint,
    url_for,
)
from dewar.tasks.status import JobStatus
from dewar.tasks.webhooks import VerificationError, verify
from examples.tour.application import app, pause

LARGEST = 256 * 1024
STEPS = 10

tasks = Tasks(app)


def callback_secret() -> str:
    """Return the secret that signs callbacks, derived from the app's secret key."""
    digest = hashlib.sha256(b"callbacks " + app.config["SECRET_KEY"].encode()).digest()
    return "whsec_" + base64.b64encode(digest).decode()


app.config["TASKS_CALLBACK_SECRETS"] = [callback_secret()]


def is_mine(job: JobStatus, action: str) -> bool:  # noqa: ARG001 - the same for all actions
    """Allow a browser to see and cancel only the jobs that it started."""
    return job.id in session.get("jobs", [])


app.register_blueprint(tasks_blueprint(tasks, access=is_mine, url_prefix="/api/jobs"))


@app.get("/jobs")
def jobs() -> str:
    """Show the upload form and the progress of the job."""
    return render_template("jobs.html", task_source=source())


@tasks.task(max_queue=50)
def count_words(name: str, text: str) -> dict[str, Any]:
    """Count the words of a text in ten steps, and report the progress after each."""
    words: Counter[str] = Counter()
    lines = text.splitlines()
    for step in range(STEPS):
        part = lines[step * len(lines) // STEPS : (step + 1) * len(lines) // STEPS]
        words.update(word.strip(".,;:!?()\"'").lower() for line in part for word in line.split())
        pause(0.4)
        current_job.raise_if_cancelled()
        current_job.progress((step + 1) / STEPS, f"{words.total()} words so far")
    return {"name": name, "words": words.total(), "most_common": words.most_common(5)}


@app.post("/api/jobs")
def add_job() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Submit an uploaded file as a job, and return 202 with the job's URL."""
    request.max_content_length = LARGEST
    upload = request.files.get("text")
    if upload is None or not upload.filename:
        abort(400, "Choose a text file.")
    text = upload.read().decode("utf-8", "replace")
    callback = url_for("receive_callback", _external=True)
    job = count_words.submit(upload.filename, text, callback=callback)
    session["jobs"] = [job.id, *session.get("jobs", [])][:20]
    return job.accepted()


@app.post("/api/callbacks")
def receive_callback() -> tuple[str, int]:
    """Receive a callback, like another server does: verify its signature and store it."""
    try:
        event = verify(
            request.get_data(), request.headers, current_app.config["TASKS_CALLBACK_SECRETS"]
        )
    except VerificationError as error:
        abort(400, str(error))
    keep_callback(event["id"], {"webhook_id": request.headers["webhook-id"], **event})
    return "", 204


@app.get("/api/callbacks/<id>")
def get_callback(id: str) -> Any:
    """Return the callback that was received for a job."""
    path = callback_path(id)
    if not path.exists():
        abort(404, "No callback was received for this job.")
    return json.loads(path.read_bytes())


def keep_callback(id: str, event: dict[str, Any]) -> None:
    """Keep a callback, and the 100 newest ones, in files: each process shows those of all."""
    path = callback_path(id)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(event))
    part.replace(path)  # whoever reads it finds all of it
    for old in sorted(path.parent.glob("*.json"))[:-100]:  # ids of later jobs sort after
        old.unlink(missing_ok=True)


def callback_path(id: str) -> Path:
    """Return where the callback of a job is kept."""
    return Path(current_app.instance_path) / "callbacks" / f"{secure_filename(id)}.json"


def source() -> str:
    """Return the source of the task function."""
    return inspect.getsource(count_words.function).rstrip()
