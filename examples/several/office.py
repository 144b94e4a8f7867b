"""The back office: changes prices. It has its own session, with the same keys as the shop's."""

from typing import Any

from dewar import Dewar, redirect, render_template_string, request, session, url_for
from examples.secret_key import secret_key
from examples.several.stock import Stock

_PAGE = """<!doctype html>
<title>Office</title>
<h1>Office</h1>
<form method="post">
  <select name="article">
    {% for article in prices %}<option>{{ article }}</option>{% endfor %}
  </select>
  <input name="price" type="number" min="0" required> <button>Change the price</button>
</form>
<p>Visits: {{ visits }}. <a href="{{ url_for(':index') }}">To the shop</a></p>
"""


def create_office(stock: Stock) -> Dewar:
    """Return the app for the staff. A real app would require a login."""
    app = Dewar("office", static_folder=None)
    app.secret_key = secret_key(app.instance_path)
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"

    @app.get("/")
    def index() -> Any:
        session["visits"] = session.get("visits", 0) + 1
        return render_template_string(_PAGE, prices=stock.prices(), visits=session["visits"])

    @app.post("/")
    def change() -> Any:
        stock.change(request.form["article"], request.form.get("price", type=int) or 0)
        return redirect(url_for("shop:index"))

    return app
