"""Traces that go on from the submitter into its jobs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dewar import Dewar, Tasks
from dewar.tasks.progress import current_job

_SOON = 30.0


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """What the spans of this process are written to; a process has one provider for ever."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter
    exporter.clear()


def by_name(spans: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for span in spans.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


@pytest.mark.parametrize("has_app", [True, False])
def test_a_job_is_in_the_trace_of_its_submitter(
    spans: InMemorySpanExporter, tmp_path: Path, has_app: bool
) -> None:
    """Each attempt has a span, with the error of one that failed; its own spans are below it."""
    app = Dewar("x", instance_path=str(tmp_path)) if has_app else None
    tasks = Tasks(app, ledger=str(tmp_path / "jobs.sqlite3"), threads=1, poll=0.02)
    tracer = trace.get_tracer("test")

    @tasks.task(retries=1, backoff=0, queue="mail")
    def send() -> str:
        with tracer.start_as_current_span("inside"):
            if current_job.attempt == 1:
                raise ValueError("no")
        return "sent"

    with tracer.start_as_current_span("outside") as outside:
        job = send.submit()
    assert job.result(_SOON) == "sent"
    tasks.stop(_SOON)
    found = by_name(spans)
    (submit,), first, second = found["submit send"], *found["run send"]
    assert len({span.context.trace_id for each in found.values() for span in each}) == 1
    assert parent(submit) == outside.get_span_context().span_id
    assert parent(first) == parent(second) == submit.context.span_id
    assert [parent(span) for span in found["inside"]] == [
        first.context.span_id,
        second.context.span_id,
    ]
    assert (submit.kind, first.kind) == (trace.SpanKind.PRODUCER, trace.SpanKind.CONSUMER)
    assert first.attributes is not None
    assert dict(first.attributes) == {
        "messaging.system": "dewar",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": "mail",
        "messaging.message.id": job.id,
        "dewar.job.task": "send",
        "dewar.job.attempt": 1,
        "error.type": "builtins.ValueError",
    }
    assert first.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in first.events] == ["exception"]
    assert second.status.is_unset


def test_an_async_task_and_a_job_outside_of_traces(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    """A coroutine sees the span of its job; without a submitter's span it begins a trace."""
    tasks = Tasks(Dewar("x", instance_path=str(tmp_path)), poll=0.02)

    @tasks.task()
    async def look() -> int:
        return trace.get_current_span().get_span_context().span_id

    seen = look.submit().result(_SOON)
    tasks.stop(_SOON)
    found = by_name(spans)
    assert found["run look"][0].context.span_id == seen
    assert found["submit look"][0].parent is None


_APP = """
import json, os, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

class Lines(SpanExporter):
    def export(self, spans):
        with open("spans", "a") as file:
            for span in spans:
                up, here = span.parent and span.parent.span_id, span.context
                line = [os.getpid(), span.name, here.trace_id, here.span_id, up]
                print(json.dumps(line), file=file)
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Lines()))
trace.set_tracer_provider(provider)

from dewar import Dewar, Tasks
app = Dewar(__name__, instance_path=os.getcwd())
tasks = Tasks(app, processes=1)

@tasks.task()
def work():
    return os.getpid()

if __name__ == "__main__":
    import traced
    with trace.get_tracer("x").start_as_current_span("outside"):
        print(traced.work.submit().result(60))
    traced.tasks.stop(60)
"""


def test_the_trace_goes_on_in_a_worker_process(tmp_path: Path) -> None:
    """The span of the attempt is made there, where the job's own spans are."""
    (tmp_path / "traced.py").write_text(_APP)
    command = [sys.executable, "traced.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, (tmp_path / "spans").read_text().splitlines())
    found = {name: (pid, trace_id, id, up) for pid, name, trace_id, id, up in lines}
    submit, run = found["submit work"], found["run work"]
    assert run[0] == int(done.stdout)
    assert run[0] != submit[0]
    assert (run[1], run[3]) == (submit[1], submit[2])


def test_a_program_without_opentelemetry_never_imports_it(tmp_path: Path) -> None:
    """Nor does a job of it have a stored context."""
    code = (
        "import sys; from dewar import Dewar, Tasks\n"
        f"tasks = Tasks(Dewar('x', instance_path={str(tmp_path)!r}))\n"
        "job = tasks.task('t')(lambda: 1).submit(); job.result(60)\n"
        "assert tasks.ledger.get(job.id).context is None\n"
        "tasks.stop(60)\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
