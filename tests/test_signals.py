import flask.signals
import pytest

from dewar import signals

NAMES = [name for name, value in vars(signals).items() if hasattr(value, "send")]


def test_the_signals_are_flasks():
    """There is a signal for each of Flask's, with the same name, and no other."""
    theirs = {k: v.name for k, v in vars(flask.signals).items() if hasattr(v, "send")}
    assert {name: getattr(signals, name).name for name in NAMES} == theirs


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_keeps_senders_apart(name):
    """A receiver that named its sender hears from no other, and each signal explains itself."""
    signal = getattr(signals, name)
    mine, other, heard = object(), object(), []

    def receive(sender, **extra):
        heard.append(sender)

    with signal.connected_to(receive, sender=mine):
        signal.send(mine)
        signal.send(other)
    assert heard == [mine]
    assert signal.__doc__.startswith("Sent ")


def test_the_signals_are_dewars_own():
    """They are not Flask's objects: an app of each kind in one process hears only its own."""
    assert signals.request_started is not flask.signals.request_started
    assert signals.signals["request-started"] is signals.request_started
