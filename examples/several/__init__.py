"""A shop and its back office: two apps under one address that link to each other.

In the project's root folder::

    dewar run examples.several:app

The shop is at ``/``, the back office at ``/office``. Both use the same endpoints and session keys.
The back office changes the prices that the shop shows.
"""

from examples.several.office import create_office
from examples.several.shop import create_shop
from examples.several.stock import Stock

__all__ = ["app"]

_stock = Stock({"tea": 300, "honey": 650})
app = create_shop(_stock)
app.mount("/office", create_office(_stock))
