import pytest
from examples.tour.pages import PAGES

PATHS = {page.name: "/" if page.endpoint == "home" else f"/{page.endpoint}" for page in PAGES}


@pytest.mark.parametrize("name", PATHS)
def test_each_page_has_its_title_and_marks_itself_in_the_navigation(client, name):
    """A page answers 200, is called what the navigation calls it, and says that it is here."""
    answer = client.get(PATHS[name])
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert f"<title>{name} · Dewar tour</title>" in answer.text
    assert f'<a href="{PATHS[name]}" aria-current="page">{name}</a>' in answer.text


@pytest.mark.parametrize("name", [name for name in PATHS if name != "Home"])
def test_each_page_quotes_the_code_behind_it(client, name):
    """What a page shows as its source is the source of its views."""
    decorator = "@app.websocket(" if name == "Chat" else "@app.get("
    assert decorator in client.get(PATHS[name]).text.replace("&#34;", '"')


def test_home_lists_every_route(app, client):
    """The table on the first page has a row for each rule of the app."""
    text = client.get("/").text
    for rule in app.url_map.iter_rules():
        assert f"<code>{rule.rule.replace('<', '&lt;').replace('>', '&gt;')}</code>" in text


@pytest.mark.parametrize(
    ("file", "type_"),
    [("tour.css", "text/css"), ("slow.js", "text/javascript"), ("dewar.svg", "image/svg+xml")],
)
def test_static_files_have_their_types(client, file, type_):
    """Browsers told not to guess types need each file to bear its own."""
    with client.get(f"/static/{file}") as answer:
        assert answer.status_code == 200
        assert answer.mimetype == type_


def test_each_answer_names_its_request_and_forbids_other_hosts(client):
    """Two answers have two request ids, and a policy that lets nothing else in."""
    first, second = client.get("/"), client.get("/")
    assert first.headers["X-Request-Id"] in first.text
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]
    assert first.headers["Server-Timing"].startswith("app;dur=")
    assert "default-src 'self'" in first.headers["Content-Security-Policy"]


def count_shown(client):
    """The number on the counter's page."""
    return int(client.get("/counter").text.split('class="number">')[1].split("<")[0])


def test_the_counter_counts_for_each_browser(app):
    """One browser's clicks leave another's count alone."""
    one, other = app.test_client(), app.test_client()
    for _ in range(3):
        answer = one.post("/counter")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/counter")
    other.post("/counter")
    assert (count_shown(one), count_shown(other)) == (3, 1)


def test_the_counter_starts_over_and_says_so_once(client):
    """A reset leads back to zero with a message that the next page no longer has."""
    client.post("/counter")
    shown = '<p class="flash" role="status">The counter is back at zero.</p>'
    assert shown in client.post("/counter/reset", follow_redirects=True).text
    assert shown not in client.get("/counter").text
    assert count_shown(client) == 0


def test_a_forged_cookie_counts_for_nothing(client):
    """A cookie that the app did not sign is as good as none."""
    client.post("/counter")
    payload, time, signature = client.get_cookie("session").value.rsplit(".", 2)
    client.set_cookie("session", f"{payload}.{time}.{signature[::-1]}")
    assert count_shown(client) == 0


def test_the_slow_view_blocks_for_as_long_as_asked(client, waits):
    """Two seconds unless told, and whatever is told within bounds."""
    assert client.get("/api/slow").json["seconds"] == 2
    assert client.get("/api/slow?seconds=0.5").json["seconds"] == 0.5
    assert waits == [2, 0.5]


@pytest.mark.parametrize("seconds", ["-1", "5.1", "soon", "nan", "inf", ""])
def test_the_slow_view_refuses_other_numbers(client, waits, seconds):
    """A wrong argument is answered at once, by name."""
    answer = client.get("/api/slow", query_string={"seconds": seconds})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("?seconds= takes a number from 0 to 5")
    assert waits == []


def test_the_stream_sends_its_lines_one_by_one(client, waits):
    """Lines come as separate pieces of plain text, each knowing its own request."""
    answer = client.get("/stream.txt?lines=3&every=0.1", buffered=False)
    pieces = list(answer.iter_encoded())
    assert answer.mimetype == "text/plain"
    assert [piece[:16] for piece in pieces] == [b"line  %d of 3   /" % n for n in (1, 2, 3)]
    assert all(answer.headers["X-Request-Id"].encode() in piece for piece in pieces)
    assert waits == [0.1, 0.1]


def test_the_stream_is_bounded(client):
    """Nobody can ask for a stream that goes on for ever."""
    assert client.get("/stream.txt?lines=51").status_code == 400
