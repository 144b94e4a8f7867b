"""`View` and `MethodView`: views written as classes."""

from collections.abc import Callable, Collection
from inspect import iscoroutinefunction
from typing import Any, ClassVar

from werkzeug.exceptions import MethodNotAllowed

from dewar.contexts.current import current, current_request

#: The methods of a `MethodView` that answer requests.
http_method_funcs = frozenset({"get", "post", "head", "options", "delete", "put", "trace", "patch"})


class View:
    """A view written as a class, for views that share code.

    ::

        class Greeting(View):
            def __init__(self, word):
                self.word = word

            def dispatch_request(self, name):
                return f"{self.word} {name}"

        app.add_url_rule("/hello/<name>", view_func=Greeting.as_view("hello", "Hello"))

    """

    #: The methods of its routes, if these do not name any.
    methods: ClassVar[Collection[str] | None] = None
    #: Whether OPTIONS is answered without asking the view.
    provide_automatic_options: ClassVar[bool | None] = None
    #: Functions that the view function is passed through, in this order.
    decorators: ClassVar[list[Callable[..., Any]]] = []
    #: Whether each request has an instance of its own. One for all is quicker, and what is set
    #: on it is seen by every request: keep that in `g`.
    init_every_request: ClassVar[bool] = True

    def dispatch_request(self) -> Any:
        """Answer the request; the arguments are the values of the rule's variables."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a method that answers: def dispatch_request(self): ..."
        )

    @classmethod
    def as_view(cls, name: str, *class_args: Any, **class_kwargs: Any) -> Callable[..., Any]:
        """Return the view function for a route.

        It is a coroutine function, which holds no thread while it waits, where all that may answer
        is one: `dispatch_request`, or each method of a `MethodView`. A class with `decorators` has
        a plain function in any case, for they may want an answer of it and no coroutine.

        Args:
            name: The name of the function, and so of its endpoint.
            class_args: The arguments of the class.
            class_kwargs: The same by name.
        """
        shared = None if cls.init_every_request else cls(*class_args, **class_kwargs)
        view: Any  # a function takes attributes

        def instance() -> Any:
            if shared is not None:
                return shared
            # The decorated view's class, which may be set to another one.
            return view.view_class(*class_args, **class_kwargs)

        if _is_wholly_async(cls) and not cls.decorators:

            async def view(**values: Any) -> Any:
                return await _wait_for_answer(instance(), values)

        else:

            def view(**values: Any) -> Any:
                return _answer(instance(), values)

        # Named before it is decorated as well: decorators may copy or register the name.
        view.__name__ = name
        view.__module__ = cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        view.__name__ = name
        view.__doc__ = cls.__doc__
        view.__module__ = cls.__module__
        view.view_class = cls
        view.methods = cls.methods
        view.provide_automatic_options = cls.provide_automatic_options
        made: Callable[..., Any] = view
        return made


def _answer(instance: View, values: dict[str, Any]) -> Any:
    return current().app.ensure_sync(instance.dispatch_request)(**values)


async def _wait_for_answer(instance: View, values: dict[str, Any]) -> Any:
    answers: Callable[..., Any] = instance.dispatch_request
    if _has_methods(type(instance)):
        answers = _method_for(current_request(), instance)
    if iscoroutinefunction(answers):
        return await answers(**values)
    import asyncio  # an event loop runs, so it is loaded

    # The view was given another class since.
    return await asyncio.to_thread(answers, **values)


class MethodView(View):
    """A view with a method for each HTTP method: ``get``, ``post``, ``delete`` and so on.

    ::

        class Item(MethodView):
            def get(self, id):
                return f"item {id}"

            def delete(self, id):
                return "", 204

        app.add_url_rule("/item/<int:id>", view_func=Item.as_view("item"))

    HEAD is answered by ``get`` if there is no ``head``.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in cls.__dict__:
            return
        methods = {name.upper() for name in http_method_funcs if hasattr(cls, name)}
        for base in cls.__bases__:
            methods.update(getattr(base, "methods", None) or ())
        if methods:
            cls.methods = methods

    def dispatch_request(self, **kwargs: Any) -> Any:
        """Answer with the method that is called as the request's is."""
        context = current_request()
        return context.app.ensure_sync(_method_for(context, self))(**kwargs)


def _method_for(context: Any, instance: View) -> Callable[..., Any]:
    name = context.request.method.lower()
    method: Callable[..., Any] | None = getattr(instance, name, None)
    if method is None and name == "head":
        method = getattr(instance, "get", None)
    if method is None:
        # The route lets methods through that the class doesn't have.
        raise MethodNotAllowed(valid_methods=sorted(type(instance).methods or ()))
    return method


def _has_methods(cls: type[View]) -> bool:
    """Whether a class does not override `dispatch_request`."""
    return cls.dispatch_request is MethodView.dispatch_request


def _is_wholly_async(cls: type[View]) -> bool:
    """Whether everything that may answer is a coroutine function."""
    if not _has_methods(cls):
        return iscoroutinefunction(cls.dispatch_request)
    methods = [getattr(cls, name) for name in http_method_funcs if hasattr(cls, name)]
    return bool(methods) and all(map(iscoroutinefunction, methods))
