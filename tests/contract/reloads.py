"""A server that is told what to serve, and lists of models in text form; `{root}` stands for the folder that has them."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from tests.contract.wire import Answer, Caller, floats, parsed, predict

PATIENCE_SECONDS = 60.0
ALL = "model_version_policy { all { } }"
# Two models: `a` with versions 1 and 2, and labels on both; `b` with version 1.
A = f'config {{ name: "a" base_path: "{{root}}/a" model_platform: "tensorflow" {ALL} version_labels {{ key: "stable" value: 1 }} }}'
B = 'config { name: "b" base_path: "{root}/b" model_platform: "tensorflow" }'
UNLABELLED = f'config {{ name: "a" base_path: "{{root}}/a" model_platform: "tensorflow" {ALL} }}'
MODEL_A = 'name: "a"'


def labelled(**versions: int) -> str:
    labels = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in versions.items())
    return f'config {{ name: "a" base_path: "{{root}}/a" model_platform: "tensorflow" {ALL} {labels} }}'


def model(name: str, base_path: str, platform: str = 'model_platform: "tensorflow"', more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{base_path}" {platform} {more} }}'


def listed(*configs: str) -> str:
    return "config { model_config_list { " + " ".join(configs) + " } }"


def gone(name: str) -> tuple[str, str]:
    return "NOT_FOUND", f"Servable not found for request: Latest({name})"


class Reloads:
    """The server, and the folder whose models it is told to serve."""

    def __init__(self, caller: Caller, root: Path) -> None:
        self.caller = caller
        self.root = root

    def reload(self, request: str, timeout_seconds: float = PATIENCE_SECONDS) -> Answer:
        return self.caller.ask("HandleReloadConfigRequest", self.request(request), timeout_seconds=timeout_seconds)

    def request(self, text: str) -> model_management_pb2.ReloadConfigRequest:
        return parsed(model_management_pb2.ReloadConfigRequest, text.replace("{root}", str(self.root)))

    def predicted(self, spec: str) -> tuple[str, str] | int:
        """The version that answers, or the error."""
        answer = self.caller.ask("Predict", predict(spec, {"x": floats([2])}))
        if answer.code != "OK":
            return answer.status
        assert not answer.reply.model_spec.version_label, "a label is never echoed"
        return answer.reply.model_spec.version.value

    def states(self, name: str, versions: Iterable[int] | None = None) -> dict[int, str]:
        """The state of each version, newest first; or of these only."""
        answer = self.caller.ask("GetModelStatus", get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name}))
        if answer.code == "NOT_FOUND":
            return {}
        assert answer.code == "OK", answer.status
        names = get_model_status_pb2.ModelVersionStatus.State.Name
        return {row.version: names(row.state) for row in answer.reply.model_version_status if versions is None or row.version in versions}

    def errors(self, name: str) -> dict[int, tuple[int, str]]:
        """The error of each version."""
        answer = self.caller.ask("GetModelStatus", get_model_status_pb2.GetModelStatusRequest(model_spec={"name": name}))
        return {row.version: (row.status.error_code, row.status.error_message) for row in answer.reply.model_version_status}


def eventually(look: Callable[[], Any], wanted: Any) -> None:
    """Asserts that it comes to this within the patience of a test."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while look() != wanted:
        assert time.monotonic() < deadline, f"it stays {look()!r}, and isn't {wanted!r}"
        time.sleep(0.02)
