"""Measures where the microseconds of a request go, and writes the page about it."""

import argparse
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from bench.flame import page
from bench.flame.page import PAGE, Measured
from bench.flame.stacks import sample
from bench.flame.stages import shares
from bench.flame.svg import draw

#: The paths of the page, and the file of the flame graph of each.
PATHS = {
    "wire: raw": "flame-raw.svg",
    "wire: /": "flame-hello.svg",
    "wire: /user/<int>?q=": "flame-user.svg",
    "wire: session, written": "flame-session.svg",
    "wire: POST, small JSON": "flame-post.svg",
}


def measure(paths: Iterable[str], folder: Path, seconds: float) -> dict[str, Measured]:
    """Sample each path and draw it."""
    found = {}
    for path in paths:
        print(f"sampling: {path} …", file=sys.stderr, flush=True)
        stacks, microseconds = sample(path, seconds)
        found[path] = Measured(microseconds, shares(stacks))
        title = f"{path}: {microseconds:.1f} µs a request, {stacks.total():,} samples"
        (folder / PATHS[path]).write_text(draw(title, stacks), "utf-8")
    return found


def main() -> None:
    """Read the command line, measure, print the table, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.flame", description=__doc__)
    parser.add_argument("--only", choices=PATHS, action="append", help="a path to look at")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each path")
    parser.add_argument("--folder", type=Path, help="draw there, and leave the page as it is")
    options = parser.parse_args()
    is_for_page = options.only is None and options.folder is None
    found = measure(options.only or PATHS, options.folder or PAGE.parent, options.seconds)
    figures = page.table(found)
    print(figures)
    if is_for_page:
        version = f"CPython {platform.python_version()} on {platform.machine()}"
        page.write(f"{version}, {options.seconds:.0f} seconds a path:\n\n{figures}")


if __name__ == "__main__":
    main()
