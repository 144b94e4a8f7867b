"""Programs in processes of their own, with and without Flask."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Result = subprocess.CompletedProcess[str]


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Result]:
    """Write files, run Python with arguments among them, and return what it printed."""

    def run(*arguments: str, **files: str) -> Result:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(dedent(text), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip

    return run
