"""A server with REST, and ways to ask it."""

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
MODELS = ("half_plus_two", "several", "echo", "types", "text", "examples", "counter", "held")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> str:
        found: str = json.loads(self.body)["error"]
        return found


Ask = Callable[..., Answer]


def rest_port(log: str) -> int:
    """The port that a server's log says."""
    events = map(json.loads, re.findall(r"^\{.*\}$", log, re.MULTILINE))
    return int(next(line["port"] for line in events if line["event"] == "rest"))


def ask_at(port: int) -> Ask:
    """Asks the server at that port; a body that is a dictionary or a list is sent as JSON."""

    def ask(path: str, body: Any = None, *, method: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=250)
        try:
            sent = json.dumps(body).encode() if isinstance(body, dict | list) else body
            connection.request(method or ("GET" if body is None else "POST"), path, sent, dict(headers or {}))
            reply = connection.getresponse()
            return Answer(status=reply.status, body=reply.read(), headers=dict(reply.getheaders()))
        finally:
            connection.close()

    return ask


@pytest.fixture(scope="session")
def models_file(publish: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of the models that these tests ask."""
    root = tmp_path_factory.mktemp("rest")
    for name in MODELS:
        publish(name, root / name, 1)
    entries = (f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}' for name in MODELS)
    file = root / "models.config"
    file.write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def rest_server(new_server: Callable[..., Any], models_file: Path) -> Iterator[Any]:
    """A server that all of these tests share; none changes it."""
    server = new_server(
        f"--model_config_file={models_file}",
        "--rest_api_port=-1",
        "--rest_api_enable_cors_support",
        f"--monitoring_config_file={ROOT / 'serving_config' / 'monitoring.config'}",
        available=tuple((name, 1) for name in MODELS),
    )
    yield server
    server.end()


@pytest.fixture(scope="session")
def port(rest_server: Any) -> int:
    return rest_port(rest_server.log())


@pytest.fixture(scope="session")
def ask(port: int) -> Ask:
    return ask_at(port)
