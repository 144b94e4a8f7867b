"""The pages of the tour, in the order the navigation shows them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: the endpoint that serves it, its name and what it shows."""

    endpoint: str
    name: str
    shows: str


PAGES = (
    Page("home", "Home", "Where you are, and every route there is."),
    Page("counter", "Counter", "A signed cookie keeps a count for each browser."),
    Page("guestbook", "Guestbook", "A small JSON API, and a page that uses it."),
    Page("slow", "Slow view", "Ten requests that block, all served at the same time."),
    Page("whoami", "Who served me", "Twenty requests at once; each must see only itself."),
    Page("stream", "Stream", "Text that arrives while it is being written."),
    Page("clock", "Live clock", "Events from the server, and how many are listening."),
    Page("jobs", "Background job", "An upload that is worked on after the answer has gone."),
    Page("errors", "Errors", "What a visitor sees when something goes wrong."),
)
