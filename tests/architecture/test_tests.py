"""The tests keep the rules of the tests."""

import ast
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from architecture.sleeps import find_sleeps
from architecture.tree import ROOT, SRC, TEST_FILES, TESTS, functions, name_of, parse

#: Functions that sleep, each with its reason. Nothing else in ``tests`` does.
MAY_SLEEP = {
    "polling.py": {
        "eventually": "looks again after a pause; whatever nobody announces is waited for here",
    },
    "chaostools.py": {"last": "is how long something is wrong in the chaos run"},
    "servertools.py": {
        "block_a_moment": "is the slow part of views that block",
        "suspend_a_moment": "is the slow part of coroutine views",
    },
    "deployment/deployed.py": {
        "_answer_of_another": "is the slow part of coroutine views; no helper is importable there",
        "mine": "gives the other threads their turn between setting and reading",
    },
    "farjobs.py": {"hold_out": "is a job that runs until it is killed"},
    "taskapp.py": {
        "sleep": "is a job that takes longer than its timeout",
        "clean_up_at_limit": "is a job with a call that takes longer than its soft timeout",
    },
    "tasks/pooljobs.py": {"say": "is a job that still runs when the interpreter ends"},
    "tasks/webhooks/test_webhook_client.py": {"drip": "is a receiver that answers too slowly"},
    "soak/chaotic.py": {"work": "is a job that takes so long that kills meet it"},
    "soak/crashing.py": {"work": "is a job that takes so long that kills meet it"},
    "soak/faults.py": {"kill": "keeps the pace below which the supervisor sees no fault"},
    "architecture/test_tests.py": {"test_a_sleep_is_found": "has some as samples"},
    "soak/soaked.py": {"gather": "holds all threads for longer than the watchdog looks on"},
}
#: Folders of tests that have no folder of the same name in ``src/dewar`` or beside ``src``.
OTHER_FOLDERS = {
    "architecture": "the rules of the house",
    "deployment": "apps behind other servers and proxies",
    "property": "what holds for any input, across folders",
    "server/corpus": "raw messages and what becomes of them",
    "typing": "what type checkers say of programs",
    "soak": "short forms of what the soaks run for hours",
    "tasks/reports": "public reports of problems of other task queues, replayed",
}

every_file = pytest.mark.parametrize("path", TEST_FILES, ids=name_of)


@every_file
def test_every_test_states_the_behaviour_it_holds(path: Path) -> None:
    """Each test function has a docstring, those of contract classes too."""
    for name, function in functions(parse(path)):
        if name.rpartition(".")[2].startswith("test_"):
            assert ast.get_docstring(function), name


@every_file
def test_no_test_sleeps(path: Path) -> None:
    """Tests wait for what happens, with a limit; what may take time by itself is named above."""
    allowed = MAY_SLEEP.get(name_of(path), {})
    found = list(find_sleeps(parse(path)))
    assert [(name, line) for name, line in found if name not in allowed] == []
    assert set(allowed) == {name for name, _ in found}, "an exception that is not needed"


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(0.1)",
        "from time import sleep as nap\nnap(seconds)",
        "import asyncio\nasync def f():\n    await asyncio.sleep(1)",
        "import gevent\ngevent.sleep(1)",
        "import threading\nthreading.Event().wait(0.1)",
        "import asyncio\nasync def f():\n    await asyncio.wait_for(asyncio.Event().wait(), 1)",
        "import threading\nnever = threading.Event()\nnever.wait(5)",
        "import select\nselect.select([], [], [], 1)",
        "gate.wait(0.1)",
        "gate.wait(timeout=0.1)",
        "thread.join(0.1)",
        "assert not gate.wait(5)",
        "while not gate.wait(PAUSE):\n    look()",
        "sock.settimeout(0.2)",
        "PROGRAM = 'import time; time.sleep(1)'",
    ],
)
def test_a_sleep_is_found(text: str) -> None:
    """In each of its forms."""
    assert {name for name, _ in find_sleeps(ast.parse(text))} in ({""}, {"f"})


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(0)",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)",
        "import asyncio\nasync def f():\n    await asyncio.Event().wait()",
        """
        import asyncio
        from eventtools import VirtualLoop
        async def f():
            await asyncio.sleep(10)
        """,
        "import threading\ngate = threading.Event()\ngate.set()\nassert gate.wait(0.1)",
        "import threading\ngate = threading.Event()\nstart(gate)\ngate.wait(10)",
        "assert gate.wait(10)",
        "assert not gate.wait(0)",
        "process.wait(10)",
        "', '.join(names)",
        "sock.settimeout(10)",
        "select.select([sock], [], [], 10)",
    ],
)
def test_a_wait_is_no_sleep(text: str) -> None:
    """Where something is waited for, or no time goes by."""
    assert list(find_sleeps(ast.parse(textwrap.dedent(text)))) == []


def test_no_example_of_a_property_has_a_time_limit() -> None:
    """`tests/conftest.py` says so once. A test's own settings keep it."""
    assert settings.default is not None
    assert settings.default.deadline is None
    assert settings(max_examples=1).deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_each_folder_of_tests_has_what_it_tests() -> None:
    """``tests/x/y`` tests ``src/dewar/x/y``, or ``x`` beside ``src``; the others are named."""
    folders = {path.parent for path in TESTS.rglob("test_*.py")} - {TESTS}
    names = {folder.relative_to(TESTS).as_posix() for folder in folders}
    others = {name for name in names if not any((top / name).is_dir() for top in (SRC, ROOT))}
    assert others == set(OTHER_FOLDERS)
