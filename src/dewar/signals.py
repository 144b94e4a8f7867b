"""The signals an app sends; ``request_started.connect(receiver, app)`` listens to one app.

Every signal is sent with the app as its sender, so apps in one process keep apart: a receiver
that names its sender hears from no other. Receivers are held weakly, and must take ``**extra``.
"""

from blinker import Namespace

# For Dewar's own signals; an extension makes a namespace of its own.
signals = Namespace()

before_render_template = signals.signal(
    "before-render-template", "Sent before a template renders, with `template` and `context`."
)
template_rendered = signals.signal(
    "template-rendered", "Sent after a template has rendered, with `template` and `context`."
)
request_started = signals.signal(
    "request-started", "Sent when a request's context is there and nothing else has happened."
)
request_finished = signals.signal(
    "request-finished", "Sent with the final `response`, right before it leaves."
)
got_request_exception = signals.signal(
    "got-request-exception", "Sent with the `exception` that no error handler took."
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
