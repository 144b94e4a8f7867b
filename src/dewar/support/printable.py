"""Text in one line, for logs and terminals."""


def printable(text: str) -> str:
    """Return *text* in one line, with every other control character written as Python escapes it.

    SECURITY: names and messages may come from clients. A line end would begin a forged record, and
    an escape sequence controls the terminal that shows it (CWE-117). Line ends of Unicode, marks
    that reverse text, and surrogates without a partner are escaped too.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
