"""`EagerContext` and `SplitContext`: for apps that see when the parts of a context are made."""

from typing import Any

from dewar.contexts.context import Context


class EagerContext(Context):
    """A request context for an app whose program can see when its parts are made.

    It may have its own session interface or class of requests, for instance. The parts are made in
    the same order as in Flask.

    The constructor's arguments are those of `Context`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request  # noqa: B018  # made at the first access


class SplitContext(EagerContext):
    """A request context for an app whose class overrides `app_context`.

    Otherwise one context is both. Here `app_context` is called for each request, as Flask does,
    and the request's context is pushed on top of it.

    The constructor's arguments are those of `Context`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._dewar_may_own_app_context = False
