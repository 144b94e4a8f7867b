"""The pytest plugin: a run of pytest with it, on a program of its own."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
    from dewar import Dewar, Tasks

    tasks = Tasks()

    @tasks.task(retries=1, backoff=60)
    def greet(name):
        if name == "nobody":
            raise ValueError("whom?")
        return f"Hello, {name}"

    def create_app():
        app = Dewar("shop")
        tasks.init_app(app)
        return app
"""
APP = """
    import pytest
    import shop

    @pytest.fixture
    def app():
        return shop.create_app()
"""


@pytest.fixture
def run(folder, write):
    """Run pytest on a test file beside the program; return what it prints."""

    def run_pytest(text, *options, status=0):
        write("shop.py", PROGRAM)
        write("test_shop.py", text)
        plugin = ("-p", "pytest_dewar", "-p", "no:cacheprovider", "-W", "error")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *plugin, *options],
            cwd=folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    return run_pytest


def test_the_fixtures_run_and_record_jobs(run, write):
    """Immediate jobs, a queue to drain, what was submitted, and the clock."""
    write("conftest.py", APP)
    out = run("""
        from shop import greet, tasks as declared

        def test_the_tasks_are_those_of_the_app(tasks):
            assert tasks is declared

        def test_immediate(immediate_jobs):
            assert greet.submit("ada").result() == "Hello, ada"

        def test_queue(job_queue, submitted_jobs, job_clock):
            job = greet.submit("nobody")
            submitted_jobs.assert_submitted(greet, name="nobody")
            assert [job_queue.drain(), job_queue.drain()] == [1, 0]
            job_clock.advance(90)
            assert job_queue.drain() == 1
            assert isinstance(job.exception(), ValueError)

        def test_each_test_has_its_own(submitted_jobs):
            assert submitted_jobs == []
    """)
    assert "4 passed" in out


def test_fixtures_of_the_program_go_first(run):
    """A fixture named `tasks` needs no app, and the others use it."""
    out = run("""
        import pytest
        from dewar import Tasks

        @pytest.fixture
        def tasks():
            return Tasks()

        @pytest.fixture
        def job_clock():
            return "mine"

        def test_it(job_queue, tasks, job_clock):
            @tasks.task()
            def work():
                return 1
            job = work.submit()
            job_queue.drain()
            assert (job.result(), job_clock) == (1, "mine")
    """)
    assert "1 passed" in out


def test_what_is_missing_is_explained(run, write):
    """Without an app, the failure shows what to write; an app without tasks is named."""
    out = run(
        """
        import pytest
        from dewar import Dewar

        def test_no_app(tasks):
            pass

        class TestBare:
            @pytest.fixture
            def app(self):
                return Dewar("bare")

            def test_no_tasks(self, job_queue):
                pass
        """,
        status=1,
    )
    assert "There is no fixture app" in out
    assert "During handling" not in out
    assert "return shop.tasks" in out
    assert "<Dewar 'bare'> has no tasks" in out


def test_a_run_that_uses_no_fixture_imports_nothing(run):
    """The plugin costs a run without Dewar one small module."""
    out = run("""
        import sys

        def test_it():
            assert [name for name in sys.modules if name.partition(".")[0] == "dewar"] == []
    """)
    assert "1 passed" in out
