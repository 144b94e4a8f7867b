"""`JobPages`: the views that show a job and cancel it."""

import re
from collections.abc import Callable, Mapping
from inspect import isawaitable
from types import MappingProxyType
from typing import Any, NamedTuple

from dewar.contexts.current import current, current_request
from dewar.environ_keys import IS_DRAINING
from dewar.events.stream import HEADERS, MIMETYPE
from dewar.helpers import url_for
from dewar.messages.request import Request
from dewar.messages.response import Response
from dewar.tasks.errors import NotSupported, TaskSetupError, UnknownJob
from dewar.tasks.ledger.records import JobState
from dewar.tasks.status import JobStatus
from dewar.tasks_http.interface import Access, Action, ServedTasks
from dewar.tasks_http.job_event import JobEvent
from dewar.tasks_http.streams import Streams, WatchedJob

Answer = tuple[dict[str, Any], int, dict[str, str]]

# What an id looks like. The ledger is not asked for anything else.
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_FRESH = MappingProxyType({"Cache-Control": "no-store"})
# How long a client waits before it asks again, in seconds.
_SOON, _LATER = "1", "5"


class CancelResult(NamedTuple):
    """The answer to a request to cancel: the status code, and the error if there is one."""

    code: int
    error: str | None = None


def cancel_result(state: JobState, stops: bool) -> CancelResult:
    """Return the answer to a request to cancel.

    Args:
        state: The job's state afterwards.
        stops: Whether it was cancelled, or is about to stop.
    """
    if state is JobState.CANCELLED:
        return CancelResult(200)
    if state.is_final:
        return CancelResult(409, f"The job has ended already: it is {state.value}.")
    return (
        CancelResult(202)
        if stops
        else CancelResult(409, "The job is running and could not be stopped.")
    )


def links_by(url: Callable[..., str], name: str, id: str) -> dict[str, str]:
    """Return the URLs of a job; ``cancel`` is for DELETE.

    Args:
        url: Makes the URL of an endpoint.
        name: What the names of the endpoints begin with.
        id: The job's id.
    """
    page = url(f"{name}.job", id=id)
    return {"self": page, "events": url(f"{name}.events", id=id), "cancel": page}


class JobPages:
    """The views of one blueprint.

    Args:
        tasks: The tasks whose jobs they show.
        access: Returns whether a client may see or cancel a job.
        streams: Opens the streams of events.
    """

    def __init__(self, tasks: ServedTasks, access: Access, streams: Streams) -> None:
        self._tasks = tasks
        self._access = access
        self._streams = streams

    def show(self, id: str) -> Answer:
        """Answer with the job as it is now."""
        return self._answer(self._find(id, "see"))

    def cancel(self, id: str) -> Answer:
        """Cancel the job, even if it runs, and answer with it."""
        status, stops = self._find(id, "cancel"), False
        if not status.state.is_final:
            try:
                stops = self._tasks.cancel(id, running=True)
            except NotSupported as error:
                return _refusal(self._tasks.status(id), str(error))
            status = self._tasks.status(id)
        code, problem = cancel_result(status.state, stops)
        return self._answer(status, code) if problem is None else _refusal(status, problem)

    def events(self, id: str) -> Any:
        """Answer with a stream of events that ends when the job has ended."""
        request = current_request("a stream of events").request
        watched = self._watched(self._find(id, "see"), request)
        if watched.first.state.is_final and watched.first.id == watched.seen:
            # The client has everything. After a 204 an EventSource does not connect again.
            return "", 204, dict(_FRESH)
        if request.method == "HEAD":
            return Response(mimetype=MIMETYPE, headers=HEADERS)
        stream = self._streams.maybe_open(watched)
        if stream is None:
            busy = {"error": "Too many streams are open. Ask for the job itself instead."}
            return busy, 503, {**_FRESH, "Retry-After": _LATER}
        return Response(stream, mimetype=MIMETYPE, headers=HEADERS)  # type: ignore[arg-type]  # asynchronous

    def _find(self, id: str, action: Action) -> JobStatus:
        """Return a job that the client may see or cancel.

        Raises:
            UnknownJob: If there is none, or the client may not; the answer does not tell which.
        """
        if not _ID.fullmatch(id):
            raise UnknownJob(id)
        status = self._tasks.status(id)
        allowed = current().app.ensure_sync(self._access)(status, action)
        if isawaitable(allowed):
            # SECURITY: an awaitable is true, whatever its result would be.
            raise TaskSetupError(
                f"{self._access!r} returned {allowed!r} instead of True or False. Make it"
                " an 'async def', or wait for the answer: access=asyncio.run(...)."
            )
        if not allowed:
            raise UnknownJob(id)
        return status

    def _answer(self, status: JobStatus, code: int = 200) -> Answer:
        again = {} if status.state.is_final else {"Retry-After": _SOON}
        links = links_by(url_for, "", status.id)
        document = _document(status, links, self._tasks.settings().show_errors)
        return document, code, {**_FRESH, **again}

    def _watched(self, status: JobStatus, request: Request) -> WatchedJob:
        # What needs the request is read here, because the stream outlives it.
        dumps, links = current().app.json.dumps, links_by(url_for, "", status.id)
        shows_errors = self._tasks.settings().show_errors

        def event_of(now: JobStatus) -> JobEvent:
            return JobEvent(now.state, dumps(_document(now, links, shows_errors)))

        return WatchedJob(
            id=status.id,
            first=event_of(status),
            tell=lambda record: event_of(self._tasks.status_of(record)),
            seen=request.headers.get("Last-Event-ID", ""),
            is_over=request.environ.get(IS_DRAINING, bool),
        )


def _document(status: JobStatus, links: Mapping[str, str], shows_errors: bool) -> dict[str, Any]:
    return {**status.as_dict(shows_errors=shows_errors), "links": links}


def _refusal(status: JobStatus, problem: str) -> Answer:
    links = links_by(url_for, "", status.id)
    return {"error": problem, "state": status.state.value, "links": links}, 409, dict(_FRESH)
