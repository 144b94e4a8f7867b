"""Types for annotating views, hooks and handlers."""

import typing as t
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from wsgiref.types import WSGIApplication

from werkzeug.datastructures import Headers
from werkzeug.sansio.response import Response

R = t.TypeVar("R")
ResponseClass = t.TypeVar("ResponseClass", bound=Response)

#: A value that can become the body of a response.
ResponseValue: t.TypeAlias = (
    Response
    | str
    | bytes
    | list[t.Any]
    | Mapping[str, t.Any]
    | Iterator[str]
    | Iterator[bytes]
    | AsyncIterable[str]
    | AsyncIterable[bytes]
)
HeaderValue: t.TypeAlias = str | list[str] | tuple[str, ...]
HeadersValue: t.TypeAlias = Headers | Mapping[str, HeaderValue] | Sequence[tuple[str, HeaderValue]]
#: A value that a view can return.
ResponseReturnValue: t.TypeAlias = (
    ResponseValue
    | tuple[ResponseValue, HeadersValue]
    | tuple[ResponseValue, int]
    | tuple[ResponseValue, int, HeadersValue]
    | WSGIApplication
)
#: The name of a blueprint, or None for the app.
AppOrBlueprintKey: t.TypeAlias = str | None

_Maybe: t.TypeAlias = R | Awaitable[R]

AfterRequestCallable: t.TypeAlias = Callable[[ResponseClass], _Maybe[ResponseClass]]
BeforeFirstRequestCallable: t.TypeAlias = Callable[[], _Maybe[None]]
BeforeRequestCallable: t.TypeAlias = Callable[[], _Maybe[ResponseReturnValue | None]]
ErrorHandlerCallable: t.TypeAlias = Callable[[t.Any], _Maybe[ResponseReturnValue]]
RouteCallable: t.TypeAlias = Callable[..., _Maybe[ResponseReturnValue]]
ShellContextProcessorCallable: t.TypeAlias = Callable[[], dict[str, t.Any]]
TeardownCallable: t.TypeAlias = Callable[[BaseException | None], _Maybe[None]]
TemplateContextProcessorCallable: t.TypeAlias = Callable[[], _Maybe[dict[str, t.Any]]]
TemplateFilterCallable: t.TypeAlias = Callable[..., t.Any]
TemplateGlobalCallable: t.TypeAlias = Callable[..., t.Any]
TemplateTestCallable: t.TypeAlias = Callable[..., bool]
URLDefaultCallable: t.TypeAlias = Callable[[str, dict[str, t.Any]], None]
URLValuePreprocessorCallable: t.TypeAlias = Callable[[str | None, dict[str, t.Any] | None], None]
