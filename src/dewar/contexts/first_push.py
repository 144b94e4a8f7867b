"""`push_first`: the usual beginning of a request, where no context is current."""

from dewar.contexts.context import Context
from dewar.contexts.current import contexts
from dewar.contexts.interface import Composed
from dewar.signals import appcontext_pushed

_read, _write = contexts.reader, contexts.writer


def push_first(context: Context, composition: Composed) -> None:
    """Do what `Context.push` does with a new context of a request.

    PERF: one call takes the place of three.

    Args:
        context: A `Context`, and none of a subclass.
        composition: That of its app.
    """
    if _read(None) is not None:
        context.push()
        return
    context._dewar_owns_app_context = True
    context._dewar_may_own_app_context = False
    context._dewar_pushes = 1
    _write((context, context, None, None))
    app = context.app
    if appcontext_pushed.receivers:
        appcontext_pushed.send(app, _async_wrapper=app.ensure_sync)
        composition = app._dewar_composed or app._dewar_compose()
    found = composition.index.match(context._dewar_environ)  # type: ignore[arg-type]  # a request has one
    if (
        found is None
        or context._dewar_request is not None
        # As `has_trusted_hosts` asks.
        or app.config["TRUSTED_HOSTS"] is not None
        or composition.request_class.trusted_hosts is not None
    ):
        context._dewar_match(composition, found)
    else:
        context._dewar_url_rule, context._dewar_view_args = found
