"""Prometheus metrics. A label's values are bounded by the models that are published: a name that a caller made up never becomes one."""

from functools import cache
from http.server import HTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        """Makes the metrics; none is served yet."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._calls = Counter(
            "medserve_gateway_calls",
            "Calls by method, model (empty where it isn't published), version that answered, and gRPC status code.",
            ("method", "model", "version", "code"),
            registry=self._registry,
        )
        self._call_seconds = Histogram(
            "medserve_gateway_call_seconds",
            "From a call's arrival to its answer.",
            ("method", "model"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._backend_seconds = Histogram(
            "medserve_gateway_backend_seconds", "What the model server took.", ("model",), buckets=_SECONDS, registry=self._registry
        )
        self._backend_up = Gauge("medserve_gateway_backend_up", "1 while the model server can be reached.", registry=self._registry)
        # Looking a child up costs more than counting: keep those that were used.
        self._calls_child = cache(self._calls.labels)
        self._call_seconds_child = cache(self._call_seconds.labels)
        self._backend_seconds_child = cache(self._backend_seconds.labels)
        self._server: HTTPServer | None = None
        self._thread: Thread | None = None

    def observe_call(self, *, method: str, model: str, version: int | None, code: str, duration_seconds: float) -> None:
        """Counts a call that has ended. `model` is published, or empty."""
        self._calls_child(method, model, str(version) if model and version is not None else "", code).inc()
        self._call_seconds_child(method, model).observe(duration_seconds)

    def observe_backend(self, model: str, duration_seconds: float) -> None:
        """Notes how long the model server took to answer, or to fail to."""
        self._backend_seconds_child(model).observe(duration_seconds)

    def set_backend_up(self, is_up: bool) -> None:  # noqa: FBT001 - a gauge has one value
        """Notes whether the model server can be reached."""
        self._backend_up.set(is_up)

    def serve(self, host: str, port: int) -> int:
        """Serves `/metrics` over HTTP from a thread; returns the port, which the system chooses where it is 0. Raises OSError."""
        self._server, self._thread = start_http_server(port, addr=host, registry=self._registry)
        return int(self._server.server_port)

    def close(self) -> None:
        """Stops serving."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
