"""Whether a program can see when a session is opened.

Flask opens the session of each request before the hooks and the view, and saves it at the end.
Without a cookie the shipped interface makes an empty session and drops it again. So a request that
does not use its session need not open one. An interface or a class of the program may count, look
into a store, or send a cookie each time.
"""

from dewar.json.tagged import TaggedJSONSerializer
from dewar.sessions.interface import SessionInterface
from dewar.sessions.secure_cookie import SecureCookieSessionInterface

# As they are at import, because programs and tracing tools replace members of the class itself.
_SHIPPED = {
    name: getattr(SecureCookieSessionInterface, name)
    for name in dir(SecureCookieSessionInterface)
    if not name.startswith("__")
}
# How cookies are signed. It is not seen before a session is opened, which a cookie does.
_OF_SIGNATURES = {"digest_method", "key_derivation", "salt"}
_TAGS = TaggedJSONSerializer.default_tags


def may_open_late(interface: SessionInterface) -> bool:
    """Whether opening a session that the request does not use has no visible effect."""
    if type(interface) is not SecureCookieSessionInterface:
        return False
    # What starts with an underscore is the interface's own.
    own = {name for name in vars(interface) if name[0] != "_"} - {"serializer"}
    serializer = vars(interface).get("serializer")
    has_own_serializer = serializer is not None and (
        type(serializer) is not TaggedJSONSerializer or [*map(type, serializer.order)] != [*_TAGS]
    )
    return (
        not has_own_serializer
        and own <= _OF_SIGNATURES
        and all(getattr(type(interface), name) is member for name, member in _SHIPPED.items())
    )
