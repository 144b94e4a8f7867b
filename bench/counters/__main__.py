"""Shows the counters of each path beside the budget: ``python -m bench.counters``."""

import argparse
import sys
from collections.abc import Iterable

from bench.counters import budget
from bench.counters.budget import Budget, Change, number
from bench.counters.tools import TOOLS, Costs, MissingToolError


def count(names: Iterable[str]) -> Costs:
    """Return the counters of the tools that there are; say which are missing."""
    found: Costs = {}
    for name in names:
        print(f"counting: {name} …", file=sys.stderr, flush=True)
        try:
            costs = TOOLS[name].count()
        except MissingToolError as error:
            print(f"not counted: {error}", file=sys.stderr)
            continue
        for path, counters in costs.items():
            found.setdefault(path, {}).update(counters)
    return found


def table(found: Costs) -> str:
    """Return a table with a line for each path."""
    counters = sorted({counter for costs in found.values() for counter in costs})
    rows = [["", *counters]]
    rows += [
        [path, *(number(costs[name]) if name in costs else "" for name in counters)]
        for path, costs in found.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def report(changes: list[Change], differences: list[str]) -> str:
    """Return what is not as in the budget."""
    if not changes:
        return "As in the budget."
    lines = [str(change) for change in changes]
    if differences:
        lines.append(f"The budget was taken with {', '.join(differences)}.")
    return "\n".join(lines)


def update(old: Budget, found: Costs) -> Budget:
    """Return the new budget, with the old figures of what was not counted."""
    costs = {path: old.costs.get(path, {}) | counters for path, counters in found.items()}
    return Budget(budget.taken_with(), costs)


def main() -> None:
    """Read the command line, count, and print or write the counters."""
    parser = argparse.ArgumentParser(prog="python -m bench.counters", description=__doc__)
    parser.add_argument("--only", choices=TOOLS, action="append", help="a tool to count with")
    parser.add_argument("--update", action="store_true", help="write the budget")
    options = parser.parse_args()
    old, found = budget.read(), count(options.only or TOOLS)
    counters = sorted({counter for costs in found.values() for counter in costs})
    print(table(found))
    print(report(old.compare(found, counters), old.differences()))
    if options.update:
        budget.write(update(old, found))
        print(f"Written: {budget.BUDGET.name}. Say in the commit why a counter may grow.")


if __name__ == "__main__":
    main()
