"""Finding a task in another process or on another machine: by its app, or by its module."""

import importlib
from dataclasses import asdict, dataclass
from typing import Any

from dewar.tasks.errors import UnknownTask
from dewar.tasks.serialization.context_transfer import finder

#: Under which name an app keeps its `Tasks` among its extensions.
EXTENSION = "dewar.tasks"


@dataclass(frozen=True, slots=True)
class TaskAddress:
    """Where a task is.

    Attributes:
        task: Its name.
        app: Where its app is, as ``module:app`` or ``module:factory()``; None without one.
        module: The module of its function.
        qualname: The name of its function there.
    """

    task: str
    app: str | None
    module: str
    qualname: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def find_task(address: TaskAddress) -> Any:
    """Return the task in this process, after importing what it is in.

    Raises:
        UnknownTask: If it is not there.
        TaskSetupError: If its app is not.
    """
    if address.app is not None:
        tasks = finder.find(address.app).extensions.get(EXTENSION)
        found = None if tasks is None else tasks.maybe_task(address.task)
        where = f"the app {address.app}"
    else:
        found = importlib.import_module(address.module)
        for name in address.qualname.split("."):
            found = getattr(found, name, None)
        where = f"{address.module}:{address.qualname}"
    if found is None:
        raise UnknownTask(
            f"There is no task {address.task!r} in {where} in this process. It must be declared"
            " when the module is imported, here as where it was submitted."
        )
    return found
