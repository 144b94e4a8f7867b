"""The rows of the groups that run in one process."""

from collections.abc import Mapping, Sequence

from bench.stats import median, ratio
from bench.table import Row, failed

PROXY = "proxy and stack"
REQUEST = "one request in process"
TASKS = "one job on a pool of one thread"
LEDGER = "a job in the ledger"
QUEUES = "a job from one process to another"

Cases = Mapping[str, Mapping[str, float]]
Figures = Mapping[str, Mapping[str, Sequence[float]]]


def proxy_rows(cases: Cases, failures: Mapping[str, str]) -> list[Row]:
    """Return two rows for each case, with Dewar as a multiple of Werkzeug or Flask."""
    rows: list[Row] = []
    for case, figures in cases.items():
        if "direct" in figures:
            rows.append(Row(group=PROXY, what=case, figure=figures["direct"], unit="ns"))
            continue
        werkzeug, dewar = figures.get("werkzeug"), figures.get("dewar")
        # Contexts are Flask's; the other cases are Werkzeug's.
        name = "Flask" if case.endswith("context") else "Werkzeug"
        rows += [
            _proxy_row(f"{case}, {name}", werkzeug, failures.get("werkzeug", "")),
            _proxy_row(
                f"{case}, Dewar", dewar, failures.get("dewar", ""), (ratio(dewar, werkzeug), name)
            ),
        ]
    return rows


def _proxy_row(
    what: str,
    figure: float | None,
    failure: str,
    share: tuple[float | None, str] = (None, ""),
) -> Row:
    if figure is None:
        return failed(PROXY, what, failure)
    return Row(group=PROXY, what=what, figure=figure, unit="ns", ratio=share[0], baseline=share[1])


def request_rows(figures: Figures, failures: Mapping[str, str]) -> list[Row]:
    """Return a row for each path and framework, as a multiple of Flask."""
    rows: list[Row] = []
    for path, frameworks in figures.items():
        middle = {name: median(rounds) for name, rounds in frameworks.items()}
        flask = middle.get("Flask")
        rows += [
            Row(
                group=REQUEST,
                what=f"{path}, {name}",
                figure=figure,
                unit="µs",
                ratio=ratio(figure, flask) if name != "Flask" else None,
                baseline="Flask",
            )
            for name, figure in middle.items()
        ]
    return [*rows, *(failed(REQUEST, name, reason) for name, reason in failures.items())]


def task_rows(figures: Figures, baseline: str) -> list[Row]:
    """Return a row for each case and pool, as a multiple of the baseline in the same round."""
    rows: list[Row] = []
    for case, pools in figures.items():
        for name, rounds in pools.items():
            shares = [ratio(took, base) for took, base in zip(rounds, pools[baseline], strict=True)]
            rows.append(
                Row(
                    group=TASKS,
                    what=f"{case}, {name}",
                    figure=median(rounds),
                    unit="µs",
                    ratio=None if name == baseline else median([s for s in shares if s]),
                    baseline=baseline,
                )
            )
    return rows


def queue_rows(figures: Figures, failures: Mapping[str, str]) -> list[Row]:
    """Return a row for each case and queue, as a multiple of Dewar in the same round."""
    rows: list[Row] = []
    for case, queues in figures.items():
        ours = next((rounds for name, rounds in queues.items() if name.startswith("Dewar")), [])
        for name, rounds in queues.items():
            is_ours = name.startswith("Dewar")
            shares = [ratio(took, base) for took, base in zip(rounds, ours, strict=False)]
            known = [share for share in shares if share]
            rows.append(
                Row(
                    group=QUEUES,
                    what=f"{case}, {name}",
                    figure=median(rounds),
                    unit="µs",
                    ratio=None if is_ours or not known else median(known),
                    baseline="Dewar",
                )
            )
    return [*rows, *(failed(QUEUES, name, reason) for name, reason in failures.items())]


def ledger_rows(figures: Figures, ended: int) -> list[Row]:
    """Return two rows for each case: an empty ledger, and a full one as a multiple of it."""
    rows: list[Row] = []
    for case, ledgers in figures.items():
        middle = {name: median(rounds) for name, rounds in ledgers.items()}
        rows += [
            Row(
                group=LEDGER,
                what=f"{case}, {name}",
                figure=figure,
                unit="µs",
                ratio=ratio(figure, middle.get("empty")) if name != "empty" else None,
                baseline="empty",
                note=f"{ended:,} jobs have ended" if name != "empty" else "",
            )
            for name, figure in middle.items()
        ]
    return rows
