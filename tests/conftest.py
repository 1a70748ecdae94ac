"""What every test stands on."""

import signal

# A shell that starts the suite in the background has it ignore SIGINT, and whatever it starts would too: then a Ctrl-C can't be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
