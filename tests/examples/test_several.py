"""The shop and its office."""

import pytest
from examples.several import app
from examples.several.office import create_office
from examples.several.shop import create_shop
from examples.several.stock import Stock

from dewar.testing.client import DewarClient


@pytest.fixture
def client() -> DewarClient:
    """A browser, and apps of its own."""
    stock = Stock({"tea": 300})
    shop = create_shop(stock)
    shop.mount("/office", create_office(stock))
    return shop.test_client()


def test_each_leads_to_the_other(client: DewarClient) -> None:
    """By its name, and the shop as the root."""
    assert '<a href="/office/">To the office</a>' in client.get("/").text
    assert '<a href="/">To the shop</a>' in client.get("/office/").text


def test_a_price_that_the_office_changes_is_the_shop_s(client: DewarClient) -> None:
    """And who changed it is sent there to see it."""
    answer = client.post("/office/", data={"article": "tea", "price": "250"}, follow_redirects=True)
    assert answer.request.path == "/"
    assert "tea: 2.5" in answer.text


def test_visits_are_counted_by_each_for_itself(client: DewarClient) -> None:
    """Under the same key of the session."""
    for _ in range(3):
        client.get("/")
    assert "Visits: 1." in client.get("/office/").text
    assert "Visits: 4." in client.get("/").text


def test_the_app_that_is_served_has_both() -> None:
    """As ``dewar run`` finds it."""
    assert repr(app.mounts) == "(<Mount /office named 'office': <Dewar 'office'>>,)"
