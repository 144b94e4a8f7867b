"""The names of the header fields in which proxies describe clients: ``forwarded_headers``."""

import re

from dewar.server.errors import SettingsError
from dewar.server.settings.proxy_checks import split_names
from dewar.support.near_match import did_you_mean

FORWARDED, FOR, PROTO, HOST, PORT, PREFIX = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
)

#: The fields that nearly every proxy sets. ``x-forwarded`` stands for them.
USUAL = "x-forwarded-for, x-forwarded-proto, x-forwarded-host"
_SHORT = {"x-forwarded": USUAL}

_READ = (
    *("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"),
    *("x-forwarded-port", "x-forwarded-prefix"),
)
# Not read by the server. Applications and middleware read them, some for the path of the request.
_RELATED = (
    *("cf-connecting-ip", "fastly-client-ip", "front-end-https", "true-client-ip", "x-client-ip"),
    *("x-cluster-client-ip", "x-forwarded", "x-original-for", "x-original-host"),
    *("x-original-proto", "x-original-url", "x-real-ip", "x-rewrite-url", "x-scheme"),
    *("x-script-name", "x-url-scheme"),
)
_FAMILY_KEY = "HTTP_X_FORWARDED_"
_IN_FAMILY = re.compile(r"x-forwarded-[a-z0-9-]+")


def key_of(name: str) -> str:
    """Return the environ key of a field name (PEP 3333)."""
    return f"HTTP_{name.upper().replace('-', '_')}"


_OTHER_KEYS = frozenset(map(key_of, ("forwarded", *_RELATED)))


def describing_keys(environ: dict[str, object]) -> list[str]:
    """Return the keys of the fields in *environ* that describe a client, believed or not."""
    return [
        key
        for key in environ
        # PERF: `in` takes half the time of `startswith`, and few keys get as far as that.
        if key in _OTHER_KEYS or (_FAMILY_KEY in key and key.startswith(_FAMILY_KEY))
    ]


def parse_forwarded_headers(text: str) -> frozenset[str]:
    """Return the environ keys of the fields that *text*, the setting, names.

    Raises:
        SettingsError: A name is not that of a field in which proxies describe clients.
    """
    names = [name.lower() for name in split_names(text)]
    for name in names:
        if name not in (*_READ, *_RELATED) and _IN_FAMILY.fullmatch(name) is None:
            known = did_you_mean(name, [*_READ, *_RELATED])
            raise SettingsError(
                f"forwarded_headers has {name!r}, which is not a field in which proxies describe"
                f" clients.{known} Name the fields that your proxy sets:"
                f' forwarded_headers="{USUAL}".',
                "forwarded_headers",
            )
    spelt_out = ", ".join(_SHORT.get(name, name) for name in names)
    return frozenset(map(key_of, split_names(spelt_out)))
