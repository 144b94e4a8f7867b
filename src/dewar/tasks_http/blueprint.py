"""`tasks_blueprint`: the URLs that show and cancel the jobs of an app."""

import logging
from typing import Any

from dewar.blueprints.blueprint import Blueprint
from dewar.blueprints.setup_state import BlueprintSetupState, full_name
from dewar.tasks.errors import LedgerError, TasksError, UnknownJob
from dewar.tasks_http.interface import Access, ServedTasks
from dewar.tasks_http.pages import JobPages, links_by
from dewar.tasks_http.streams import Streams, StreamSettings

_logger = logging.getLogger("dewar.tasks")


def tasks_blueprint(
    tasks: ServedTasks,
    *,
    access: Access,
    name: str = "tasks",
    url_prefix: str = "/tasks",
    max_streams: int = 1000,
    heartbeat: float = 15.0,
) -> Blueprint:
    """Return a blueprint with a page for each job, its events, and a way to cancel it.

    ::

        def may(job, action):
            return "user" in session

        app.register_blueprint(tasks_blueprint(tasks, access=may))

    Once it is registered, ``job.accepted()`` points to it: ``GET /tasks/<id>`` and
    ``GET /tasks/<id>/events`` show the job, ``DELETE /tasks/<id>`` cancels it. The same URLs, with
    the id of a workflow, are those of all its jobs together.

    Args:
        tasks: The tasks whose jobs are shown.
        access: Returns whether the client may do something with a job. It is called in the
            request, with the `JobStatus` (of a workflow the `WorkflowStatus`, whose ``task`` is
            empty) and ``"see"`` or ``"cancel"``. If it returns false, the
            answer is the same as for a job that does not exist. ``lambda job, action: True``
            allows it to everybody who has the id, which cannot be guessed.
        name: The blueprint's name.
        url_prefix: What the URLs begin with.
        max_streams: How many streams of events may be open in one process. On Dewar's server each
            holds a connection and some memory, but no thread. On another server it holds a thread:
            allow fewer than it has threads, or pages have to wait.
        heartbeat: The seconds without an event after which a stream sends a comment, which shows
            whether the client is still connected.
    """
    streams = Streams(tasks, max_streams, StreamSettings(heartbeat=heartbeat))
    pages = JobPages(tasks, access, streams)
    blueprint = Blueprint(name, __name__, url_prefix=url_prefix)
    blueprint.add_url_rule("/<id>", "job", pages.show)
    blueprint.add_url_rule("/<id>", "cancel", pages.cancel, methods=["DELETE"])
    blueprint.add_url_rule("/<id>/events", "events", pages.events)
    for kind, answer in ((UnknownJob, _unknown), (LedgerError, _unavailable), (TasksError, _fault)):
        blueprint.register_error_handler(kind, answer)

    @blueprint.record_once
    def connect(state: BlueprintSetupState) -> None:
        app, name = state.app, full_name(state)
        app._dewar_lifespan.begin_functions.append(streams.begin)
        app._dewar_lifespan.end_functions.append(streams.end)
        tasks.set_links(app, lambda id: links_by(app.url_for, name, id))

    return blueprint


_Answer = tuple[dict[str, Any], int, dict[str, str]]


def _unknown(error: UnknownJob) -> _Answer:  # noqa: ARG001  # its text would say more
    return {"error": "There is no such job."}, 404, {"Cache-Control": "no-store"}


def _unavailable(error: LedgerError) -> _Answer:
    _logger.error("A job could not be looked up for a client: %s", error)
    return {"error": "Jobs cannot be looked up now."}, 503, {"Retry-After": "5"}


def _fault(error: TasksError) -> _Answer:
    _logger.error("A job could not be shown to a client", exc_info=error)
    return {"error": "The job cannot be shown."}, 500, {"Cache-Control": "no-store"}
