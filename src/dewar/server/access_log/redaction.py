"""Removes secrets from URLs before they are logged: passwords, tokens, keys.

More people read a log than an application's data (CWE-532). Secrets are recognized by the names of
their parameters: a password in a parameter called ``x`` is not found.
"""

import re
from urllib.parse import unquote_plus

_HIDDEN = "***"

# Whole names, without characters other than letters and digits: client_id is clientid.
_NAMES = frozenset(
    {
        "apikey", "assertion", "auth", "authorization", "code", "codeverifier", "credential",
        "credentials", "jsessionid", "jwt", "key", "otp", "pass", "phpsessid", "pin", "privatekey",
        "pwd", "secretkey", "session", "sessionid", "sid", "sig", "sign",
    }
)  # fmt: skip
# Parts of names: reset_token, user[password], X-Amz-Signature.
_TELLING = re.compile("token|passw|passphrase|secret|signature|credential|apikey|accesskey")
_OTHER = re.compile(r"[\W_]+")
# A parameter begins and ends at one of these. A Referer may have a fragment. A URL in a value that
# is not encoded, such as next=/login?token=..., has parameters too.
_NAME = re.compile(r"(?:^|[?&;#])([^=?&;#]*)=")
_SEPARATORS = re.compile(r"([&;#])")
_NAME_INSIDE = re.compile(r"(?:^|\?)([^=?]*)=")
_USER_INFO = re.compile(r"^([^/?#]*//)[^/?#]*@")
# How often a value is decoded to look for parameters inside it: ?next=%2Flogin%3Ftoken%3D...
_DEPTH = 3


def without_secrets(url: str) -> str:
    """Return *url*, a request target or a Referer, with ``***`` in place of secret values.

    User information is removed: ``https://user:password@host/`` becomes ``https://host/``.
    """
    if "@" in url:
        url = _USER_INFO.sub(r"\1", url)
    if "=" in url or "%" in url:
        return _without_values(url, _DEPTH)
    return url


def _without_values(text: str, depth: int) -> str:
    # PERF: most parameters are not encoded, and only their names have to be checked.
    if "%" not in text and not any(map(_is_secret, _NAME.findall(text))):
        return text
    return "".join(_without_value(part, depth) for part in _SEPARATORS.split(text))


def _without_value(parameter: str, depth: int) -> str:
    for found in _NAME_INSIDE.finditer(parameter):
        if _is_secret(found[1]):
            return parameter[: found.end()] + _HIDDEN
    begin = parameter.find("=") + 1  # 0 without a name
    value = parameter[begin:]
    if "%" in value and depth:
        inner = unquote_plus(value)
        if inner != value and _without_values(inner, depth - 1) != inner:
            return parameter[:begin] + _HIDDEN
    return parameter


def _is_secret(name: str) -> bool:
    if "%" in name or "+" in name:
        name = unquote_plus(name)
    if not (name.isalpha() and name.islower()):
        name = _OTHER.sub("", name).lower()
    return name in _NAMES or _TELLING.search(name) is not None
