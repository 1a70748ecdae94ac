"""`python -m local run|demo`: everything on one machine, from nothing."""

import argparse
import contextlib
import signal
import sys
import time
from pathlib import Path

from local import demo, prepare
from local.process import StartError
from local.stack import Stack
from medserve import Client

_LOOK_SECONDS = 0.5
# The last is of a terminal that is closed.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _say(step: int, message: str) -> None:
    print(f"[{step}/4] {message}", flush=True)


def run(*, keep_serving: bool, port: int) -> int:
    """Prepares, serves, asks; returns the exit status: 1 where an answer failed or a server ended by itself."""
    stack = Stack(Path.cwd())
    _say(1, f"a model: a published version of {prepare.MODEL} in {_shown(stack.repository)}")
    prepare.publish_model(stack)
    images = prepare.write_samples(stack)
    key_file, key = prepare.make_key(stack)
    with stack:
        _say(2, f"the model server (it takes some seconds to load TensorFlow; its log is {_shown(stack.log_folder / 'modelserver.log')})")
        stack.start_model_server()
        _say(3, f"the gateway (its log is {_shown(stack.log_folder / 'gateway.log')})")
        stack.start_gateway(port=port)
        stack.wait_ready(prepare.MODEL)
        _say(4, f"{len(images)} held-out images, sent over TLS to {stack.target}")
        with Client(stack.target, api_key=key, ca_certificates=stack.ca_file) as client:
            all_answered = demo.ask(client, images)
        if keep_serving:
            _invite(stack, key_file, images[0])
            _serve(stack)
        statuses = stack.stop()
    if any(statuses.values()):
        print(f"local: not a clean end: {statuses}", file=sys.stderr)
        return 1
    return 0 if all_answered else 1


def _serve(stack: Stack) -> None:
    """Has what is published meanwhile served as well; returns at a Ctrl-C. Raises StartError where a server ends by itself."""
    try:
        while True:
            stack.require_running()
            # What goes wrong with the disk goes on doing so at the next look, or it doesn't; what is served is served all the same.
            with contextlib.suppress(OSError):
                stack.list_models()
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        print("\nstopping: calls under way are answered first", flush=True)


def _invite(stack: Stack, key_file: Path, image: Path) -> None:
    medserve = _shown(Path(sys.executable).parent / "medserve")
    options = f"--target {stack.target} --ca-file {_shown(stack.ca_file)} --key-file {_shown(key_file)}"
    print(f"\nServing on {stack.target} until Ctrl-C. In another terminal, try:\n")
    print(f"  {medserve} models {options}")
    print(f"  {medserve} infer {prepare.MODEL} --input images={_shown(image)} {options}", flush=True)


def _shown(path: Path) -> str:
    """A path as short as it can be."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _interrupt(*_: object) -> None:
    """Ends the run, once: a second signal, while the servers are being ended, would leave one behind."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Runs the command; returns the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Trains, serves and asks, on one machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="serve until Ctrl-C")
    running.add_argument("--port", type=int, default=8443, help="the gateway's port; 0 lets the system choose")
    commands.add_parser("demo", help="end after the answers: with 1 where one failed")
    arguments = parser.parse_args()
    for number in _ENDING:
        # `nohup` has it ignored.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        return run(keep_serving=arguments.command == "run", port=getattr(arguments, "port", 0))
    except (StartError, prepare.PreparationError) as error:
        print(f"local: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nlocal: stopped before it served", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
