"""What every test stands on."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the suite in the background has it ignore SIGINT, and whatever it starts would too: then a Ctrl-C can't be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in each run, however long one takes: a run fails for what changed, and never for the machine's pace.
settings.register_profile("suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


@pytest.fixture
def keep_port() -> Iterator[Callable[[int], None]]:
    """Keeps a port whose server was killed for the one that is to listen there again: the system gives a free one to whoever asks next."""
    with ExitStack() as kept:

        def keep(port: int) -> None:
            keeper = kept.enter_context(socket.socket())
            # Two that say so may have a port as long as no more than one of them listens.
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            keeper.bind(("127.0.0.1", port))

        yield keep
