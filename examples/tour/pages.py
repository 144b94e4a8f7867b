"""The pages of the tour, in the order the navigation shows them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """A page: its endpoint, its name and its description."""

    endpoint: str
    name: str
    shows: str


PAGES = (
    Page("home", "Home", "An introduction, and all routes of the app."),
    Page("counter", "Counter", "A counter for each browser, in a signed cookie."),
    Page("guestbook", "Guestbook", "A small JSON API, and a page that uses it."),
    Page("slow", "Slow view", "Ten blocking requests, served at the same time."),
    Page("whoami", "Who served me", "Twenty requests at once; each must see only its own state."),
    Page("stream", "Stream", "A response that arrives line by line."),
    Page("clock", "Live clock", "Server-sent events, and the number of listening browsers."),
    Page("chat", "Chat", "Messages between all browsers, over WebSockets."),
    Page("jobs", "Background job", "An upload that is processed after the response."),
    Page("errors", "Errors", "The error pages, and the same errors as JSON."),
)
