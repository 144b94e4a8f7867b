"""The short form of `make crashes`: some hundred jobs, a worker and the whole server killed."""

import soak.crashes


def test_no_accepted_job_vanishes_when_processes_are_killed() -> None:
    """Each is done or, where it may not be repeated, perhaps lost, and is told with one id."""
    assert soak.crashes.run(jobs=300, kills=3) == []
