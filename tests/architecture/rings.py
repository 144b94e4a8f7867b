"""Find the rings of objects in a running server and running tasks.

Run as a program, it starts both, follows the attributes of all objects of Dewar, through lists,
dicts and the like, and prints each ring: the classes of the objects that reach each other.
Functions are not followed: a part that is given a method of another one does not know its owner.
Nor is ``app.extensions``: an extension knows its app, and Flask has the app hold its extensions.
"""

import asyncio
import gc
import json
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_CONTAINERS = (list, tuple, set, frozenset, deque)


def is_ours(value: object) -> bool:
    """Return whether an object is an instance of a class of Dewar's; a proxy is looked through."""
    kind = type(value)
    is_instance = not issubclass(kind, type) and kind.__name__ != "LocalProxy"
    return is_instance and str(kind.__module__).startswith("dewar.")


def values_of(thing: object) -> Iterator[object]:
    """Return the values of an object's attributes, in its dict and in its slots."""
    with suppress(AttributeError):  # only slots, then
        held = dict(object.__getattribute__(thing, "__dict__"))
        yield from (value for name, value in held.items() if name != "extensions")
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            try:
                yield object.__getattribute__(thing, slot)
            except AttributeError:
                continue  # not set yet


def held_in(value: object, depth: int = 0) -> Iterator[object]:
    """Return the objects of Dewar in a value, which may be a container of containers."""
    if is_ours(value):
        yield value
    elif depth < 3 and isinstance(value, dict):
        for item in [*value, *value.values()]:
            yield from held_in(item, depth + 1)
    elif depth < 3 and isinstance(value, _CONTAINERS):
        for item in list(value):
            yield from held_in(item, depth + 1)


def rings(things: Iterable[object]) -> set[tuple[str, ...]]:
    """Return the rings among some objects and what they hold, by the names of their classes."""
    known = {id(thing): thing for thing in things}
    graph: dict[int, set[int]] = {}
    todo = list(known)
    while todo:
        key = todo.pop()
        held = {id(one): one for value in values_of(known[key]) for one in held_in(value)}
        graph[key] = set(held)
        todo += [new for new in held if new not in known]
        known |= held
    return {
        tuple(sorted({type(known[key]).__name__ for key in ring})) for ring in components(graph)
    }


def components(graph: dict[int, set[int]]) -> Iterator[list[int]]:
    """Return the sets of more than one node that reach each other (Tarjan, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for start in graph:
        work = [(start, iter(graph[start]))] if start not in order else []
        while work:
            node, targets = work[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                stack.append(node)
                on_stack.add(node)
            fresh = next((to for to in targets if to not in order), None)
            if fresh is not None:
                work.append((fresh, iter(graph[fresh])))
                continue
            work.pop()
            reached = [low[to] if to in graph and order[to] > order[node] else order[to]
                       for to in graph[node] if to in on_stack]  # fmt: skip
            low[node] = min([low[node], *reached])
            if low[node] == order[node]:
                at = stack.index(node)
                found, stack[at:] = stack[at:], []
                on_stack -= set(found)
                if len(found) > 1:
                    yield found


def main() -> None:
    """Start a server and tasks, keep both busy, and print the rings."""
    from dewar import Dewar, TaskPool, Tasks, request
    from dewar.server import Server, Settings

    gate = threading.Event()
    inside = threading.Semaphore(0)
    app = Dewar("rings", static_folder=None, instance_path=tempfile.mkdtemp())
    tasks = Tasks(app, ledger=Path(app.instance_path) / "jobs.sqlite3")

    def wait() -> str:
        inside.release()
        gate.wait()
        return ""

    def take() -> str:
        request.environ["werkzeug.socket"].sendall(b"taken")
        return wait()

    class Upgraded(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            inside.release()

    async def give() -> str:
        request.environ["dewar.upgrade"](Upgraded(), lambda: None)
        return await suspend()

    async def suspend() -> str:
        inside.release()
        await asyncio.to_thread(gate.wait)
        return ""

    task = tasks.task()(wait)
    app.add_url_rule("/thread", view_func=wait)
    app.add_url_rule("/loop", view_func=suspend)
    app.add_url_rule("/socket", view_func=take, websocket=True)
    app.add_url_rule("/upgrade", view_func=give, websocket=True)
    server = Server(app, Settings(bind="127.0.0.1:0", threads=4))
    server.start()
    host, _, port = server.addresses[0].removeprefix("http://").rpartition(":")
    clients = [socket.create_connection((host, int(port))) for _ in range(5)]
    for client, path in zip(clients, ("thread", "loop", "socket", "upgrade"), strict=False):
        fields = "Connection: upgrade\r\nUpgrade: websocket\r\n" if path[0] in "su" else ""
        client.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
    pool = TaskPool(threads=1)
    jobs = [task.submit(), task.submit(), pool.submit(wait)]
    for _ in range(7):
        inside.acquire()
    found = rings([one for one in gc.get_objects() if is_ours(one)])
    print(json.dumps(sorted(found)))
    gate.set()
    for job in jobs:
        job.result(30)
    pool.shutdown()
    tasks.stop(30)
    server.stop()


if __name__ == "__main__":
    main()
