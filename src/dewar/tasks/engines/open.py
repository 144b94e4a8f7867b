"""`open_engine`: the engine that a URL names."""

from importlib import import_module

from dewar.tasks.engines.interface import JobEngine
from dewar.tasks.errors import TaskSetupError

#: Scheme, module, and an example. Celery's schemes go on with the broker's: ``celery+redis``.
_ENGINES = {
    "dask": ("dewar.tasks.engines.dask.engine", "dask://scheduler:8786"),
    "celery": ("dewar.tasks.engines.celery.engine", "celery+redis://broker:6379/0"),
}


def open_engine(url: str) -> JobEngine:
    """Return a new engine for a URL; the module that knows it is imported now.

    Raises:
        TaskSetupError: If the scheme is none of an engine.
        MissingExtra: If the engine's library is not installed.
    """
    scheme, separator, _ = url.partition("://")
    found = _ENGINES.get(scheme.partition("+")[0])
    if found is None or not separator:
        examples = " or ".join(repr(example) for _, example in _ENGINES.values())
        raise TaskSetupError(
            f"{url!r} names no engine. Write {examples}; for threads or processes of this machine"
            " write TaskPool(threads=4) or TaskPool(processes=2)."
        )
    engine: JobEngine = import_module(found[0]).open(url)
    return engine
