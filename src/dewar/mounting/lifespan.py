"""The begin and the end of serving, for all apps of a branch."""

import time
from collections.abc import Iterator
from typing import Any

from dewar.layers import maybe_layer_with
from dewar.mounting.branch import Branch


def begin_all(branch: Branch) -> None:
    """Call ``begin_serving()`` of each app that has it, once, and the default app's first."""
    for where, app in _served(branch):
        try:
            app.begin_serving()
        except BaseException as error:
            error.add_note(f"{app!r}, mounted at {where}, did not begin to serve.")
            raise


def end_all(branch: Branch, timeout: float) -> None:
    """Call ``end_serving(timeout)`` of each app that has it; raise the first error at last.

    Args:
        branch: Where the apps are.
        timeout: The seconds that they share.
    """
    deadline = time.monotonic() + timeout
    errors: list[Exception] = []
    for where, app in reversed(list(_served(branch))):
        try:
            app.end_serving(max(0.0, deadline - time.monotonic()))
        except Exception as error:  # noqa: BLE001  # raised after the others have ended
            error.add_note(f"{app!r}, mounted at {where}, failed to end its work.")
            errors.append(error)
    if errors:
        raise errors[0]


def _served(branch: Branch) -> Iterator[tuple[str, Any]]:
    """Yield each app that is told, once, and where it is."""
    seen: set[int] = set()
    entries = [("/", branch.default), *((mount.address, mount.app) for mount in branch.entries)]
    for where, mounted in entries:
        app = maybe_layer_with(mounted, "begin_serving")
        if app is not None and id(app) not in seen:
            seen.add(id(app))
            yield where, app
