"""A signal to stop that Dagster catches and drops still stops a run."""

import os
import signal

import pytest
from dagster._utils.interrupts import capture_interrupts

from mg_assets.cli.stop_signal import unlost_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_dagster_drops_stops(number):
    with pytest.raises(KeyboardInterrupt), unlost_stop(), capture_interrupts():
        os.kill(os.getpid(), number)


def test_other_signals_do_not_stop():
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with unlost_stop():
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
