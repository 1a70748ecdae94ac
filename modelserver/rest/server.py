"""The HTTP port: REST and the metrics, by aiohttp on an event loop of its own.

The loop reads and writes; requests are answered by a bounded number of threads. A request whose time is up is answered as such, and one that waits
for a thread when its time is up, or its caller has gone, isn't run.
"""

import asyncio
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from modelserver.metrics import Metrics
from modelserver.rest import json_writer
from modelserver.rest.handler import MAX_BODY_BYTES, Handler, Reply, Request, TooLargeError, failure, timed_out
from modelserver.rest.route import is_api

_JSON = "application/json"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_NOT_FOUND = web.HTTPNotFound.status_code
# What aiohttp has to say of a request may hold parts of it.
_SILENT = logging.getLogger("modelserver.rest.http")
_SILENT.disabled = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How the port serves: `port` 0 lets the system choose; `timeout_seconds` None lets a request take its time; `metrics_path` None has none."""

    host: str
    port: int
    threads: int
    timeout_seconds: float | None
    allows_origins: bool
    metrics_path: str | None


class RestServer:
    """Serves from a thread of its own."""

    def __init__(self, handler: Handler, metrics: Metrics, options: Options) -> None:
        """Takes what answers, and how. Nothing is served before `start`."""
        self._handler = handler
        self._metrics = metrics
        self._options = options
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="rest-call")
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._runner: web.AppRunner | None = None

    _loop: asyncio.AbstractEventLoop

    def start(self) -> int:
        """Serves; returns the port. Raises OSError where it can't be had."""
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        listening = socket.create_server((self._options.host, self._options.port), family=family, backlog=1024)
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(listening), self._loop).result()
        return int(listening.getsockname()[1])

    def stop(self, seconds: float) -> None:
        """Takes no new requests, and waits so long for those that were taken on."""
        asyncio.run_coroutine_threadsafe(self._end(seconds), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        app = web.Application(client_max_size=MAX_BODY_BYTES, logger=_SILENT)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, logger=_SILENT, auto_decompress=False, handler_cancellation=True)
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def _end(self, seconds: float) -> None:
        if self._runner is not None:
            self._runner._shutdown_timeout = seconds  # noqa: SLF001
            await self._runner.cleanup()

    async def _answer(self, http: web.Request) -> web.Response:
        path = _path(http.raw_path)
        if path.partition("?")[0] == self._options.metrics_path:
            page = await self._loop.run_in_executor(None, self._metrics.page)
            return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
        if not is_api(path):
            return web.Response(status=_NOT_FOUND, body=json_writer.error("Not found"), content_type=_JSON)
        reply = await self._reply(http, path)
        headers = _CORS if self._options.allows_origins else None
        return web.Response(status=reply.status, body=reply.body, content_type=_JSON, headers=headers)

    async def _reply(self, http: web.Request, path: str) -> Reply:
        method, headers = http.method, http.headers
        try:
            body = await _body(http)
        except TooLargeError as error:
            return self._handler.refuse(Request(method=method, path=path, body=b""), error)
        seconds = self._options.timeout_seconds
        request = Request(
            method=method,
            path=path,
            body=body,
            encoding=headers.get("Content-Encoding", ""),
            origin=headers.get("Origin", ""),
            deadline=None if seconds is None else time.monotonic() + seconds,
        )
        call = self._threads.submit(self._handler.answer, request)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(call)
        except TimeoutError:
            # One that is being run counts itself, when it has ended.
            return self._handler.refuse(request, timed_out()) if call.cancelled() else failure(timed_out())


async def _body(http: web.Request) -> bytes:
    """The whole body, as it was sent. Raises TooLargeError."""
    if (http.content_length or 0) > MAX_BODY_BYTES:
        raise TooLargeError
    try:
        return await http.read()
    except web.HTTPRequestEntityTooLarge:
        raise TooLargeError from None


def _path(target: str) -> str:
    """The path and the query, also of a target that is a whole URL."""
    if target.startswith("/"):
        return target
    parts = urlsplit(target)
    return f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
