"""The metrics, as Prometheus reads them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from modelserver.errors import not_found
from modelserver.metrics import Method, Metrics, Served

State = get_model_status_pb2.ModelVersionStatus.State
Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]

PREDICT = Method("predict", "GRPC", "Predict")
REST_PREDICT = Method("predict", "REST", "predict")
MULTI = Method("multiinference", "GRPC", None)
DIGITS = Served("digits", 1, "serving_default")


class Models:
    """What is served: `digits`, of which versions are loaded."""

    def __init__(self) -> None:
        self.digits = {1: State.AVAILABLE}

    def knows(self, name: str) -> bool:
        return name == "digits"

    @contextmanager
    def serving(self, spec: model_pb2.ModelSpec) -> Iterator[Any]:
        version = spec.version.value or max(self.digits)
        if self.digits.get(version) != State.AVAILABLE:
            raise not_found("")
        yield SimpleNamespace(version=version, signatures={"serving_default": None})

    def statuses(self, name: str, version: int | None) -> list[tuple[int, Any]]:
        assert (name, version) == ("digits", None)
        return [(number, SimpleNamespace(state=state)) for number, state in self.digits.items()]


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def metrics(models: Models) -> Metrics:
    return Metrics(models, names=lambda: ("digits",))


@pytest.fixture
def spec() -> Callable[..., model_pb2.ModelSpec]:
    return lambda name="digits", **fields: model_pb2.ModelSpec(name=name, **fields)


def scrape(metrics: Metrics) -> Scraped:
    families = text_string_to_metric_families(metrics.page().decode())
    samples = [sample for family in families for sample in family.samples]
    scraped = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(scraped) == len(samples), "a series comes twice"
    return scraped


def theirs(scraped: Scraped, name: str, **labels: str) -> float | None:
    # The parser ends every counter's name in `_total`, whatever it is.
    name = f"{name}_total" if name == "request_count" else name
    return scraped.get((f":tensorflow:serving:{name}", frozenset(labels.items())))


def ours(scraped: Scraped, name: str) -> dict[frozenset[str], float]:
    """Our metric's samples, by the values of their labels that aren't empty."""
    return {frozenset(value for _, value in labels if value): number for (found, labels), number in scraped.items() if found.endswith(name)}


def test_requests_are_counted_by_model_and_status(metrics: Metrics, spec: Callable[..., Any]) -> None:
    metrics.answered(PREDICT, DIGITS, 0.5)
    metrics.answered(REST_PREDICT, DIGITS, 0.5)
    metrics.failed(PREDICT, spec(), "INVALID_ARGUMENT")

    scraped = scrape(metrics)

    assert theirs(scraped, "request_count", model_name="digits", status="OK") == 2
    assert theirs(scraped, "request_count", model_name="digits", status="INVALID_ARGUMENT") == 1


def test_the_count_has_their_name_to_the_letter(metrics: Metrics) -> None:
    metrics.answered(PREDICT, DIGITS, 0.5)

    lines = metrics.page().decode().splitlines()

    assert "# TYPE :tensorflow:serving:request_count counter" in lines
    assert ':tensorflow:serving:request_count{model_name="digits",status="OK"} 1.0' in lines


def test_the_time_of_what_was_answered_is_in_microseconds_by_entrypoint(metrics: Metrics, spec: Callable[..., Any]) -> None:
    metrics.answered(PREDICT, DIGITS, 0.25)
    metrics.answered(REST_PREDICT, DIGITS, 0.000011)
    metrics.failed(PREDICT, spec(), "INTERNAL")

    scraped = scrape(metrics)

    grpc = {"model_name": "digits", "API": "Predict", "entrypoint": "GRPC"}
    rest = {"model_name": "digits", "API": "predict", "entrypoint": "REST"}
    assert theirs(scraped, "request_latency_sum", **grpc) == 250_000
    assert theirs(scraped, "request_latency_count", **grpc) == 1
    assert [theirs(scraped, "request_latency_bucket", le=le, **rest) for le in ("10", "18", "32.4", "+Inf")] == [0, 1, 1, 1]


def test_looks_at_a_model_are_one_series_of_theirs(metrics: Metrics) -> None:
    for call in ("status", "metadata"):
        metrics.answered(Method(call, "REST", ""), Served("digits", None, ""), 0.25)

    assert theirs(scrape(metrics), "request_latency_count", model_name="digits", API="", entrypoint="REST") == 2


def test_what_they_dont_count_is_counted_by_ours_alone(metrics: Metrics) -> None:
    metrics.answered(MULTI, DIGITS, 0.25)

    scraped = scrape(metrics)

    assert theirs(scraped, "request_count", model_name="digits", status="OK") is None
    assert ours(scraped, "requests_total") == {frozenset({"digits", "1", "serving_default", "multiinference", "GRPC", "OK"}): 1}


def test_examples_are_counted(metrics: Metrics) -> None:
    metrics.answered(PREDICT, DIGITS, 0.25, examples=3)

    scraped = scrape(metrics)

    assert theirs(scraped, "request_example_count_total", model="digits") == 3
    assert [theirs(scraped, "request_example_counts_bucket", model="digits", le=le) for le in ("2", "4", "+Inf")] == [0, 1, 1]


def test_ours_name_the_version_and_the_signature_also_of_a_failure(metrics: Metrics, spec: Callable[..., Any]) -> None:
    metrics.failed(PREDICT, spec(), "INTERNAL")
    metrics.failed(PREDICT, spec(signature_name="made-up"), "FAILED_PRECONDITION")
    metrics.failed(PREDICT, spec(version={"value": 9}), "NOT_FOUND")

    assert ours(scrape(metrics), "requests_total") == {
        frozenset({"digits", "1", "serving_default", "predict", "GRPC", "INTERNAL"}): 1,
        frozenset({"digits", "1", "predict", "GRPC", "FAILED_PRECONDITION"}): 1,
        frozenset({"digits", "predict", "GRPC", "NOT_FOUND"}): 1,
    }


def test_a_name_that_no_model_has_makes_no_series(metrics: Metrics, spec: Callable[..., Any]) -> None:
    for number in range(100):
        metrics.failed(PREDICT, spec(f"made-up-{number}"), "NOT_FOUND")

    scraped = scrape(metrics)

    assert theirs(scraped, "request_count", model_name="", status="NOT_FOUND") == 100
    assert not any("made-up" in str(key) for key in scraped)


def test_an_unloaded_version_leaves_ours_and_stays_in_their_sums(metrics: Metrics, models: Models) -> None:
    metrics.answered(PREDICT, DIGITS, 0.5)
    models.digits = {1: State.END, 2: State.AVAILABLE}
    metrics.answered(PREDICT, DIGITS._replace(version=2), 0.5)

    scraped = scrape(metrics)

    assert ours(scraped, "requests_total") == {frozenset({"digits", "2", "serving_default", "predict", "GRPC", "OK"}): 1}
    assert theirs(scraped, "request_count", model_name="digits", status="OK") == 2
    assert theirs(scraped, "request_latency_count", model_name="digits", API="Predict", entrypoint="GRPC") == 2


def test_versions_have_their_state(metrics: Metrics, models: Models) -> None:
    models.digits = {1: State.END, 2: State.UNLOADING, 3: State.LOADING}

    assert ours(scrape(metrics), "version_state") == {frozenset({"digits", "2", "UNLOADING"}): 1, frozenset({"digits", "3", "LOADING"}): 1}
