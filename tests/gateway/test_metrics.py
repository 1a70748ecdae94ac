"""The metrics: what is counted, and by labels whose values nobody outside can make up."""

import re
import urllib.request
from collections.abc import Iterator

import pytest

from gateway.metrics import Metrics


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    served = Metrics()
    yield served
    served.close()


def read(metrics: Metrics) -> str:
    port = metrics.serve("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as response:
        return str(response.read(), "utf-8")


def test_a_call_is_counted_by_what_answered_it(metrics: Metrics) -> None:
    for code in ("OK", "OK", "UNAVAILABLE"):
        metrics.observe_call(method="/s/m", model="digits", version=3, code=code, duration_seconds=0.02)

    text = read(metrics)
    assert 'medserve_gateway_calls_total{code="OK",method="/s/m",model="digits",version="3"} 2.0' in text
    assert 'medserve_gateway_calls_total{code="UNAVAILABLE",method="/s/m",model="digits",version="3"} 1.0' in text
    assert 'medserve_gateway_call_seconds_bucket{le="0.01",method="/s/m",model="digits"} 0.0' in text
    assert 'medserve_gateway_call_seconds_bucket{le="0.025",method="/s/m",model="digits"} 3.0' in text


def test_a_call_of_no_published_model_has_no_version_either(metrics: Metrics) -> None:
    for version in range(100):
        metrics.observe_call(method="/s/m", model="", version=version, code="OK", duration_seconds=0.0)

    assert re.findall(r"medserve_gateway_calls_total\{.*", read(metrics)) == [
        'medserve_gateway_calls_total{code="OK",method="/s/m",model="",version=""} 100.0'
    ]


@pytest.mark.parametrize(("is_up", "value"), [(True, "1.0"), (False, "0.0")])
def test_the_model_server_is_up_or_down(metrics: Metrics, is_up: bool, value: str) -> None:
    metrics.set_backend_up(is_up)

    assert f"medserve_gateway_backend_up {value}" in read(metrics)


def test_two_gateways_of_one_process_count_apart(metrics: Metrics) -> None:
    other = Metrics()
    other.observe_backend("digits", 1.0)

    assert "digits" not in read(metrics)
