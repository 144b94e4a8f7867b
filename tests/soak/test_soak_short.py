"""The short form of the soaks."""

import importlib.util
from pathlib import Path
from typing import Any


def load(name: str) -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"soak_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_state_crosses_between_requests() -> None:
    """Threads, greenlets, tasks and streams of two apps: nothing crosses and nothing is left."""
    findings = load("isolation").Soak().run(threads=16, requests=200)
    assert findings.crossings == []
    assert findings.leftovers == []


def test_mounted_apps_that_are_alike_stay_apart_under_load() -> None:
    """One SECRET_KEY, the same endpoints and keys: cookies, g, config and errors are each app's."""
    findings = load("mounted").run(threads=16, requests=60)
    assert findings.requests == 960
    assert findings.crossings == []


def test_no_state_crosses_between_coroutines_on_the_server() -> None:
    """Views that wait, streams and synchronous views of two servers; some clients leave."""
    findings = load("coroutines").Soak(threads=4).run(clients=8, rounds=25)
    assert findings.requests == 1600
    assert findings.crossings == []
    assert findings.leftovers == []
