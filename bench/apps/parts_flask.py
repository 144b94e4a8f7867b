"""The views of `parts_of_flask` in Flask."""

import flask

from bench.apps import parts_of_flask

app = parts_of_flask.views(flask, flask.Flask("parts", static_folder=None))
hooked = parts_of_flask.hooked(flask, flask.Flask("hooked", static_folder=None))
