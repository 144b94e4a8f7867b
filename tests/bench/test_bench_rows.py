from bench.macro import blocking, processes, throughput
from bench.macro.rounds import Result
from bench.micro import rows
from bench.shot import Shot


def result(name, *rates, errors=0, busy=0.0, p99_ms=1.0):
    """Return a result with one shot for each rate."""
    shots = [Shot(rate=rate, p99_ms=p99_ms, errors=errors, busy=busy) for rate in rates]
    return Result(name=name, shots=shots)


def test_servers_are_multiples_of_gunicorn():
    """Every row but gunicorn's own names it as the baseline."""
    results = [result("Dewar, 8 threads", 84.0, 86.0, 85.0), result("gunicorn gthread, 8", 8.5)]
    ours, baseline = throughput.rows("raw", results)
    assert (ours.figure, ours.ratio, ours.baseline) == (85.0, 10.0, "gunicorn gthread")
    assert (baseline.ratio, baseline.baseline) == (None, "")


def test_a_failed_server_is_a_failed_row_and_a_failed_baseline_gives_no_ratio():
    """A failure is told in its own row and does not stop the others."""
    broken = Result(name="gunicorn gthread, 8", failure="no module named x")
    ours, baseline = throughput.rows("raw", [result("Dewar", 5.0), broken])
    assert ours.ratio is None
    assert baseline.note == "failed: no module named x"


def test_errors_and_a_busy_load_generator_are_noted():
    """What makes a figure doubtful stands beside it."""
    (row,) = throughput.rows("raw", [result("Dewar", 5.0, 6.0, errors=2, busy=0.99)])
    assert row.note == "4 errors, load at its limit"


def test_rounds_far_apart_are_noted():
    """A machine that was busy with something else is told beside the figure it spoilt."""
    (row,) = throughput.rows("raw", [result("Dewar", 50.0, 100.0, 104.0)])
    assert row.note == "unsteady: rounds 54% apart"


def test_sleeping_handlers_are_measured_by_the_ideal():
    """32 threads that nap 50 ms can answer 640 requests a second."""
    (row,) = blocking.sleep_rows([result("Dewar", 608.0)])
    assert (row.figure, row.unit) == (95.0, "% of ideal")
    assert row.note == "608 of 640 req/s"


def test_quick_handlers_are_compared_with_one_thread():
    """The price of 32 threads is a ratio of two 99th percentiles."""
    one, many = result("Dewar, 1 thread", 9.0), result("Dewar, 32 threads", 9.0, p99_ms=1.5)
    first, second = blocking.quick_rows([one, many])
    assert first.ratio is None
    assert (second.figure, second.ratio, second.baseline) == (1.5, 1.5, "1 thread")


def test_proxies_are_multiples_of_werkzeug():
    """Each case has two rows; a library that is missing gives a failed one."""
    direct, theirs, ours = rows.proxy_rows(
        {"direct": {"direct": 10.0}, "case": {"werkzeug": 700.0, "dewar": 70.0}}, {}
    )
    assert direct.ratio is None
    assert (theirs.ratio, ours.ratio) == (None, 0.1)
    *_, missing = rows.proxy_rows({"case": {"werkzeug": 700.0}}, {"dewar": "ImportError: x"})
    assert missing.note == "failed: ImportError: x"


def test_frameworks_are_multiples_of_flask():
    """Rows follow the paths, and a framework that answers wrongly is a failed row."""
    made = rows.request_rows(
        {"/": {"Flask": [50.0], "Dewar": [4.0, 5.0, 6.0]}}, {"Falcon": "wrong"}
    )
    assert [(row.what, row.ratio) for row in made] == [
        ("/, Flask", None),
        ("/, Dewar", 0.1),
        ("Falcon", None),
    ]
    assert made[2].is_failed


def test_two_processes_are_a_multiple_of_the_same_servers_one():
    """A server without a figure for one process has no ratio."""
    broken = Result(name="granian, 1 process", failure="died")
    one, failed, two, other = processes.rows(
        [result("Dewar, 1 process", 1.0), broken, result("Dewar, 2 processes", 1.9),
         result("granian, 2 processes", 1.5)]
    )  # fmt: skip
    assert (one.ratio, two.ratio, two.baseline) == (None, 1.9, "1 process")
    assert failed.is_failed
    assert other.ratio is None


def test_task_pools_are_multiples_of_the_executor_in_the_same_round():
    """A round on a busy machine is held against its own baseline."""
    figures = {"burst": {"ThreadPoolExecutor": [10.0, 40.0, 10.0], "TaskPool": [12.0, 48.0, 30.0]}}
    baseline, ours = rows.task_rows(figures, "ThreadPoolExecutor")
    assert (baseline.figure, baseline.ratio) == (10.0, None)
    assert (ours.figure, round(ours.ratio, 2), ours.baseline) == (30.0, 1.2, "ThreadPoolExecutor")


def test_queues_are_multiples_of_dewar_in_the_same_round():
    """One that is not installed is a failed row, and the others have their figures."""
    figures = {"one by one": {"Dewar, SQLite": [1.0, 2.0, 4.0], "RQ, Redis": [3.0, 6.0, 8.0]}}
    ours, theirs, missing = rows.queue_rows(figures, {"Huey, SQLite": "No module named 'huey'"})
    assert (ours.figure, ours.ratio) == (2.0, None)
    assert (theirs.figure, theirs.ratio, theirs.baseline) == (6.0, 3.0, "Dewar")
    assert missing.note == "failed: No module named 'huey'"
