"""`EngineAbilities`: refuses what the engine of a process cannot do."""

from typing import Any

from dewar.tasks.engines.interface import Ability, JobEngine
from dewar.tasks.errors import NotSupported
from dewar.tasks.ledger.records import NewJob


class EngineAbilities:
    """What the engine of a process can do.

    Args:
        engine: The engine; None if the process runs no jobs. Nothing is refused then, because
            nobody knows what the engines of others can do.
    """

    def __init__(self, engine: JobEngine | None) -> None:
        self._engine = engine

    def __repr__(self) -> str:
        return f"<EngineAbilities of {self._engine!r}>"

    def check(self, new: NewJob, task: Any) -> None:
        """Check what a new job of a task needs.

        Raises:
            NotSupported: If the engine cannot do it.
        """
        if task.options.timeout is not None:
            self._check(
                Ability.TIMEOUT, "Run tasks with a timeout in processes: Tasks(app, processes=2)."
            )
        if task.options.soft_timeout is not None:
            self._check(Ability.SOFT_TIMEOUT, "Run the task in threads or processes.")
        if new.priority:
            self._check(Ability.PRIORITY, "Give urgent jobs a queue of their own: queue='urgent'.")

    @property
    def can_stop(self) -> bool:
        """Whether a running job can be asked to end, or stopped."""
        engine = self._engine
        return engine is None or bool({Ability.ASK_TO_STOP, Ability.STOP} & engine.abilities)

    def check_stop(self) -> None:
        """Check that a running job can be asked to end, or stopped.

        Raises:
            NotSupported: If it cannot.
        """
        if not self.can_stop:
            self._check(Ability.STOP, "Wait for it, or use threads or processes.")

    def _check(self, ability: Ability, repair: str) -> None:
        engine = self._engine
        if engine is not None and ability not in engine.abilities:
            raise NotSupported(engine.name, ability.value, repair)
