"""gevent's greenlets are owners like any other.

In a process of its own, because gevent changes how the whole process waits.
"""

import subprocess
import sys

SCRIPT = """
import gevent
from dewar import Dewar, Local, LocalStack, copy_current_request_context, request

local, stack, crossings = Local(), LocalStack(), []
app = Dewar("gevent_app", static_folder=None)
local.name = "main"

def work(number):
    for turn in range(50):
        name = (number, turn)
        local.name = name
        stack.push(name)
        gevent.sleep(0)
        if local.name != name or stack.top != name:
            crossings.append(name)
        stack.pop()

def in_request(number):
    with app.test_request_context(f"/{number}"):
        for _ in range(20):
            gevent.sleep(0)
            if request.path != f"/{number}":
                crossings.append(("request", number))
        child = gevent.spawn(copy_current_request_context(lambda: request.path))
        if child.get() != f"/{number}":
            crossings.append(("child", number))

gevent.joinall([gevent.spawn(work, n) for n in range(50)])
gevent.joinall([gevent.spawn(in_request, n) for n in range(50)])
import gc; gc.collect()
print(crossings, local.name, stack.top, bool(request), list(local.__storage__.values()))
"""


def test_gevents_greenlets_keep_their_state_to_themselves() -> None:
    """Locals, stacks and requests, switched at every turn; nothing crosses, nothing is left."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout == "[] main None False [{'name': 'main'}]\n"
