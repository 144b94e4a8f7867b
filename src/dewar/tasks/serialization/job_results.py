"""`JobResult` and `JobOutcome`: arguments that are results of other jobs, until these have ended.

They are written as tags. When the job begins, `filled` puts the texts of the results in the place
of the tags, so that no result is stored twice.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dewar.tasks.errors import JobFailed, Unreadable

RESULT, OUTCOME, ERROR = "$result", "$outcome", "$job_failed"
# In JSON, no text has these characters in a row: it would have the quotes escaped.
_TAGS = re.compile(r'\{\s*"\$(result|outcome)"\s*:\s*"(\w+)"\s*\}')


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job returns, which has to end well."""

    id: str


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a job returns, or a `JobFailed` if it does not end well."""

    id: str


def awaited_in(arguments: str) -> Sequence[str]:
    """Return the ids of the jobs whose results are wanted in a text of arguments."""
    return [found[2] for found in _TAGS.finditer(arguments)]


def filled(arguments: str, text_of: Callable[[str, bool], str]) -> str:
    """Return a text of arguments with the results in it.

    Args:
        arguments: The text.
        text_of: Returns the packed result of the job with an id; the other argument is whether the
            job has to have ended well.
    """
    return _TAGS.sub(lambda found: text_of(found[2], found[1] == "result"), arguments)


def pack_failure(kind: str, text: str) -> str:
    """Return the text from which a `JobFailed` is made again."""
    return json.dumps({ERROR: [kind, text]})


def read_failure(content: Any) -> JobFailed:
    """Return the `JobFailed` in a text of `pack_failure`."""
    kind, text = content
    return JobFailed(kind, text)


def read_unfilled(content: Any) -> Any:
    """Refuse an argument that was not filled in.

    Raises:
        Unreadable: Always.
    """
    raise Unreadable(f"The result of the job {content} was not put in the place of the argument.")
