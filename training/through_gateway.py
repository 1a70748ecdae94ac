"""Asks a version that isn't published yet through the gateway, which knows nothing of it but its manifest.

A manifest can say all that is asked for and be wrong of the model beside it: another shape, a unit that there isn't, a medium that isn't there. Then
the gateway leaves the version out or refuses what its callers send, and so it does here, before anybody calls.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.child import START_SECONDS, Child, NotServed, child, linked
from training.golden import Golden, Parity, compare, spread

WriteSample = Callable[[Path, str, NDArray[Any]], Path]
"""`Job.write_sample`: writes one item into a folder as the file of that stem, and returns its path."""

_READY = re.compile(rb"gateway listening on .*:(\d+)")
_LEFT_OUT = "version left out"
_CALL_SECONDS = 60.0
# A refusal is one of all items, mostly; and parity was asked of all of them.
_TENSORS = 32
# More than one: a model that is sure of an item answers it alike, whatever its file was taken for.
_FILES = 4
_SETTINGS = (
    "listen.port=0", "listen.tls.enabled=false", "metrics.port=-1", "drain_seconds=0",
    "repository.path=models", "api_keys_file=keys.json", "audit_file=audit.jsonl", "audit_secret_file=audit.key",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class ThroughGateway:
    """What came of golden inputs through the gateway.

    Attributes:
        refused: what it refused, and why; empty where it answered all.
        tensors: how far its answers to tensors are from the golden outputs; None where it refused one.
        files: how far its answers to files are, which may hold rounded values; None where it refused one.
    """

    refused: str = ""
    tensors: Parity | None = None
    files: Parity | None = None


def ask(port: int, folder: Path, golden: Golden, *, model: str, version: int, write_sample: WriteSample) -> ThroughGateway:
    """Asks the version in `folder`, which the model server at `port` serves, about some of its golden inputs, as tensors and as files.

    Raises NotServed where the gateway doesn't start, and what `write_sample` raises.
    """
    from medserve.keys import create_key  # noqa: PLC0415 - `python -m training list` does without

    with linked(folder, model, version) as scratch:
        _, key = create_key(scratch / "keys.json", tenant="training", models=[model], actions=["infer"])
        settings = [f"--set={setting}" for setting in (*_SETTINGS, f"backend.address=127.0.0.1:{port}")]
        with child("gateway", *settings, who="the gateway", ready=_READY, folder=scratch) as gateway:
            why = _why_left_out(gateway)
            if why is not None:
                return ThroughGateway(refused=f"the version itself: {why}")
            return _ask(gateway, key, golden, model=model, version=version, write_sample=write_sample)


def _why_left_out(gateway: Child) -> str | None:
    """Why the gateway doesn't serve the version; None where it does. It has read all versions when it listens."""
    for line in gateway.log.read_text(encoding="utf-8", errors="replace").splitlines():
        # Python may have a word to say as well.
        with suppress(json.JSONDecodeError):
            event = json.loads(line)
            if event.get("event") == _LEFT_OUT:
                return str(event["why"])
    return None


def _ask(gateway: Child, key: str, golden: Golden, *, model: str, version: int, write_sample: WriteSample) -> ThroughGateway:
    from medserve import Client, DeadlineExceeded, MedserveError, to_array  # noqa: PLC0415
    from medserve.commands.failure import UsageError  # noqa: PLC0415
    from medserve.commands.files import read_input  # noqa: PLC0415
    from medserve.inputs import InputValue  # noqa: PLC0415

    (name,) = golden.inputs

    with Client(f"127.0.0.1:{gateway.port}", api_key=key, insecure=True, timeout_seconds=_CALL_SECONDS) as client:
        try:
            client.wait_ready(model, timeout_seconds=START_SECONDS)
        except DeadlineExceeded:
            raise NotServed(gateway.last_words(f"the gateway doesn't come to serve {model} version {version}")) from None

        def answers(rows: NDArray[np.int64], value_of: Callable[[int], InputValue]) -> Parity:
            found: list[dict[str, NDArray[Any]]] = []
            for row in rows.tolist():
                answer = client.infer(model, {name: value_of(row)}, version=version, include_raw_outputs=True)
                found.append({output: to_array(tensor) for output, tensor in answer.raw_outputs.items()})
            wanted = {output: array[rows] for output, array in golden.outputs.items()}
            return compare(wanted, {output: np.stack([each[output] for each in found]) for output in found[0]})

        def file_of(row: int) -> InputValue:
            return read_input(write_sample(gateway.log.parent, f"sample-{row}", golden.inputs[name][row]))

        what = "a golden input as a tensor"
        try:
            tensors = answers(spread(len(golden), most=_TENSORS), lambda row: golden.inputs[name][row])
            what = "the file that `write_sample` makes of a golden input"
            files = answers(spread(len(golden), most=_FILES), file_of)
        except MedserveError as error:
            at = f" (at {error.field})" if error.field else ""
            return ThroughGateway(refused=f"{what}: {error.reason or error.code.name}: {error.message}{at}")
        except UsageError as error:
            return ThroughGateway(refused=f"{what}: {str(error).replace(f'{gateway.log.parent}/', '')}")
    return ThroughGateway(tensors=tensors, files=files)
