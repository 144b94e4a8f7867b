"""Finds credentials by the names of their fields, and removes them from URLs.

More people read a log or a queue of jobs than an application's data (CWE-532). A name is all there
is to see: a password in a parameter called ``x`` is not found.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import unquote_plus

#: What stands for a value that was removed.
HIDDEN = "***"

#: The names of header fields, parameters and fields of forms that have credentials, without
#: characters other than letters and digits: ``xapikey`` is X-Api-Key and x_api_key. A ``*`` stands
#: for any letters and digits.
CREDENTIALS = (
    *("*accesskey*", "*apikey*", "*authkey*", "*authorization*", "*cookie*", "*credential*"),
    *("*csrf*", "*functionskey", "*jwt*", "*passphrase*", "*passw*", "*privatekey*"),
    # Not max_tokens and the like, which are numbers.
    *("*secret*", "*sessionid", "*sessid", "*signature*", "*subscriptionkey", "*token"),
    *("*xsrf*", "assertion", "auth", "code", "codeverifier", "key", "otp", "pass", "pin", "pwd"),
    *("session", "sid", "sig", "sign", "xauth"),
)

IsSecret = Callable[[str], bool]

_OTHER = re.compile(r"[\W_]+")
_NOTHING = "(?!)"
_LONG = 64
_OTHER_BUT_STAR = re.compile(r"[^\w*]|_")
# A parameter begins and ends at one of these. A Referer may have a fragment. A URL in a value that
# is not encoded, such as next=/login?token=..., has parameters too.
_NAME = re.compile(r"(?:^|[?&;#])([^=?&;#]*)=")
_SEPARATORS = re.compile(r"([&;#])")
_NAME_INSIDE = re.compile(r"(?:^|\?)([^=?]*)=")
_USER_INFO = re.compile(r"^([^/?#]*//)[^/?#]*@")
# How often a value is decoded to look for parameters inside it: ?next=%2Flogin%3Ftoken%3D...
_DEPTH = 3


def secret_names(patterns: Iterable[str] | None = None) -> IsSecret:
    """Return a function that says whether a name is one of *patterns*; None for `CREDENTIALS`.

    Names and patterns are compared without case, and without characters other than letters,
    digits and, in a pattern, ``*``.
    """
    return _compiled(CREDENTIALS if patterns is None else tuple(patterns))


@lru_cache(maxsize=16)  # an app has one list
def _compiled(patterns: tuple[str, ...]) -> IsSecret:
    plain = [_OTHER_BUT_STAR.sub("", pattern).lower() for pattern in patterns]
    names = frozenset(pattern for pattern in plain if "*" not in pattern)
    expressions = [_expression(pattern) for pattern in plain if "*" in pattern]
    search = re.compile("|".join(expressions or [_NOTHING])).search

    def look(name: str) -> bool:
        if "%" in name or "+" in name:
            name = unquote_plus(name)
        if not (name.isalpha() and name.islower()):
            name = _OTHER.sub("", name).lower()
        return name in names or search(name) is not None

    # PERF: nearly all names come again and again. Long ones do not fill the cache.
    known = lru_cache(maxsize=512)(look)
    return lambda name: known(name) if len(name) < _LONG else look(name)


def _expression(pattern: str) -> str:
    """Return a pattern with stars for `re.search`."""
    inner = ".*".join(re.escape(part) for part in pattern.strip("*").split("*"))
    begin = "" if pattern.startswith("*") else "^"
    return f"{begin}{inner}{'' if pattern.endswith('*') else '$'}"


_is_credential = secret_names()


def without_secrets(url: str, is_secret: IsSecret = _is_credential) -> str:
    """Return *url*, a request target or a Referer, with ``***`` in place of secret values.

    User information is removed: ``https://user:password@host/`` becomes ``https://host/``.
    """
    if "@" in url:
        url = _USER_INFO.sub(r"\1", url)
    if "=" in url or "%" in url:
        return _without_values(url, _DEPTH, is_secret)
    return url


def _without_values(text: str, depth: int, is_secret: IsSecret) -> str:
    # PERF: most parameters are not encoded, and only their names have to be checked.
    if "%" not in text and not any(map(is_secret, _NAME.findall(text))):
        return text
    return "".join(_without_value(part, depth, is_secret) for part in _SEPARATORS.split(text))


def _without_value(parameter: str, depth: int, is_secret: IsSecret) -> str:
    for found in _NAME_INSIDE.finditer(parameter):
        if is_secret(found[1]):
            return parameter[: found.end()] + HIDDEN
    begin = parameter.find("=") + 1  # 0 without a name
    value = parameter[begin:]
    if "%" in value and depth:
        inner = unquote_plus(value)
        if inner != value and _without_values(inner, depth - 1, is_secret) != inner:
            return parameter[:begin] + HIDDEN
    return parameter
