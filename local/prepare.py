"""What a first run needs and a second one finds: a published model, held-out items to send, and a key."""

import subprocess
import sys
from pathlib import Path

from local.stack import Stack
from medserve.keys import create_key, write_secret

MODEL = "digits"
SAMPLES = 10


class PreparationError(RuntimeError):
    """A step ended badly; what it said stands above."""


def publish_model(stack: Stack, *options: str) -> None:
    """Trains the model where no version of it is published; `options` are those of `python -m training run`. Raises PreparationError."""
    if not any(path.name.isdecimal() for path in (stack.repository / MODEL).glob("*")):
        _train("run", MODEL, "--repository", str(stack.repository), *options)


def write_samples(stack: Stack) -> list[Path]:
    """Held-out images as files, in order of their names, which hold what they show. Raises PreparationError."""
    folder = stack.var / "samples" / MODEL
    # A first run that was stopped has written some of them, or none.
    if len(list(folder.glob("*"))) < SAMPLES:
        _train("samples", MODEL, "--out", str(folder), "--count", str(SAMPLES))
    return sorted(folder.iterdir())


def make_key(stack: Stack) -> tuple[Path, str]:
    """The local caller's key, made on first run: its file, which only its owner may read, and its text."""
    file = stack.var / "keys" / "local.key"
    if not file.exists():
        _, text = create_key(stack.api_keys_file, tenant="local", models=["*"], actions=["infer", "read"], note="made by the first run")
        write_secret(file, text + "\n")
    return file, file.read_text(encoding="utf-8").strip()


def _train(*arguments: str) -> None:
    """Runs a command of `training` and shows what it says."""
    status = subprocess.run([sys.executable, "-m", "training", *arguments], check=False).returncode  # noqa: S603 - our own module
    if status:
        message = f"python -m training {arguments[0]} ended with status {status}"
        raise PreparationError(message)
