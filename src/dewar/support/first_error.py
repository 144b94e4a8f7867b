"""`FirstError`: runs all steps, whatever some of them raise, and keeps the first error."""

from collections.abc import Callable


class FirstError:
    """Collects the errors of steps that all have to run.

    Args:
        log: Called with each error after the first, which nobody else would see.

    Attributes:
        error: The first error, or None.
    """

    __slots__ = ("_log", "error")

    def __init__(self, log: Callable[[BaseException], object] | None = None) -> None:
        self._log = log
        self.error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<FirstError {self.error!r}>"

    def run(self, step: Callable[..., object], *args: object) -> None:
        """Call a step with its arguments, and keep what it raises."""
        try:
            step(*args)
        except BaseException as error:  # noqa: BLE001  # raised after the other steps
            self.keep(error)

    def keep(self, error: BaseException) -> None:
        """Keep an error if it is the first, and log it otherwise."""
        if self.error is None:
            self.error = error
        elif self._log is not None:
            self._log(error)

    def raise_first(self) -> None:
        """Raise the first error, if there was one."""
        if self.error is not None:
            raise self.error
