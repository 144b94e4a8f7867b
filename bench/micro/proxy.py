"""The time of an attribute access through a proxy, and of a push and pop of a stack.

Runs in the bench venv and prints ``{"cases": {case: {library: ns}}, "failures": {library: why}}``.
The libraries take turns in each case, and the smallest figure counts, because noise only adds time.
"""

import argparse
import contextvars
import importlib
import json
import timeit
from typing import Any

DIRECT = "attribute of the object itself"
# The module of the locals, and the module and name of the app class.
LIBRARIES = {"werkzeug": ("werkzeug.local", "flask", "Flask"), "dewar": ("dewar", "dewar", "Dewar")}
CONTEXT = "push and pop of an app context"
ATTRIBUTE = "proxy.path"


class Target:
    """An object with an attribute, like a request."""

    def __init__(self) -> None:
        self.path = "/"
        self.inner = self


def timers(library: Any, app_class: Any) -> dict[str, timeit.Timer]:
    """Return a timer for each case, with the proxies, stacks and contexts of one library."""
    target = Target()
    current: contextvars.ContextVar[Target] = contextvars.ContextVar("current")
    current.set(target)
    stack = library.LocalStack()
    stack.push(target)
    through_stack = library.LocalProxy(stack, "inner")
    assert through_stack.path == "/"
    return {
        "proxy over a ContextVar": _timer(ATTRIBUTE, library.LocalProxy(current)),
        "proxy over a ContextVar's attribute": _timer(
            ATTRIBUTE, library.LocalProxy(current, "inner")
        ),
        "proxy over a LocalStack's attribute": _timer(ATTRIBUTE, through_stack),
        "push and pop of a LocalStack": _timer(
            "push(target); pop()", None, push=stack.push, pop=stack.pop, target=target
        ),
        CONTEXT: _timer(
            "context = app.app_context(); context.push(); context.pop()",
            None,
            app=app_class("bench", static_folder=None),
        ),
    }


def _timer(statement: str, proxy: object, **names: object) -> timeit.Timer:
    # The proxy is a global name, as in a module of views.
    return timeit.Timer(statement, globals={"proxy": proxy, **names})


def measure(rounds: int, loops: int) -> dict[str, Any]:
    """Time all cases and return the smallest nanoseconds of each."""
    prepared = {(DIRECT, "direct"): _timer(ATTRIBUTE, Target())}
    failures: dict[str, str] = {}
    for who, (locals_in, app_in, app_name) in LIBRARIES.items():
        try:
            app_class = getattr(importlib.import_module(app_in), app_name)
            made = timers(importlib.import_module(locals_in), app_class)
        except Exception as error:
            failures[who] = f"{type(error).__name__}: {error}"
        else:
            prepared |= {(case, who): timer for case, timer in made.items()}
    cases: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for case in dict.fromkeys(case for case, _ in prepared):
            for (its_case, who), timer in prepared.items():
                if its_case == case:
                    took = timer.timeit(loops) / loops * 1e9
                    best = cases.setdefault(case, {})
                    best[who] = min(took, best.get(who, took))
    return {"cases": cases, "failures": failures}


def main() -> None:
    """Read the command line, measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--loops", type=int, default=50_000)
    options = parser.parse_args()
    print(json.dumps(measure(options.rounds, options.loops)))


if __name__ == "__main__":
    main()
