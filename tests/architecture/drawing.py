"""Draw the maps in `docs/explanation` from the imports: ``make map`` writes them.

Each drawing is a Mermaid flowchart. A box is a folder or a group of modules, an arrow an import. An
arrow is left out if a longer way leads to the same box, so that what is left shows the floors.
"""

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __name__ == "__main__":  # as a program it is started with its path
    sys.path.insert(0, str(Path(__file__).parents[1]))

from architecture.tree import ROOT, SOURCES, module_of, parse

PAGES = [ROOT / "docs" / "explanation" / name for name in ("architecture.md", "parts.md")]

#: The boxes of the whole: what they stand for, and the modules and folders of `dewar` in them.
HOUSE = {
    "compat": ("Flask's names", ["compat"]),
    "app": ("the app, request, session, g", ["app", "globals"]),
    "tasks_http": ("jobs over HTTP", ["tasks_http"]),
    "testing": ("the test client", ["testing"]),
    "cli": ("the dewar command", ["cli", "running"]),
    "pipeline": ("the life of a request", ["pipeline", "templating", "template_lookup"]),
    "registration": ("routes, hooks, blueprints", ["registration", "blueprints"]),
    "helpers": ("for views", ["helpers", "files", "events", "views", "logging"]),
    "contexts": ("what a request carries", ["contexts"]),
    "messages": ("requests, responses, sessions", ["messages", "sessions"]),
    "server": ("serves any WSGI app", ["server"]),
    "tasks": ("background jobs", ["tasks"]),
    "mounting": ("several apps in one", ["mounting"]),
    "json": ("JSON", ["json"]),
    "current": ("the stacks of contexts", ["contexts.current", "contexts.stacks"]),
    "routing": ("routes, settings, signals", ["routing", "config", "signals"]),
    "websocket": ("the WebSocket protocol", ["websocket"]),
    "loop": ("the event loop", ["loop"]),
    "isolation": ("locals, stacks, proxies", ["isolation"]),
}


def imports_of(path: Path) -> set[str]:
    """Return the modules of Dewar that a file imports, at its top or later."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return {name for name in found if name.startswith("dewar.")}


def arrows(boxes: Mapping[str, list[str]], below: str) -> dict[str, set[str]]:
    """Return which box imports which.

    Args:
        boxes: The names of modules and folders in each box.
        below: The package that they are in.
    """
    box_of = {f"{below}.{part}": box for box, parts in boxes.items() for part in parts}

    def box(name: str) -> str | None:
        while name and name not in box_of:
            name = name.rpartition(".")[0]
        return box_of.get(name)

    found: dict[str, set[str]] = {name: set() for name in boxes}
    for path in SOURCES:
        own = box(module_of(path))
        if own is not None:
            targets = {box(name) for name in imports_of(path)} - {own, None}
            found[own] |= {target for target in targets if target is not None}
    return found


def reduced(graph: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return the arrows without those that a longer way replaces."""

    def reach(box: str, seen: set[str]) -> set[str]:
        for target in graph[box] - seen:
            seen.add(target)
            reach(target, seen)
        return seen

    return {
        box: sorted(
            target
            for target in targets
            if not any(target in reach(other, set()) for other in targets - {target})
        )
        for box, targets in graph.items()
    }


def folders(package: str) -> dict[str, list[str]]:
    """Return a box for each folder of a package, and one for each module beside them."""
    top = ROOT / "src" / package.replace(".", "/")
    names = sorted(p.stem for p in top.iterdir() if p.name not in ("__init__.py", "__pycache__"))
    return {name: [name] for name in names}


def flowchart(titles: Mapping[str, str], graph: Mapping[str, list[str]]) -> str:
    """Return a Mermaid flowchart; a box without a title is drawn by its arrows alone."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {box}["<b>{box}</b><br>{title}"]' for box, title in titles.items() if title]
    lines += [f"    {box} --> {' & '.join(to)}" for box, to in graph.items() if to]
    return "\n".join([*lines, "```"])


def drawings() -> dict[str, str]:
    """Return each drawing by the name of its place on the page."""
    house = arrows({box: parts for box, (_, parts) in HOUSE.items()}, "dewar")
    found = {"house": flowchart({box: t for box, (t, _) in HOUSE.items()}, reduced(house))}
    for wing in ("server", "tasks"):
        boxes = folders(f"dewar.{wing}")
        graph = reduced(arrows(boxes, f"dewar.{wing}"))
        found[wing] = flowchart(dict.fromkeys(boxes, ""), graph)
    return found


def redrawn(pages: Sequence[str]) -> list[str]:
    """Return the texts of pages with their drawings as they are today."""
    found = list(pages)
    for name, drawing in drawings().items():
        marks = rf"(<!-- map of {name} -->\n).*?(<!-- end of the map of {name} -->)"
        results = [re.subn(marks, rf"\1{drawing}\n\2", page, flags=re.DOTALL) for page in found]
        if sum(count for _, count in results) != 1:
            raise ValueError(f"The pages need one place for the map of {name!r}: {marks}")
        found = [page for page, _ in results]
    return found


def texts() -> list[str]:
    """Return the pages with drawings."""
    return [page.read_text(encoding="utf-8") for page in PAGES]


if __name__ == "__main__":
    for path, text in zip(PAGES, redrawn(texts()), strict=True):
        path.write_text(text, encoding="utf-8")
