"""Prometheus metrics under TensorFlow Serving's names, at its path, on the REST port."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, make_wsgi_app

_MICROSECONDS = tuple(10 * 1.8**power for power in range(33))


class Metrics:
    """Counts requests by model; a name that no model has is counted under none, so that callers can't make up series."""

    def __init__(self, is_model: Callable[[str], bool]) -> None:
        """Takes what says whether a name is a model's: there are as many as were ever listed."""
        self._is_model = is_model
        self._registry = CollectorRegistry()
        self._requests = Counter(
            ":tensorflow:serving:request_count", "The total number of requests.", ("model_name", "status"), registry=self._registry
        )
        self._latency = Histogram(
            ":tensorflow:serving:request_latency", "Distribution of wall time in microseconds.", ("model_name", "API", "entrypoint"),
            buckets=_MICROSECONDS, registry=self._registry,
        )  # fmt: skip
        self._server: WSGIServer | None = None

    def count(self, model: str, *, ok: bool, seconds: float = 0.0) -> None:
        """Counts a request, and the time of one that was answered."""
        name = model if self._is_model(model) else ""
        self._requests.labels(name, "OK" if ok else "ERROR").inc()
        if ok:
            self._latency.labels(name, "predict", "GRPC").observe(seconds * 1e6)

    def serve(self, host: str, port: int, path: str) -> int:
        """Serves the metrics over HTTP from a thread, and nothing else; returns the port. Raises OSError."""
        metrics = make_wsgi_app(self._registry)

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            if environ["PATH_INFO"] == path:
                return metrics(environ, start_response)
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b'{ "error": "Not found" }']

        self._server = make_server(host, port, app, handler_class=_Silent)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return self._server.server_port

    def close(self) -> None:
        """Stops serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Silent(WSGIRequestHandler):
    """A scrape every few seconds is no news."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Writes nothing."""
