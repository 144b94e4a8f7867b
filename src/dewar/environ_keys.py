"""The keys that Dewar's server adds to the environ for the app, besides those of PEP 3333.

They stand below both, so that the app may ask for them without importing the server.
"""

# A function without arguments: whether the server is about to stop and waits for what it answers.
IS_DRAINING = "dewar.is_draining"
# A function without arguments: has the server stop, as SIGTERM does, and returns at once.
STOP = "dewar.stop"
# In a request that asks for WebSocket, if the server can leave HTTP: a function
# ``upgrade(protocol, going_away)``, to be called once on the event loop's thread. It gives the
# connection to an `asyncio.Protocol` and returns its transport. ``going_away()`` is called once, on
# the same thread, when the server is about to stop.
UPGRADE = "dewar.upgrade"
# There too: the connection as a blocking socket, under the names that Werkzeug's server and
# gunicorn give it.
SOCKETS = ("werkzeug.socket", "gunicorn.socket")
