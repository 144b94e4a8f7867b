"""Log records that name the job and the request they belong to."""

import logging
from pathlib import Path

import pytest

from dewar import Dewar, Tasks
from dewar.tasks.log_fields import JobLogFields
from dewar.tasks.progress import current_job


class Kept(logging.Handler):
    """Keeps lines in the order in which they come."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(JobLogFields())
        self.setFormatter(
            logging.Formatter("%(job_id)s %(task)s %(attempt)s %(request_id)s %(message)s")
        )

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_each_record_names_its_job_and_its_request(tmp_path: Path, kept: Kept) -> None:
    """In a job the request is the submitter's; outside of both the fields are a dash."""
    app = Dewar("x", instance_path=str(tmp_path))
    tasks = Tasks(app, poll=0.02)
    logger = logging.getLogger(__name__)
    logger.addHandler(kept)

    @tasks.task(retries=1, backoff=0)
    def ship() -> None:
        logger.warning("ships")
        if current_job.attempt == 1:
            raise ValueError

    logger.warning("outside")
    with app.test_request_context("/", headers={"X-Request-ID": "r-17"}):
        logger.warning("asked")
        job = ship.submit()
    job.result(20)
    tasks.stop(20)
    logger.removeHandler(kept)
    assert kept.lines == [
        "- - - - outside",
        "- - - r-17 asked",
        f"{job.id} ship 1 r-17 ships",
        f"{job.id} ship 2 r-17 ships",
    ]
