"""The command line, and a process that is the same after each test."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dewar.cli.main import make_cli


@pytest.fixture(autouse=True)
def _same_process(same_process: None) -> None:
    """Loading an app changes the environment and what is imported."""


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """Run the ``dewar`` command line."""

    def run(*args: str, **kwargs: Any) -> Result:
        return CliRunner().invoke(make_cli(), list(args), prog_name="dewar", **kwargs)

    return run
