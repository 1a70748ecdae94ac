"""The metrics, scraped over HTTP."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelserver.metrics import Metrics

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics(lambda name: name == "digits")
    yield metrics
    metrics.close()


def scrape(metrics: Metrics) -> Scraped:
    port = metrics.serve("127.0.0.1", 0, "/metrics")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        families = text_string_to_metric_families(reply.read().decode())
        return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def count_of(scraped: Scraped, model: str, status: str) -> float:
    return scraped[":tensorflow:serving:request_count_total", frozenset({("model_name", model), ("status", status)})]


def test_requests_are_counted_by_model_and_status(metrics: Metrics) -> None:
    metrics.count("digits", ok=True, seconds=0.5)
    metrics.count("digits", ok=True, seconds=0.5)
    metrics.count("digits", ok=False)

    scraped = scrape(metrics)

    assert (count_of(scraped, "digits", "OK"), count_of(scraped, "digits", "ERROR")) == (2, 1)


def test_the_time_of_what_was_answered_is_in_microseconds(metrics: Metrics) -> None:
    metrics.count("digits", ok=True, seconds=0.25)
    metrics.count("digits", ok=False, seconds=9)

    scraped = scrape(metrics)

    labels = frozenset({("model_name", "digits"), ("API", "predict"), ("entrypoint", "GRPC")})
    assert scraped[":tensorflow:serving:request_latency_sum", labels] == 250_000
    assert scraped[":tensorflow:serving:request_latency_count", labels] == 1


def test_a_name_that_no_model_has_makes_no_series(metrics: Metrics) -> None:
    for number in range(100):
        metrics.count(f"made-up-{number}", ok=False)

    scraped = scrape(metrics)

    assert count_of(scraped, "", "ERROR") == 100
    assert not any("made-up" in str(key) for key in scraped)


def test_another_path_is_not_found(metrics: Metrics) -> None:
    port = metrics.serve("127.0.0.1", 0, "/metrics")

    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10)

    with caught.value as error:
        assert error.code == 404
