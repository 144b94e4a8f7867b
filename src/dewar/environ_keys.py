"""The keys that Dewar's server adds to the environ for the app, besides those of PEP 3333.

They stand below both, so that the app may ask for them without importing the server.
"""

# A function without arguments: whether the server is about to stop and waits for what it answers.
IS_DRAINING = "dewar.is_draining"
# A function without arguments: has the server stop, as SIGTERM does, and returns at once.
STOP = "dewar.stop"
# A function that takes the connection over from HTTP, with a protocol of asyncio.
UPGRADE = "dewar.upgrade"
