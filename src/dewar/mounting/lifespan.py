"""The start and the end of serving, for all apps of a mount point."""

import time
from collections.abc import Iterator
from typing import Any

from dewar.layers import maybe_layer_with, maybe_method
from dewar.mounting.mount_point import MountPoint
from dewar.support.first_error import FirstError


def begin_all(mount_point: MountPoint) -> None:
    """Call ``begin_serving()`` of each app that has it, once, and the default app's first."""
    for where, app in _served(mount_point):
        try:
            maybe_method(app, "begin_serving")()
        except BaseException as error:
            error.add_note(f"{app!r}, mounted at {where}, did not begin to serve.")
            raise


def end_all(mount_point: MountPoint, timeout: float) -> None:
    """Call ``end_serving(timeout)`` of each app that has it; raise the first error at last.

    Args:
        mount_point: Holds the apps.
        timeout: The seconds that they share.
    """
    deadline = time.monotonic() + timeout
    errors = FirstError()
    for where, app in reversed(list(_served(mount_point))):
        try:
            maybe_method(app, "end_serving")(max(0.0, deadline - time.monotonic()))
        except Exception as error:  # noqa: BLE001  # raised after the others have ended
            error.add_note(f"{app!r}, mounted at {where}, failed to end its work.")
            errors.keep(error)
    errors.raise_first()


def _served(mount_point: MountPoint) -> Iterator[tuple[str, Any]]:
    """Yield each app that has the two methods, once, and its address."""
    seen: set[int] = set()
    mounts = [(mount.address, mount.app) for mount in mount_point.entries]
    for where, mounted in [("/", mount_point.default), *mounts]:
        app = maybe_layer_with(mounted, "begin_serving")
        if app is not None and id(app) not in seen:
            seen.add(id(app))
            yield where, app
