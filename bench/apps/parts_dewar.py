"""The views of `parts_of_flask` in Dewar."""

import dewar
from bench.apps import parts_of_flask

app = parts_of_flask.views(dewar, dewar.Dewar("parts", static_folder=None))
hooked = parts_of_flask.hooked(dewar, dewar.Dewar("hooked", static_folder=None))
