"""Prometheus metrics: TensorFlow Serving's, under its names (servables/tensorflow/util.cc), and ours, which know versions and signatures.

A call is recorded once, by model, version, signature and method; every metric is a view of these records. There are as many of them as there are
signatures of loaded versions: callers can't make up series. What an unloaded version did stays in the sums that don't name versions.
"""

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from modelserver.errors import ServingError
from modelserver.model import VersionStatus
from modelserver.servable import DEFAULT_SIGNATURE, Servable

# TensorFlow Serving's: the first is 10 µs, and the last about 20 minutes.
_BOUNDS_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))
_BUCKETS = (*(f"{bound:g}" for bound in _BOUNDS_MICROSECONDS), "+Inf")
_EXAMPLE_BOUNDS = tuple(float(2**power) for power in range(15))
_EXAMPLE_BUCKETS = (*(f"{bound:g}" for bound in _EXAMPLE_BOUNDS), "+Inf")
_OK = "OK"
_THEIRS, _OURS = ":tensorflow:serving", "medserve_modelserver"
# The Prometheus client ends every counter's name in `_total`, and this one's doesn't.
_REQUEST_COUNT = f"{_THEIRS}:request_count"
_State = get_model_status_pb2.ModelVersionStatus.State
_LOADED = frozenset({_State.LOADING, _State.AVAILABLE, _State.UNLOADING})


class Method(NamedTuple):
    """What is called, and how: `theirs` is its name in TensorFlow Serving's metrics, None where they don't have it."""

    api: str
    entrypoint: str
    theirs: str | None


class Served(NamedTuple):
    """Who answered."""

    model: str
    version: int | None
    signature: str


class Models(Protocol):
    """What is served: the manager."""

    def knows(self, name: str) -> bool:
        """Whether there is a model of that name, or was."""

    def serving(self, spec: model_pb2.ModelSpec) -> AbstractContextManager[Servable]:
        """The version that a request means. Raises ServingError."""

    def statuses(self, name: str, version: int | None) -> Iterable[tuple[int, VersionStatus]]:
        """Where its versions stand. Raises ServingError where there are none."""


@dataclass(kw_only=True, slots=True)
class _Sample:
    """How often each range was hit, and the sum of what hit them."""

    counts: list[int]
    total: float = 0.0

    def add(self, bucket: int, value: float) -> None:
        self.counts[bucket] += 1
        self.total += value

    def merge(self, other: "_Sample") -> None:
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def buckets(self, names: Iterable[str]) -> list[tuple[str, float]]:
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


def _times() -> _Sample:
    return _Sample(counts=[0] * len(_BUCKETS))


def _examples() -> _Sample:
    return _Sample(counts=[0] * len(_EXAMPLE_BUCKETS))


@dataclass(kw_only=True, slots=True)
class _Record:
    """What became of the calls of one method to one signature."""

    codes: Counter[str] = field(default_factory=Counter)
    microseconds: _Sample = field(default_factory=_times)
    examples: _Sample = field(default_factory=_examples)

    def merge(self, other: "_Record") -> None:
        self.codes.update(other.codes)
        self.microseconds.merge(other.microseconds)
        self.examples.merge(other.examples)


class Metrics(Collector):
    """Counts and times calls."""

    def __init__(self, models: Models, names: Callable[[], Iterable[str]]) -> None:
        """Takes what is served, and the names of its models: there are series of what it has, and of nothing else."""
        self._models = models
        self._names = names
        self._records: dict[tuple[Served, Method], _Record] = {}
        # By model and method: what versions did that aren't loaded any more.
        self._retired: dict[tuple[str, Method], _Record] = {}
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def answered(self, method: Method, served: Served, seconds: float, *, examples: int = 0) -> None:
        """Counts a call that was answered, its time, and the examples that it had."""
        microseconds = seconds * 1e6
        bucket = bisect_left(_BOUNDS_MICROSECONDS, microseconds)
        with self._lock:
            record = self._records.get((served, method)) or self._new_record(served, method)
            record.codes[_OK] += 1
            record.microseconds.add(bucket, microseconds)
            if examples:
                record.examples.add(bisect_left(_EXAMPLE_BOUNDS, examples), examples)

    def failed(self, method: Method, spec: model_pb2.ModelSpec, code: str) -> None:
        """Counts a call that wasn't, by whom it was for: by none, where no model has that name."""
        served = self._meant(spec)
        with self._lock:
            record = self._records.get((served, method)) or self._new_record(served, method)
            record.codes[code] += 1

    def page(self) -> bytes:
        """Everything, in Prometheus's text form."""
        text = generate_latest(self._registry)
        return text.replace(f"# TYPE {_REQUEST_COUNT} untyped".encode(), f"# TYPE {_REQUEST_COUNT} counter".encode())

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        states = self._states()
        with self._lock:
            self._retire(states)
            records = [(served, method, _copy(record)) for (served, method), record in self._records.items()]
            totals: dict[tuple[str, Method], _Record] = defaultdict(_Record)
            for (served, method), record in self._records.items():
                totals[served.model, method].merge(record)
            for key, record in self._retired.items():
                totals[key].merge(record)
        yield from _theirs({key: record for key, record in totals.items() if key[1].theirs is not None})
        yield from _ours(records)
        yield _states(states)

    def _new_record(self, served: Served, method: Method) -> _Record:
        self._retire(self._states())
        return self._records.setdefault((served, method), _Record())

    def _retire(self, states: Mapping[str, Mapping[int, int]]) -> None:
        for served, method in list(self._records):
            if served.version is not None and states.get(served.model, {}).get(served.version) not in _LOADED:
                record = self._records.pop((served, method))
                self._retired.setdefault((served.model, method), _Record()).merge(record)

    def _states(self) -> dict[str, dict[int, int]]:
        """The state of every version that was ever tried, by model."""
        states: dict[str, dict[int, int]] = {}
        for name in self._names():
            with suppress(ServingError):
                states[name] = {version: status.state for version, status in self._models.statuses(name, None)}
        return states

    def _meant(self, spec: model_pb2.ModelSpec) -> Served:
        """Who would answer now: the version and the signature are left out where there is no such one."""
        if not self._models.knows(spec.name):
            return Served("", None, "")
        try:
            with self._models.serving(spec) as servable:
                signature = spec.signature_name or DEFAULT_SIGNATURE
                return Served(spec.name, servable.version, signature if signature in servable.signatures else "")
        except ServingError:
            return Served(spec.name, None, "")


def _copy(record: _Record) -> _Record:
    copy = _Record()
    copy.merge(record)
    return copy


def _theirs(totals: Mapping[tuple[str, Method], _Record]) -> Iterator[Metric]:
    requests = UnknownMetricFamily(_REQUEST_COUNT, "The total number of requests.", labels=("model_name", "status"))
    times: dict[tuple[str, str, str], _Sample] = defaultdict(_times)
    latency = HistogramMetricFamily(
        f"{_THEIRS}:request_latency",
        "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
        labels=("model_name", "API", "entrypoint"),
    )
    sizes = HistogramMetricFamily(f"{_THEIRS}:request_example_counts", "The number of tensorflow.Examples per request.", labels=("model",))
    examples = CounterMetricFamily(f"{_THEIRS}:request_example_count", "The total number of tensorflow.Examples.", labels=("model",))
    codes: Counter[tuple[str, str]] = Counter()
    sized: dict[str, _Sample] = defaultdict(_examples)
    for (model, method), record in totals.items():
        codes.update({(model, code): number for code, number in record.codes.items()})
        if record.codes[_OK]:
            times[model, method.theirs or "", method.entrypoint].merge(record.microseconds)
        sized[model].merge(record.examples)
    for (model, code), number in codes.items():
        requests.add_metric((model, code), number)
    for labels, sample in times.items():
        latency.add_metric(labels, sample.buckets(_BUCKETS), sample.total)
    for model, sample in sized.items():
        if sample.total:
            sizes.add_metric((model,), sample.buckets(_EXAMPLE_BUCKETS), sample.total)
            examples.add_metric((model,), sample.total)
    return iter((requests, latency, sizes, examples))


def _ours(records: Iterable[tuple[Served, Method, _Record]]) -> Iterator[Metric]:
    names = ("model", "version", "signature", "api", "entrypoint")
    requests = CounterMetricFamily(f"{_OURS}_requests", "Calls, by how they ended.", labels=(*names, "code"))
    latency = HistogramMetricFamily(f"{_OURS}_request_seconds", "The time of calls that were answered, in seconds.", labels=names)
    bounds = (*(f"{bound / 1e6:.6g}" for bound in _BOUNDS_MICROSECONDS), "+Inf")
    for served, method, record in records:
        labels = (served.model, "" if served.version is None else str(served.version), served.signature, method.api, method.entrypoint)
        for code, number in record.codes.items():
            requests.add_metric((*labels, code), number)
        if record.codes[_OK]:
            latency.add_metric(labels, record.microseconds.buckets(bounds), record.microseconds.total / 1e6)
    return iter((requests, latency))


def _states(states: Mapping[str, Mapping[int, int]]) -> Metric:
    """1 for the state that a version is in; a version that was unloaded has none."""
    gauge = GaugeMetricFamily(f"{_OURS}_version_state", "1 for the state that a version is in.", labels=("model", "version", "state"))
    for model, versions in sorted(states.items()):
        for version, state in sorted(versions.items()):
            if state in _LOADED or state == _State.START:
                gauge.add_metric((model, str(version), _State.Name(state)), 1)
    return gauge
