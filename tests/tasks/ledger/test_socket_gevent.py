"""Notices by sockets under gevent's patches.

In a process of its own, because gevent changes how the whole process waits.
"""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
from gevent import monkey; monkey.patch_all()
import sys, threading
from pathlib import Path
from dewar.tasks.ledger.notifications import JOBS, Topic
from dewar.tasks.ledger.socket_notifications import SocketNotifications

heard = threading.Event()
listener, sender = (SocketNotifications(Path(sys.argv[1])) for _ in range(2))
listener.listen("one", {Topic.JOBS}, lambda notice: heard.set())
sender.notify(JOBS)
print(heard.wait(20))
listener.close()
sender.close()
"""


def test_a_notice_is_told_before_the_next_one(tmp_path: Path) -> None:
    """Also where a call that must not wait would do so, and the thread ends without an error."""
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "sockets")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "True\n"
