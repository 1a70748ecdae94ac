"""What every test stands on."""

import signal

from hypothesis import HealthCheck, settings

# A shell that starts the suite in the background has it ignore SIGINT, and whatever it starts would too: then a Ctrl-C can't be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in each run, however long one takes: a run fails for what changed, and never for the machine's pace.
settings.register_profile("suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
