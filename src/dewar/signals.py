"""The signals that an app sends: ``request_started.connect(receiver, app)`` connects to one app.

The sender of every signal is the app, so a receiver that is connected to one app gets no signals
of other apps in the process. Receivers are weakly referenced, and must accept ``**extra``.
"""

from blinker import Namespace

# For Dewar's signals. An extension creates its own namespace.
signals = Namespace()

before_render_template = signals.signal(
    "before-render-template", "Sent before a template renders, with `template` and `context`."
)
template_rendered = signals.signal(
    "template-rendered", "Sent after a template has rendered, with `template` and `context`."
)
request_started = signals.signal(
    "request-started", "Sent when a request's context is pushed, before anything else happens."
)
request_finished = signals.signal(
    "request-finished", "Sent with the final `response`, just before it is returned."
)
got_request_exception = signals.signal(
    "got-request-exception", "Sent with an `exception` that no error handler has handled."
)
request_tearing_down = signals.signal(
    "request-tearing-down", "Sent at the end of a request, with `exc`: the error or None."
)
appcontext_pushed = signals.signal(
    "appcontext-pushed", "Sent when an app's context becomes the current one."
)
appcontext_tearing_down = signals.signal(
    "appcontext-tearing-down", "Sent before an app's context ends, with `exc`: the error or None."
)
appcontext_popped = signals.signal(
    "appcontext-popped", "Sent when an app's context is no longer the current one."
)
message_flashed = signals.signal(
    "message-flashed", "Sent when a message is flashed, with `message` and `category`."
)
