"""How garbage is looked for in a server's process."""

import subprocess
import sys

import pytest

# Some versions of Python have frozen objects of their own when a program begins.
PROGRAM = """
import gc
{before}
from dewar.server.system.memory import freeze_heap
frozen = gc.get_freeze_count()
freeze_heap()
print(gc.get_freeze_count() > frozen, gc.get_threshold(), gc.isenabled())
"""


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its collector has no oldest generation")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gc.set_threshold(700, 10, 10)", "True (700, 10, 50) True"),
        ("gc.set_threshold(500, 5, 5)", "False (500, 5, 5) True"),
        ("gc.disable()", "False"),
    ],
)
def test_what_the_program_has_set_stays(before: str, after: str) -> None:
    """In a process of its own: what is frozen stays so."""
    program = PROGRAM.format(before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.startswith(after), done.stderr
