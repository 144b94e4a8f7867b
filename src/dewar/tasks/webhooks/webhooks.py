"""`Webhooks`: all that one process has for the callbacks of an app's tasks."""

from collections.abc import Sequence
from typing import Protocol

from dewar.tasks.errors import CallbackRefused
from dewar.tasks.ledger.database import Database
from dewar.tasks.webhooks.client import WebhookClient
from dewar.tasks.webhooks.dispatcher import DispatcherStatistics, WebhookDispatcher
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard


class LedgerDatabase(Protocol):
    """What keeps the outbox: a `Ledger`."""

    @property
    def database(self) -> Database:
        """Where it is."""


class WebhookOptions(Protocol):
    """What an app's settings say of callbacks."""

    @property
    def callback_secrets(self) -> Sequence[str]:
        """What callbacks are signed with."""

    @property
    def callback_allow(self) -> Sequence[str]:
        """What they may reach though it is not public."""


class Webhooks:
    """Says which callbacks are accepted, and makes them. `outbox` is where they are kept.

    Args:
        ledger: In whose database they are.
        options: The secrets, and what is allowed.
        owner: This process's id in the ledger, so that others can go on when it has died.

    Raises:
        TaskSetupError: If a secret is none, or what is allowed makes no sense.
    """

    def __init__(self, ledger: LedgerDatabase, options: WebhookOptions, owner: str) -> None:
        secrets, allow = tuple(options.callback_secrets), tuple(options.callback_allow)
        settings = WebhookSettings(secrets=secrets, allow=allow)
        self._has_secrets = bool(settings.secrets)
        self._guard = SSRFGuard(settings.allow)
        self.outbox = Outbox(ledger.database)
        client = WebhookClient(self._guard, settings)
        self._dispatcher = WebhookDispatcher(self.outbox, client.post, settings, owner=owner)

    def check(self, url: str) -> None:
        """Accept the URL of a callback, as far as can be told before it is made.

        Raises:
            CallbackRefused: If it may not be called, wants no more, or could not be signed.
        """
        if not self._has_secrets:
            raise CallbackRefused(
                "A callback needs a secret to sign it with, which the receiver shares. Make one"
                " with dewar.tasks.webhooks.new_secret(), keep it where other secrets are, and"
                " set TASKS_CALLBACK_SECRETS=[secret]."
            )
        self._guard.check(url)
        if self.outbox.look_up_disabled(url):
            raise CallbackRefused(
                f"The callback {url!r} has answered 410 Gone: it wants nothing more. If it does"
                " again, enable it first."
            )

    def start(self) -> None:
        """Begin to make callbacks, if this process can sign them."""
        if self._has_secrets:
            self._dispatcher.start()

    def wake(self) -> None:
        """Say that there may be a callback to make."""
        self._dispatcher.wake()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop sending; return whether what was on its way has ended (`WebhookDispatcher.stop`)."""
        return self._dispatcher.stop(timeout)

    def statistics(self) -> DispatcherStatistics:
        """Return how it is doing."""
        return self._dispatcher.statistics()

    def __repr__(self) -> str:
        return f"<Webhooks by {self._dispatcher!r}>"
