"""REST by curl, as a newcomer tries it: what is printed, to the letter."""

import subprocess
from collections.abc import Callable

import pytest

Curl = Callable[..., str]


@pytest.fixture(scope="module")
def curl(port: int) -> Curl:
    """What `curl` prints for a path of the server."""

    def run(path: str, *arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--max-time", "250", *arguments, f"http://127.0.0.1:{port}{path}"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=250).stdout

    return run


def test_rows(curl: Curl) -> None:
    assert curl("/v1/models/half_plus_two:predict", "-d", '{"instances": [1.0, 2.0, 5.0]}') == '{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


def test_columns(curl: Curl) -> None:
    assert (
        curl("/v1/models/half_plus_two:predict", "-d", '{"inputs": {"x": [1.0, 2.0]}}') == '{\n    "outputs": [\n        2.5,\n        3.0\n    ]\n}'
    )


def test_rows_of_several_inputs_and_outputs(curl: Curl) -> None:
    printed = curl("/v1/models/several:predict", "-d", '{"instances": [{"a": [1, 2], "b": [3, 4]}, {"a": [0, 0], "b": [0, 0.5]}]}')

    assert printed == (
        '{\n    "predictions": [\n'
        '        {\n            "difference": [-2.0, -2.0],\n            "sum": [4.0, 6.0]\n        },\n'
        '        {\n            "difference": [0.0, -0.5],\n            "sum": [0.0, 0.5]\n        }\n'
        "    ]\n}"
    )


def test_a_models_status(curl: Curl) -> None:
    assert curl("/v1/models/half_plus_two/versions/1") == (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n'
        '   "status": {\n    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )


def test_an_error_and_its_status(curl: Curl) -> None:
    printed = curl("/v1/models/nope:predict", "-d", '{"instances": [1]}', "--write-out", "%{http_code} %{content_type}")

    assert printed == '{\n    "error": "Servable not found for request: Latest(nope)"\n}404 application/json'


def test_a_body_so_large_that_curl_asks_first(curl: Curl, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("curl") / "body.json"
    file.write_text(f'{{"instances": [{", ".join(["1.5"] * 500_000)}]}}', encoding="utf-8")

    printed = curl("/v1/models/half_plus_two:predict", "--header", "Expect: 100-continue", "--data-binary", f"@{file}")

    assert printed.count("2.75") == 500_000


def test_metrics(curl: Curl) -> None:
    curl("/v1/models/echo:predict", "-d", '{"signature_name": "float", "instances": [1]}')

    assert ':tensorflow:serving:request_count{model_name="echo",status="OK"}' in curl("/monitoring/prometheus/metrics")
