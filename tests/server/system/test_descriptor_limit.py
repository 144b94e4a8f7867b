"""The limit of open files is no surprise under load."""

import subprocess
import sys

import pytest

pytest.importorskip("resource")

PROGRAM = """
import logging, resource, sys
from dewar.server.system.descriptor_limit import raise_descriptor_limit
logging.basicConfig(format="%(message)s", stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
raise_descriptor_limit({connections})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limit(soft: int, hard: int, connections: int) -> list[str]:
    """Return what a process of its own says, and the soft limit that it has then."""
    program = PROGRAM.format(soft=soft, hard=hard, connections=connections)
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    return run.stdout.splitlines()


def test_the_soft_limit_is_raised_as_far_as_it_is_needed() -> None:
    """Up to the hard one, which only an administrator can raise."""
    assert limit(256, 4096, 1000) == ["1256"]


def test_a_limit_that_is_high_enough_stays() -> None:
    """Nothing is lowered."""
    assert limit(2048, 4096, 1000) == ["2048"]


def test_a_hard_limit_that_is_too_low_is_named_with_the_repair() -> None:
    """Before the load comes, and the server serves with what there is."""
    said, soft = limit(256, 512, 1000)
    assert "may open 512 files, and max_connections=1000 needs 1256" in said
    assert "LimitNOFILE" in said
    assert soft == "512"
