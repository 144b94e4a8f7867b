"""The shop: shows prices and counts each visitor's visits."""

from typing import Any

from dewar import Dewar, render_template_string, session
from examples.secret_key import secret_key
from examples.several.stock import Stock

_PAGE = """<!doctype html>
<title>Shop</title>
<h1>Shop</h1>
<ul>
  {% for article, price in prices.items() %}<li>{{ article }}: {{ price / 100 }}</li>{% endfor %}
</ul>
<p>Visits: {{ visits }}. <a href="{{ url_for('office:index') }}">To the office</a></p>
"""


def create_shop(stock: Stock) -> Dewar:
    """Return the app for customers."""
    app = Dewar("shop", static_folder=None)
    app.secret_key = secret_key(app.instance_path)

    @app.get("/")
    def index() -> Any:
        session["visits"] = session.get("visits", 0) + 1
        return render_template_string(_PAGE, prices=stock.prices(), visits=session["visits"])

    return app
