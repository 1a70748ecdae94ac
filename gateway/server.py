"""The composition root: makes the pieces from the settings, starts them in order, and ends them so that no accepted answer is lost."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import grpc
import grpc.aio
import structlog

from gateway import tls
from gateway.admission import Admission, AdmissionLimits
from gateway.audit import AuditLog
from gateway.authenticate import Authenticator
from gateway.backend.client import Backend
from gateway.backend.watch import StatusWatch
from gateway.catalog import Catalog
from gateway.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.preprocess import InputLimits, Preprocessor
from gateway.repository import Repository
from gateway.rpc.services import register
from gateway.settings import Settings, SettingsError

_log = structlog.get_logger("gateway.server")

# The transport refuses what is larger before it reads it; up to here a request gets our error, which names the limit.
_TRANSPORT_MARGIN_BYTES = 1 << 20
_KEYS_POLL_SECONDS = 1.0


class Gateway:
    """One gateway: `start`, then `stop`."""

    def __init__(self, settings: Settings) -> None:
        """Makes the pieces; nothing listens yet. Raises SettingsError where the settings would leave patient data in the clear."""
        self._settings = settings
        try:
            tls.require_tls_beyond_loopback(settings.listen.host, settings.listen.tls.enabled)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        limits = settings.admission
        self._admission = Admission(
            AdmissionLimits(
                max_request_bytes=limits.max_request_bytes,
                max_elements=limits.max_elements,
                max_calls=limits.max_calls,
                max_calls_per_tenant=limits.max_calls_per_tenant,
                default_timeout_seconds=limits.default_timeout_seconds,
                max_timeout_seconds=limits.max_timeout_seconds,
                min_timeout_seconds=limits.min_timeout_seconds,
            )
        )
        self._catalog = Catalog(labels=settings.labels)
        self._repository = Repository(settings.repository.path, self._catalog)
        self._metrics = Metrics()
        self._closing = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.metrics_port = 0

    async def start(self) -> None:
        """Starts everything; afterwards `port` and `metrics_port` say where.

        Raises SettingsError where a file or a port can't be used; then nothing is left running.
        """
        try:
            await self._start()
        except BaseException:
            await self._closing.aclose()
            raise

    async def _start(self) -> None:
        settings = self._settings
        audit = self._open_audit()
        self._closing.callback(audit.close)
        backend = Backend(settings.backend.address, max_elements=settings.backend.max_output_elements)
        self._closing.push_async_callback(backend.close)
        self._watch = StatusWatch(backend, self._catalog, timeout_seconds=settings.backend.status_timeout_seconds)
        authenticator = Authenticator(settings.api_keys_file)
        pipeline = Pipeline(
            authenticator=authenticator,
            admission=self._admission,
            catalog=self._catalog,
            preprocessor=Preprocessor(InputLimits(max_elements=settings.admission.max_elements, max_pixels=settings.admission.max_pixels)),
            backend=backend,
            status_watch=self._watch,
            audit=audit,
            metrics=self._metrics,
            decoding_threads=settings.admission.decoding_threads,
        )
        self._closing.callback(pipeline.close)
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", settings.admission.max_request_bytes + _TRANSPORT_MARGIN_BYTES),
                ("grpc.max_send_message_length", -1),
                # Two gateways on one port would take turns: a port that is taken is an error.
                ("grpc.so_reuseport", 0),
            )
        )
        self._closing.push_async_callback(self._server.stop, None)
        self._health = register(self._server, pipeline, self._catalog)
        await self._repository.refresh()
        await asyncio.gather(*(self._watch.refresh(model) for model in self._catalog.published))
        await self._update_health()
        if settings.metrics.port >= 0:
            self.metrics_port = self._serve_metrics()
            self._closing.callback(self._metrics.close)
        self.port = self._listen()
        await self._server.start()
        self._closing.push_async_callback(self._end_tasks)
        self._spawn(self._keep("keys", authenticator.refresh, _KEYS_POLL_SECONDS))
        self._spawn(self._keep("repository", self._repository.refresh, settings.repository.poll_seconds))
        self._spawn(self._keep("status", self._refresh_status, settings.backend.status_poll_seconds))

    async def stop(self) -> None:
        """Refuses new calls, lets those under way end, writes their audit, and closes. Safe to call once."""
        await self._health.stop()
        self._admission.drain()
        if not await self._admission.wait_idle(self._settings.drain_seconds):
            _log.warning("calls cut off", calls=self._admission.in_flight)
        # The answers of calls that have just ended are still on their way out.
        await self._server.stop(grace=1.0)
        await self._closing.aclose()

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _open_audit(self) -> AuditLog:
        settings = self._settings
        try:
            return AuditLog(settings.audit_file, settings.audit_secret_file)
        except OSError as error:
            message = f"audit_file, audit_secret_file: {error.filename}: can't be used ({error.strerror})"
            raise SettingsError(message) from None
        except ValueError as error:
            message = f"audit_secret_file: {error}"
            raise SettingsError(message) from None

    def _serve_metrics(self) -> int:
        metrics = self._settings.metrics
        try:
            return self._metrics.serve(metrics.host, metrics.port)
        except OSError as error:
            message = f"metrics: can't listen on {metrics.host}:{metrics.port} ({error.strerror}): choose another with --set metrics.port=0"
            raise SettingsError(message) from None

    def _listen(self) -> int:
        listen = self._settings.listen
        address = f"[{listen.host}]:{listen.port}" if ":" in listen.host else f"{listen.host}:{listen.port}"
        credentials = self._credentials() if listen.tls.enabled else None
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError:
            message = f"listen: can't listen on {address}: another process may hold the port; choose one with --set listen.port=0"
            raise SettingsError(message) from None

    def _credentials(self) -> grpc.ServerCredentials:
        settings = self._settings.listen.tls
        if settings.certificate_file is not None and settings.private_key_file is not None:
            certificate_file, private_key_file = settings.certificate_file, settings.private_key_file
        else:
            certificate = self._development_certificate()
            certificate_file, private_key_file = certificate.certificate_file, certificate.private_key_file
            _log.warning("development certificate", ca_file=str(certificate.ca_file), advice="set listen.tls.certificate_file in production")
        try:
            pair = private_key_file.read_bytes(), certificate_file.read_bytes()
        except OSError as error:
            message = f"listen.tls: {error.filename}: can't be read ({error.strerror})"
            raise SettingsError(message) from None
        try:
            # gRPC says no more than that the port can't be had.
            tls.require_pair(*pair)
        except ValueError as error:
            message = f"listen.tls: {private_key_file}, {certificate_file}: {error}"
            raise SettingsError(message) from None
        return grpc.ssl_server_credentials([pair])

    def _development_certificate(self) -> tls.ServerCertificate:
        folder = self._settings.listen.tls.development_ca_folder
        try:
            return tls.development_certificate(folder)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            message = f"listen.tls.development_ca_folder: {folder}: can't be used ({why})"
            raise SettingsError(message) from None

    async def _refresh_status(self) -> None:
        await asyncio.gather(*(self._watch.refresh(model) for model in self._catalog.published))
        await self._update_health()

    async def _update_health(self) -> None:
        await self._health.update(is_backend_reachable=self._watch.is_reachable is not False)
        self._metrics.set_backend_up(self._watch.is_reachable is not False)

    async def _keep(self, name: str, refresh: Any, poll_seconds: float) -> None:  # noqa: ANN401
        """Refreshes for ever. A round that fails is logged, and the next one comes all the same."""
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                await refresh()
            except Exception:  # noqa: BLE001 - whatever it is, the next round may go well
                _log.exception("refresh failed", what=name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(work))


async def serve(settings: Settings) -> None:
    """Runs a gateway until SIGTERM or SIGINT. Its first line on standard output says where it listens."""
    gateway = Gateway(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await gateway.start()
    print(f"gateway listening on {settings.listen.host}:{gateway.port}", flush=True)
    _log.info("listening", host=settings.listen.host, port=gateway.port, tls=settings.listen.tls.enabled, metrics_port=gateway.metrics_port)
    await stopped.wait()
    _log.info("stopping")
    await gateway.stop()
    _log.info("stopped")
