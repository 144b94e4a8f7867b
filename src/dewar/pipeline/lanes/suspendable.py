"""The life of a request that may wait on the event loop, from top to bottom.

These are the steps of `dewar.pipeline.respond`, in the same order. A coroutine function runs on the
loop, and no thread waits for it. Every other function of the app runs on a thread, where it may
block. Dewar's own steps, such as making the response, run on either.
"""

from collections.abc import Callable, Coroutine, Iterable
from inspect import isawaitable, iscoroutinefunction
from types import CoroutineType
from typing import Any
from wsgiref.types import StartResponse

from dewar.contexts.context import Context
from dewar.loop.suspended import OFF_LOOP, ON_LOOP, SUSPENDS, begin, wait_in_thread
from dewar.loop.task_scope import TaskScope, current_scope
from dewar.messages import sending
from dewar.messages.response import Response
from dewar.messages.switched_response import SwitchedResponse
from dewar.pipeline import failures, stages
from dewar.pipeline.interface import PipelineApp
from dewar.pipeline.lanes.fast import plain_body, send, wants_response
from dewar.pipeline.plan import Plan
from dewar.pipeline.return_values import may_block
from dewar.pipeline.teardown import end, end_unwatched, end_with_coroutines
from dewar.signals import request_finished, request_started


def answer(
    app: PipelineApp, context: Context, plan: Plan, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request, and end its context.

    Returns:
        A `dewar.loop.suspended.Suspended` if the server understands it, and has to wait.
    """
    unwrapped: Any = plan.unwrapped  # there is one in this lane
    steps = Suspendable(app, context, unwrapped).answer(start_response)
    if SUSPENDS in context._dewar_environ:  # type: ignore[operator]  # a request has one
        return begin(steps, plan.is_wholly_async)
    return wait_in_thread(steps)


class Suspendable(TaskScope):
    """One request, between the event loop and threads that may block.

    It is the scope of the tasks that its coroutines begin.

    Args:
        app: The app.
        context: The context of the request.
        plan: The unwrapped plan of the endpoint.
        begins_on_loop: Whether the first step runs on the loop. Then the context is not pushed
            yet; otherwise it is.
    """

    __slots__ = ("_app", "_context", "_is_on_loop", "_plan")

    def __init__(
        self, app: PipelineApp, context: Context, plan: Plan, begins_on_loop: bool = False
    ) -> None:
        super().__init__(context)
        self._app = app
        self._context = context
        self._plan = plan
        self._is_on_loop = begins_on_loop

    async def answer(self, start_response: StartResponse) -> Iterable[bytes]:
        """Return what a WSGI application returns."""
        app, context, plan = self._app, self._context, self._plan
        if self._is_on_loop:
            context.push()
        # Whatever runs in the same context variables afterwards resets it.
        current_scope.set(self)
        error: BaseException | None = None
        try:
            try:
                try:
                    # PERF: many have nothing before the view.
                    precedes = plan.before or plan.preprocessors or request_started.receivers
                    returned = await self._preprocess() if precedes else None
                    returned = await self._view() if returned is None else returned
                except Exception as failure:  # noqa: BLE001  # the app decides what it becomes
                    returned = await self._answer_error(failure)
                plain = plain_body(app, returned)
                if plain is not None and not wants_response(app, plan, context):
                    return send(plain, context._dewar_environ, start_response)  # type: ignore[arg-type]  # a request has one
                response = await self._finalize(sending.make(*plain) if plain else returned)
            except Exception as failure:  # noqa: BLE001  # every error becomes an answer
                error = failure
                response = await self._answer_failure(failure)
            except BaseException as exit_:
                error = exit_
                raise
            return sending.send(
                response,
                context._dewar_environ,  # type: ignore[arg-type]  # as above
                start_response,
                may_change=app._dewar_composition.has_teardown,
            )
        finally:
            # PERF: the usual end, without another coroutine.
            if self or error is not None or not end_unwatched(app, context):
                await self._end(error)

    # The stages.

    async def _preprocess(self) -> Any:
        app, plan = self._app, self._plan
        if request_started.receivers:
            await self._leave_loop()
            request_started.send(app, _async_wrapper=app.ensure_sync)
        if plan.preprocessors:
            await self._leave_loop()
            request = self._context.request
            for preprocessor in plan.preprocessors:
                preprocessor(request.endpoint, request.view_args)
        for before in plan.before:
            returned = await self._call(before)
            if returned is not None:
                return returned
        return None

    def _view(self) -> Coroutine[Any, Any, Any]:
        """Return an awaitable for the view's answer: its own coroutine if it can start here."""
        # PERF: `_dispatch` is another coroutine around it.
        if self._is_on_loop and self._context._dewar_request is None and self._is_coroutine_view():
            returned = stages.dispatch(self._app, self._plan, self._context)
            return returned if type(returned) is CoroutineType else _given(returned)
        return self._dispatch()

    def _is_coroutine_view(self) -> bool:
        return id(self._plan.view) in self._plan.coroutines

    async def _dispatch(self) -> Any:
        plan, context = self._plan, self._context
        request = context._dewar_request
        # If a hook has given the request another rule, the view of that rule waits in a thread.
        is_planned = request is None or request.url_rule is context._dewar_url_rule
        if not self._is_coroutine_view() or not is_planned:
            await self._leave_loop()
            return stages.dispatch(self._app, plan, context)
        if not self._is_on_loop:
            await self._enter_loop()
        returned = stages.dispatch(self._app, plan, context)
        return await (returned if type(returned) is CoroutineType else _given(returned))

    async def _answer_error(self, error: Exception) -> Any:
        handler = failures.handler_of(self._app, self._context, error)
        return error if handler is None else await self._call(handler, error)

    async def _finalize(self, returned: Any, from_error_handler: bool = False) -> Response:
        app = self._app
        if type(returned) is SwitchedResponse:
            stages.begin_background_work_after(app, self._context, returned)
            return returned  # the hooks have seen it
        if may_block(returned):
            await self._leave_loop()
        response = app.make_response(returned)
        try:
            response = await self._process(response)
            if request_finished.receivers:
                await self._leave_loop()
                request_finished.send(app, _async_wrapper=app.ensure_sync, response=response)
        except Exception:
            if not from_error_handler:
                raise
            app.logger.exception(stages.FINALIZING_FAILED)
        stages.begin_background_work_after(app, self._context, response)
        return response

    async def _process(self, response: Response) -> Response:
        app, context = self._app, self._context
        for functions in (context._dewar_after_functions or (), self._plan.after):
            # A function may append to the first list.
            for function in functions:
                response = stages.checked(function, await self._call(function, response))
        if type(context) is not Context:
            await self._leave_loop()  # the interface may have a store to ask
        stages.save_session(app, context, response)
        return response

    async def _answer_failure(self, failure: Exception) -> Response:
        if failures.maybe_closure(failure) is None:
            await self._leave_loop()  # the signal's receivers and the log may block
        error, handler = failures.report_failure(self._app, self._context, failure)
        answer = error if handler is None else await self._call(handler, error)
        return await self._finalize(answer, from_error_handler=True)

    async def _end(self, error: BaseException | None) -> None:
        if self:
            import asyncio  # there are tasks, so it is loaded

            await self._enter_loop()
            await self.end(isinstance(error, asyncio.CancelledError))
        app, context = self._app, self._context
        if not context._dewar_is_watched:
            end(app, context, error)
        elif not self._has_async_teardown():
            await self._leave_loop()
            end(app, context, error)
        else:
            functions = self._plan.teardown
            await end_with_coroutines(app, context, functions, error, self._call)

    def _has_async_teardown(self) -> bool:
        functions = (*self._plan.teardown, *self._app.teardown_appcontext_funcs)
        return any(map(iscoroutinefunction, functions))

    # Between the loop and threads.

    async def _call(self, function: Callable[..., Any], *args: object) -> Any:
        """Call a coroutine function on the loop, and any other function on a thread."""
        if id(function) in self._plan.coroutines or iscoroutinefunction(function):
            await self._enter_loop()
            return await function(*args)
        await self._leave_loop()
        return function(*args)

    async def _enter_loop(self) -> None:
        if not self._is_on_loop:
            self._is_on_loop = True
            await ON_LOOP

    async def _leave_loop(self) -> None:
        if self._is_on_loop:
            self._is_on_loop = False
            await OFF_LOOP


async def _given(returned: Any) -> Any:
    """Return what a view function returned in place of a coroutine, awaited if possible."""
    # The automatic answer to OPTIONS is a response.
    return await returned if isawaitable(returned) else returned
