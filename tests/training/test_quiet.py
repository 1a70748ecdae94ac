import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from training.quiet import is_note

NOTES = [
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    b"I0000 00:00:1795545026.881066    7430 port.cc:153] oneDNN custom operations are on.\n",
    b"W0000 00:00:1758131437.322781 3722519 computation_placer.cc:177] computation placer already registered.\n",
    b"E0000 00:00:1795545031.982224    7430 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: ...: UNKNOWN ERROR (303)\n",
    b"WARNING:tensorflow:5 out of the last 6 calls to <function predict at 0x7f> triggered tf.function retracing. Tracing is\n",
]
WORDS = [
    b"E0000 00:00:1795545031.982224    7430 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error (999)\n",
    b"E0000 00:00:1795545031.982224    7430 gpu_device.cc:2340] out of memory\n",
    b"F0000 00:00:1795545031.982224    7430 cpu_feature_guard.cc:38] this machine has no AVX\n",
    b"WARNING: disk nearly full\n",
    b"I don't know that job\n",
    b"Traceback (most recent call last):\n",
    b"\n",
]


@pytest.mark.parametrize("line", NOTES)
def test_tensorflows_notes_on_build_and_machine_are_left_out(line: bytes) -> None:
    assert is_note(line)


@pytest.mark.parametrize("line", WORDS)
def test_errors_and_everything_else_come_through(line: bytes) -> None:
    assert not is_note(line)


def _run(body: str) -> subprocess.CompletedProcess[bytes]:
    code = f"import os, sys\nfrom training.quiet import quiet\nwith quiet():\n    {body}\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=250)


def test_what_is_written_below_python_is_sieved_too() -> None:
    done = _run(f"os.write(2, {NOTES[1] + WORDS[1]!r})")

    assert (done.returncode, done.stderr) == (0, WORDS[1])


def test_the_last_words_of_a_process_that_aborts_come_through() -> None:
    done = _run(f"os.write(2, {NOTES[1] + WORDS[2]!r} + b'no newline'); os.abort()")

    assert done.returncode == -signal.SIGABRT
    assert done.stderr == WORDS[2] + b"no newline"


def test_an_exception_that_leaves_it_is_printed_whole_and_the_standard_output_is_untouched() -> None:
    done = _run("print('out'); print('err', file=sys.stderr); raise ValueError('why')")

    assert done.stdout == b"out\n"
    assert done.stderr.startswith(b"err\nTraceback (most recent call last):\n")
    assert done.stderr.endswith(b"ValueError: why\n")


def test_no_sieve_outlives_a_process_that_is_killed() -> None:
    done = _run("print(os.popen(f'pgrep -P {os.getpid()} -f quiet.py').read().split()[0], flush=True); os.kill(os.getpid(), 9)")
    sieve = int(done.stdout)

    deadline = time.monotonic() + 60
    # It may go between a look whether it is there and a look at what it is.
    with suppress(FileNotFoundError, ProcessLookupError):
        while b"quiet.py" in Path(f"/proc/{sieve}/cmdline").read_bytes():
            assert time.monotonic() < deadline, "the sieve still runs"
            time.sleep(0.01)
