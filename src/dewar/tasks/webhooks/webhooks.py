"""`Webhooks`: the callbacks of an app's tasks, in one process."""

from dewar.tasks.errors import CallbackRefused
from dewar.tasks.ledger.ledger import Ledger
from dewar.tasks.settings import TasksSettings
from dewar.tasks.webhooks.client import WebhookClient
from dewar.tasks.webhooks.dispatcher import DispatcherStatistics, WebhookDispatcher
from dewar.tasks.webhooks.outbox import Outbox
from dewar.tasks.webhooks.settings import WebhookSettings
from dewar.tasks.webhooks.ssrf_guard import SSRFGuard


class Webhooks:
    """Decides which callbacks are accepted, and sends them.

    Args:
        ledger: The ledger with the outbox.
        options: The secrets, and the internal hosts that are allowed.
        owner: The id of this process in the ledger.

    Attributes:
        outbox: The callbacks.

    Raises:
        TaskSetupError: If a secret or an allowed host is malformed.
    """

    def __init__(self, ledger: Ledger, options: TasksSettings, owner: str) -> None:
        secrets, allow = tuple(options.callback_secrets), tuple(options.callback_allow)
        settings = WebhookSettings(secrets=secrets, allow=allow)
        self._has_secrets = bool(settings.secrets)
        self._guard = SSRFGuard(settings.allow)
        self.outbox = Outbox(ledger.database)
        client = WebhookClient(self._guard, settings)
        self._dispatcher = WebhookDispatcher(self.outbox, client.post, settings, owner=owner)

    def check(self, url: str) -> None:
        """Check the URL of a callback without resolving its name.

        Raises:
            CallbackRefused: If it may not be called, is disabled, or there is no secret to sign it.
        """
        if not self._has_secrets:
            raise CallbackRefused(
                "A callback is signed with a secret that the receiver knows too. Make one with"
                " dewar.tasks.webhooks.new_secret(), store it with your other secrets, and set"
                " TASKS_CALLBACK_SECRETS=[secret]."
            )
        self._guard.check(url)
        if self.outbox.look_up_disabled(url):
            raise CallbackRefused(
                f"The callback {url!r} is disabled, because it has answered 410 Gone. To use it"
                " again, call enable() of the outbox first."
            )

    def start(self) -> None:
        """Start to send callbacks, if this process has secrets to sign them with."""
        if self._has_secrets:
            self._dispatcher.start()

    def wake(self) -> None:
        """Have the outbox read soon: there may be a due callback in it."""
        self._dispatcher.wake()

    def stop(self, timeout: float | None = None) -> bool:
        """Stop sending; return whether all attempts have ended. See `WebhookDispatcher.stop`."""
        return self._dispatcher.stop(timeout)

    def statistics(self) -> DispatcherStatistics:
        """Return the state and the counts of the dispatcher."""
        return self._dispatcher.statistics()

    def __repr__(self) -> str:
        return f"<Webhooks by {self._dispatcher!r}>"
