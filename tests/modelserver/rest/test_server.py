"""REST of the real process over a real socket: what HTTP adds to the calls."""

import gzip
import http.client
import json
import os
import signal
import socket
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelserver.rest.server import Options, RestServer
from tests.modelserver.rest.conftest import Answer, Ask, ask_at, rest_port

HALF = "/v1/models/half_plus_two:predict"
HELD = "/v1/models/held:predict"
CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers")


def half_of(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    return json.loads(answer.body)["predictions"]


def test_a_gzipped_body_is_inflated(ask: Ask) -> None:
    answer = ask(HALF, gzip.compress(b'{"instances": [2]}'), headers={"Content-Encoding": "gzip"})

    assert half_of(answer) == [3.0]


def test_what_isnt_gzip_is_an_empty_document(ask: Ask) -> None:
    whole = gzip.compress(b'{"instances": [2]}')
    for body in (b'{"instances": [2]}', whole[:-9]):
        answer = ask(HALF, body, headers={"Content-Encoding": "gzip"})

        assert (answer.status, answer.error) == (400, "JSON Parse error: The document is empty")


def test_a_body_that_is_too_large_is_refused_however_it_comes(ask: Ask, port: int) -> None:
    compress = zlib.compressobj(wbits=31)
    bomb = b"".join([*(compress.compress(bytes(1 << 20)) for _ in range(257)), compress.flush()])
    gzipped = ask(HALF, bomb, headers={"Content-Encoding": "gzip"})
    chunked = ask(HALF, iter([bytes(1 << 20)] * 257))
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.sendall(f"POST {HALF} HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 40}\r\n\r\n".encode())
        announced = plain.recv(1 << 12)

    assert len(bomb) < 1 << 20
    for answer in (gzipped, chunked):
        assert (answer.status, answer.error) == (413, f"the body is larger than {256 << 20} bytes")
    assert announced.startswith(b"HTTP/1.1 413 ")
    assert half_of(ask(HALF, {"instances": [2]})) == [3.0]


def test_json_and_cors_headers(ask: Ask) -> None:
    for answer in (ask(HALF, {"instances": [2]}), ask("/v1/models/nope:predict", {"instances": [2]})):
        assert answer.headers["Content-Type"] == "application/json"
        assert [answer.headers[name] for name in CORS] == ["*", "POST, GET", "Content-Type"]


def test_a_preflight_needs_an_origin(ask: Ask) -> None:
    allowed = ask(HALF, method="OPTIONS", headers={"Origin": "https://pages.example"})
    refused = ask(HALF, method="OPTIONS")

    assert (allowed.status, allowed.body, refused.status) == (200, b"", 400)


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/half_plus_two", "/monitoring"])
def test_other_paths_arent_found(ask: Ask, path: str) -> None:
    assert ask(path).status == 404


def test_a_target_that_is_a_whole_url(port: int, ask: Ask) -> None:
    assert half_of(ask(f"http://127.0.0.1:{port}{HALF}", {"instances": [2]})) == [3.0]


def test_deep_nesting_neither_ends_the_server_nor_is_it_refused(ask: Ask) -> None:
    deep = b"[" * 500_000 + b"]" * 500_000
    aside = ask(HALF, b'{"instances": [2], "nested": ' + deep + b"}")
    as_input = ask(HALF, b'{"instances": ' + deep + b"}")
    as_name = ask(HALF, b'{"signature_name": ' + deep + b"}")

    assert half_of(aside) == [3.0]
    assert as_input.status == 400
    assert as_name.error.endswith("not formatted correctly. 'signature_name' key must be a string value.")
    assert half_of(ask(HALF, {"instances": [2]})) == [3.0]


def test_five_million_numbers_hold_up_nobody(ask: Ask) -> None:
    count = 5_000_000
    body = b'{"inputs": [' + b",".join([b"0.25"] * count) + b"]}"
    answers: list[Answer] = []
    large = threading.Thread(target=lambda: answers.append(ask(HALF, body)))
    large.start()
    answered_meanwhile = 0
    while large.is_alive():
        assert ask("/v1/models/half_plus_two").status == 200
        answered_meanwhile += 1

    assert answers[0].status == 200
    assert answers[0].body.count(b"2.125") == count
    # Held up until it is through, there would be two: the one that waited, and the one after.
    assert answered_meanwhile > 2


def test_a_name_that_is_no_text_is_the_name_of_no_signature(ask: Ask) -> None:
    answer = ask(HALF, b'{"signature_name": "\xff", "instances": [1]}')

    assert (answer.status, answer.error) == (400, 'Serving signature name: "\ufffd" not found in signature def')


def test_bytes_go_through_the_model_as_they_are(ask: Ask) -> None:
    answer = ask("/v1/models/echo:predict", b'{"signature_name": "string", "instances": ["\xff\xc3("]}')

    assert b'["\xff\xc3("' in answer.body


def test_a_label_is_passed_over_by_the_status_and_by_nothing_else(ask: Ask) -> None:
    assert ask("/v1/models/half_plus_two/labels/nope").status == 200
    refused = ask("/v1/models/half_plus_two/labels/nope:predict", {"instances": [1]})

    assert (refused.status, refused.error) == (400, "Unrecognized servable version label: nope")


def test_metadata(ask: Ask) -> None:
    found = json.loads(ask("/v1/models/half_plus_two/metadata").body)

    assert found["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    inputs = found["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert inputs == {"x": {"name": "serving_default_x:0", "dtype": "DT_FLOAT", "tensor_shape": shape}}


def test_classify_and_regress(ask: Ask) -> None:
    examples = [{"x": 1.0}, {"x": [2.0]}]
    classified = ask("/v1/models/examples:classify", {"signature_name": "classify_x_to_y", "examples": examples})
    regressed = ask("/v1/models/examples:regress", {"signature_name": "regress_x_to_y", "examples": examples})

    assert json.loads(classified.body) == {"results": [[["", 2.5]], [["", 3.0]]]}
    assert json.loads(regressed.body) == {"results": [2.5, 3.0]}


def test_both_entrypoints_are_in_the_metrics(ask: Ask, rest_server: Any) -> None:
    ask("/v1/models/several:predict", {"signature_name": "double", "instances": [1]})
    ask("/v1/models/made-up:predict", {"instances": [1]})
    rest_server.predict("several", signature="double", x=np.float32(2))

    text = ask("/monitoring/prometheus/metrics").text

    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    ours = {
        (sample.labels["entrypoint"], sample.labels["code"])
        for sample in samples
        if sample.name == "medserve_modelserver_requests_total" and sample.labels["model"] == "several" and sample.labels["signature"] == "double"
    }
    assert ours == {("GRPC", "OK"), ("REST", "OK")}
    assert "made-up" not in text


@pytest.fixture(scope="module")
def hurried(new_server: Callable[..., Any], models_file: Any) -> Any:
    """A server with one thread for REST, which has half a second for a call."""
    server = new_server(
        f"--model_config_file={models_file}", "--rest_api_port=-1", "--rest_api_num_threads=1", "--rest_api_timeout_in_ms=500",
        available=(("held", 1), ("half_plus_two", 1)),
    )  # fmt: skip
    yield server
    server.end()


def test_a_call_whose_time_is_up_is_a_504_and_one_that_waits_isnt_run(hurried: Any, tmp_path: Path, wait_until: Callable[..., None]) -> None:
    ask = ask_at(rest_port(hurried.log()))
    pipes = [tmp_path / f"pipe{number}" for number in range(8)]
    for pipe in pipes:
        os.mkfifo(pipe)

    def ask_one(pipe: Path) -> Answer:
        return ask(HELD, {"inputs": {"begun": f"{pipe}.begun", "held_by": str(pipe)}})

    with ThreadPoolExecutor(len(pipes)) as pool:
        answers = list(pool.map(ask_one, pipes))
    readers = [os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) for pipe in pipes]
    wait_until(lambda: ask(HALF, {"instances": [2]}).status == 200)
    for reader in readers:
        os.close(reader)

    assert {(answer.status, answer.error) for answer in answers} == {(504, "Timed out waiting for notification")}
    # The one that the only thread had in hand; it took on none of the others.
    assert len(list(tmp_path.glob("*.begun"))) <= 1


def test_without_the_flag_there_are_neither_cors_headers_nor_metrics(hurried: Any) -> None:
    ask = ask_at(rest_port(hurried.log()))

    assert not set(CORS) & ask("/v1/models/half_plus_two").headers.keys()
    assert ask("/monitoring/prometheus/metrics").status == 404


def test_sigterm_answers_what_rest_has_taken_on(
    new_server: Callable[..., Any], models_file: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    server = new_server(f"--model_config_file={models_file}", "--rest_api_port=-1", available=(("held", 1),))
    begun, pipe = tmp_path / "begun", tmp_path / "pipe"
    os.mkfifo(pipe)
    connection = http.client.HTTPConnection("127.0.0.1", rest_port(server.log()), timeout=60)
    connection.request("POST", HELD, json.dumps({"inputs": {"begun": str(begun), "held_by": str(pipe)}}))
    wait_until(begun.exists)

    os.kill(server.process.pid, signal.SIGTERM)
    wait_until(lambda: '"stopping"' in server.log())
    threading.Thread(target=pipe.read_bytes, daemon=True).start()
    status = server.process.stop()

    reply = connection.getresponse()
    assert (reply.status, json.loads(reply.read())) == (200, {"outputs": True})
    assert status == 0
    connection.close()


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = Options(
            host="127.0.0.1", port=taken.getsockname()[1], threads=1, timeout_seconds=None, allows_origins=False, metrics_path=None
        )  # fmt: skip

        with pytest.raises(OSError, match="Address already in use"):
            RestServer(Mock(), Mock(), options).start()
