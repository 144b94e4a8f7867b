from conformance import excuses

PAGE = """# Compatibility

| `not/here.py::test_a` | another table |

## Tests of Flask's internals

Some prose with `code`.

| Test | Why |
|---|---|
| `tests/test_basic.py::test_b` | reads `app._got_first_request` |
| `Flask-Login: tests/test_login.py::TestC::test_d[a: b]` | reads `g._x` |
| `tests/test_basic.py::test_e[a: b]` | reads more |

## Another section

| `nor/here.py::test_f` | - |
"""


def test_only_the_first_column_under_the_heading_excuses():
    """Prose, other columns and other sections excuse nothing; a bare id is one of Flask's own."""
    assert excuses.read(PAGE) == {
        "Flask: tests/test_basic.py::test_b",
        "Flask-Login: tests/test_login.py::TestC::test_d[a: b]",
        "Flask: tests/test_basic.py::test_e[a: b]",
    }


def test_a_page_without_the_heading_excuses_nothing():
    """Nothing is skipped by accident."""
    assert excuses.read("# Compatibility\n\n| `a.py::test` | - |\n") == frozenset()
