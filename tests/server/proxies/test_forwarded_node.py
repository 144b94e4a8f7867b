"""The grammar of RFC 7239: nodes, pairs, elements."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dewar.server.errors import Refusal
from dewar.server.proxies.forwarded_node import ForwardedNode, parse_elements, parse_node

TOKEN = "!#$%&'*+-.^_`|~09azAZ"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.43", ForwardedNode("192.0.2.43", "")),
        ("192.0.2.43:47011", ForwardedNode("192.0.2.43", "47011")),
        ("[2001:DB8:0:0::1]", ForwardedNode("2001:db8::1", "")),
        ("[2001:db8::1]:4711", ForwardedNode("2001:db8::1", "4711")),
        ("[::ffff:1.2.3.4]", ForwardedNode("::ffff:102:304", "")),
        ("unknown", ForwardedNode("unknown", "")),
        ("UNKNOWN:12", ForwardedNode("unknown", "12")),
        ("_hidden", ForwardedNode("_hidden", "")),
        ("_SEVKISEK", ForwardedNode("_SEVKISEK", "")),
        ("_gazonk:_port", ForwardedNode("_gazonk", "")),
        ("1.2.3.4:_x", ForwardedNode("1.2.3.4", "")),
    ],
)
def test_a_node_has_a_name_and_perhaps_a_port(text: str, expected: ForwardedNode) -> None:
    """Addresses in their usual spelling; a port that is made up is none."""
    found = parse_node(text)
    assert found._replace(name=found.name.replace("::ffff:1.2.3.4", "::ffff:102:304")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "2001:db8::1", "[2001:db8::1", "[::g]",
        "[fe80::1%eth0]", "[1.2.3.4]:99999", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:123456",
        "::1:80", "localhost", "_", "_a b", "unknowns", "1.2.3.4 ", "1.2.3.4\t", "<script>",
        "1.2.3.4:-1",
        "\u0661.2.3.4",
    ],
)  # fmt: skip
def test_what_is_no_node_is_refused(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Refusal, match="400"):
        parse_node(text)


@pytest.mark.parametrize("text", ["::1", "2001:db8::1", "::ffff:1.2.3.4"])
def test_only_x_forwarded_for_has_ipv6_without_brackets(text: str) -> None:
    """There nearly all proxies write it so."""
    assert parse_node(text, bare_ipv6=True).port == ""
    assert parse_node(f"[{text}]:80", bare_ipv6=True).port == "80"
    with pytest.raises(Refusal):
        parse_node(text)


@pytest.mark.parametrize("text", [":", "::", ":::", "1:2", "::g", "1.2.3.4:5:6", "fe80::1%0"])
def test_what_only_looks_like_ipv6_is_refused(text: str) -> None:
    """``::`` is an address, the others are none."""
    if text == "::":
        assert parse_node(text, bare_ipv6=True) == ForwardedNode("::", "")
        return
    with pytest.raises(Refusal):
        parse_node(text, bare_ipv6=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        ('host="a\\"b\\\\c"', [{"host": 'a"b\\c'}]),
        ('x="a,b;c=d"', [{"x": "a,b;c=d"}]),
        ('x=""', [{"x": ""}]),
        (";for=_a;;", [{"for": "_a"}]),
        (" ,, for=_a ; proto=http,\t,", [{"for": "_a", "proto": "http"}]),
        ("", []),
        (" , ;", []),
    ],
)
def test_the_examples_of_the_rfc_and_the_corners(text: str, expected: Any) -> None:
    """Quoted strings may hold what parts the field; empty elements are none."""
    assert [element.pairs for element in parse_elements(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "for", "for=", "=x", "for =x", "for= x", "for=[::1]", 'for="a', 'for="a"b', "for=a b",
        "for=a;for=b", "for=a;FOR=b", "for=1.2.3.4:80", 'for="a\\"', "for=a for=b", 'x"a"=b',
        "for=a;=", "for=a==b", "f\xf6r=a", "@=a", 'for=", for=1.2.3.4', 'for=", for="[::1]"',
    ],
)  # fmt: skip
def test_what_breaks_the_grammar_is_refused(text: str) -> None:
    """Also a quote that a client has opened in order to swallow what a proxy appends."""
    with pytest.raises(Refusal, match="400"):
        parse_elements(text)


values = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "S", "Zs")))
pairs = st.dictionaries(
    st.text(TOKEN.replace("Z", ""), min_size=1).map(str.lower), values, min_size=1
)


@given(st.lists(pairs), st.randoms(use_true_random=False))
def test_what_is_written_is_read(elements: list[dict[str, str]], random: Any) -> None:
    """As tokens where it can be, and quoted else; each element keeps its text."""

    def write(name: str, value: str) -> str:
        is_token = value and all(character in TOKEN for character in value)
        if is_token and random.random() < 0.5:
            return f"{name.upper()}={value}"
        quoted = re.sub(r'([\\"])', r"\\\1", value)
        return f'{name}="{quoted}"'

    written = [";".join(write(*pair) for pair in element.items()) for element in elements]
    found = parse_elements(random.choice([",", ", ", " ,\t"]).join(written))
    assert [element.pairs for element in found] == elements
    assert [element.text for element in found] == written


@given(st.text('for=";,\\[]:1._ \t', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """There is no third way, and what was read can be read again."""
    try:
        elements = parse_elements(text)
    except Refusal:
        return
    assert parse_elements(", ".join(element.text for element in elements)) == elements
