"""`WebSocketConfig`: what an app's configuration says about its WebSockets."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Self

from dewar.errors import DewarError
from dewar.registration.origins import Origins
from dewar.support.near_match import maybe_near
from dewar.websocket.settings import WebSocketSettings

#: What the names of the settings begin with in a configuration.
PREFIX = "WEBSOCKET_"

_ORIGINS = "WEBSOCKET_ORIGINS"
# PERF: each open WebSocket holds its settings.
_DEFAULTS = WebSocketSettings()
# A key that is less like one of ours may be the program's own.
_LIKE = 0.85


class WebSocketConfigError(DewarError, ValueError):
    """Raised for a key ``WEBSOCKET_...`` that is misspelt, or has a value that cannot be."""


@dataclass(frozen=True, slots=True)
class WebSocketConfig:
    """The settings and the allowed origins of an app's WebSockets."""

    settings: WebSocketSettings
    origins: Origins

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Return what a configuration says.

        Raises:
            WebSocketConfigError: If a key is misspelt, or has a value that cannot be.
            OriginError: If ``WEBSOCKET_ORIGINS`` has something that is no origin.
        """
        names = {PREFIX + field.name.upper(): field.name for field in fields(WebSocketSettings)}
        given = {key: value for key, value in config.items() if key.startswith(PREFIX)}
        if not given:
            return cls(_DEFAULTS, Origins((), _ORIGINS))
        origins = given.pop(_ORIGINS, None)
        origins = Origins(() if origins is None or origins == "" else origins, _ORIGINS)
        for key in given:
            near = None if key in names else maybe_near(key, [*names, _ORIGINS], _LIKE)
            if near is not None:
                raise WebSocketConfigError(
                    f"The configuration has {key}, which is no setting. Did you mean {near}?"
                )
        values = {names[key]: _number(value) for key, value in given.items() if key in names}
        try:
            return cls(WebSocketSettings(**values), origins)
        except ValueError as error:
            name, _, problem = str(error).partition("=")
            raise WebSocketConfigError(f"{PREFIX}{name.upper()}={problem}") from error


def _number(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value
