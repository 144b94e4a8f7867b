"""`View` and `MethodView`: views written as classes."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from werkzeug.exceptions import MethodNotAllowed

from dewar.contexts.current import current, current_request

__all__ = ["MethodView", "View", "http_method_funcs"]

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

    #: The methods of its routes, where they don't say.
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

        Args:
            name: the name of the function, and so of its endpoint.
            class_args: what the class is called with.
            class_kwargs: the same by name.
        """
        if cls.init_every_request:

            def view(**values: Any) -> Any:
                # The decorated view's class, which may be set to another one.
                return _answer(view.view_class(*class_args, **class_kwargs), values)  # type: ignore[attr-defined]  # set below

        else:
            shared = cls(*class_args, **class_kwargs)

            def view(**values: Any) -> Any:
                return _answer(shared, values)

        # Named before it is decorated as well: decorators may copy or register the name.
        view.__name__ = name
        view.__module__ = cls.__module__
        for decorator in cls.decorators:
            view = decorator(view)
        view.__name__ = name
        view.__doc__ = cls.__doc__
        view.__module__ = cls.__module__
        view.view_class = cls  # type: ignore[attr-defined]  # a function takes attributes
        view.methods = cls.methods  # type: ignore[attr-defined]  # as above
        view.provide_automatic_options = cls.provide_automatic_options  # type: ignore[attr-defined]  # as above
        return view


def _answer(instance: View, values: dict[str, Any]) -> Any:
    return current().app.ensure_sync(instance.dispatch_request)(**values)


class MethodView(View):
    """A view with a method for each HTTP method: ``get``, ``post``, ``delete`` and so on.

    ::

        class Item(MethodView):
            def get(self, id):
                return f"item {id}"

            def delete(self, id):
                return "", 204

        app.add_url_rule("/item/<int:id>", view_func=Item.as_view("item"))

    HEAD is answered by ``get`` where there is no ``head``.
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
        name = context.request.method.lower()
        method = getattr(self, name, None)
        if method is None and name == "head":
            method = getattr(self, "get", None)
        if method is None:
            # The route lets methods through that the class doesn't have.
            raise MethodNotAllowed(valid_methods=sorted(type(self).methods or ()))
        return context.app.ensure_sync(method)(**kwargs)
