"""The stages in their order, once, for every RPC.

    authenticate → (parse) → authorize → admission → routing → preprocess → backend → postprocess → audit

`_guarded` holds the ends of that list, which every call passes; `infer`, `forward` and `read` hold the middle that each kind of call
needs. Servicers convert, delegate to one of the three, and convert back. A message is parsed only once its sender is known.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from gateway import postprocess
from gateway.admission import DEADLINE_PASSED, Admission, Slot
from gateway.audit import AuditLog
from gateway.authenticate import Authenticator
from gateway.authorize import authorize
from gateway.backend.client import Backend
from gateway.backend.watch import StatusWatch
from gateway.call import Call, Principal, Route
from gateway.catalog import Catalog
from gateway.errors import Code, DeadlineExceeded, InternalError, MedserveError, RelayedStatus, TooManyCalls, VersionNotReady
from gateway.item import Item
from gateway.metrics import Metrics
from gateway.preprocess import Preprocessor
from gateway.preprocess.tensor import require_batches
from gateway.reading import Caution, Reading
from gateway.routing import Router
from gateway.tensor import Tensor

_log = structlog.get_logger("gateway.pipeline")

Payload = TypeVar("Payload")
Answer = TypeVar("Answer")

# What a servicer gives: turns the bare call that the transport knows into the call that the message means, and its payload.
Parse = Callable[[Call], tuple[Call, Payload]]
# The payload of a call that is passed on: gives the request with the routes, one for each selector, written into it.
Write = Callable[[Sequence[Route]], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """The answer to one item: who answered, and what it means."""

    request_id: str
    route: Route
    reading: Reading


@dataclass(kw_only=True, slots=True)
class _Trail:
    """What is known of a call so far; what the audit event is made of in the end."""

    call: Call
    principal: Principal | None = None
    slot: Slot | None = None
    route: Route | None = None
    version: int | None = None
    code: str = "OK"
    reason: str = ""

    @property
    def remaining_seconds(self) -> float:
        """What is left of the deadline. Every call to the model server gets it."""
        if self.slot is None:
            message = "a call without a slot was not admitted"
            raise RuntimeError(message)
        return self.slot.remaining_seconds()

    @asynccontextmanager
    async def deadline(self) -> AsyncIterator[None]:
        """Ends what is awaited inside when the deadline passes. Raises DeadlineExceeded."""
        try:
            async with asyncio.timeout(self.remaining_seconds):
                yield
        except TimeoutError:
            raise DeadlineExceeded(DEADLINE_PASSED) from None


class Pipeline:
    """Runs calls through the stages."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        admission: Admission,
        catalog: Catalog,
        preprocessor: Preprocessor,
        backend: Backend,
        status_watch: StatusWatch,
        audit: AuditLog,
        metrics: Metrics,
        decoding_threads: int,
    ) -> None:
        """Takes the stages, and how many threads decode images."""
        self._authenticator = authenticator
        self._admission = admission
        self._catalog = catalog
        self._router = Router(catalog)
        self._preprocessor = preprocessor
        self._backend = backend
        self._status_watch = status_watch
        self._audit = audit
        self._metrics = metrics
        # Decoding a large image takes tens of milliseconds: on the event loop it would stall every other call.
        self._decoders = ThreadPoolExecutor(max_workers=decoding_threads, thread_name_prefix="decode")

    async def infer(self, bare: Call, parse: Parse[Item], write: Callable[[Inference], bytes]) -> bytes:
        """Runs one item through a published model; `write` makes the reply of what comes out. Raises MedserveError."""
        with self._guarded(bare) as trail:
            call, item = self._enter(trail, parse)
            (selector,) = call.selectors
            trail.route = route = self._router.resolve(selector)
            try:
                outputs, warnings = await self._ask(trail, route, item)
            except VersionNotReady:
                # The version that the gateway chose was unloaded since it last asked: ask, and choose again, once.
                if not route.by_default:
                    raise
                async with trail.deadline():
                    await self._status_watch.refresh(route.model)
                trail.route = route = self._router.resolve(selector)
                outputs, warnings = await self._ask(trail, route, item)
            trail.version = route.version
            if route.manifest is None:
                raise InternalError("a public call is routed by a manifest")
            return write(Inference(request_id=call.request_id, route=route, reading=postprocess.read(route.manifest, outputs, warnings)))

    async def forward(self, bare: Call, parse: Parse[Write], version_of: Callable[[bytes], int | None]) -> bytes:
        """Passes a call of TensorFlow Serving's API on, routed; its tensors unparsed. Raises MedserveError or RelayedStatus.

        `version_of` reads from the reply which version answered.
        """
        with self._guarded(bare) as trail:
            call, write = self._enter(trail, parse)
            routes = [self._router.resolve_dropin(selector) for selector in call.selectors]
            trail.route = routes[0] if routes else None
            if call.declarations:
                self._require_batches(call, routes[0])
            reply = await self._backend.forward(call.method, write(routes), trail.remaining_seconds)
            trail.version = version_of(reply)
            return reply

    async def read(self, bare: Call, parse: Parse[Payload], look_up: Callable[[Principal, Catalog, Payload], Answer]) -> Answer:
        """Answers a question about the catalog. Raises MedserveError."""
        with self._guarded(bare) as trail:
            _, payload = self._enter(trail, parse)
            if trail.principal is None:
                raise InternalError("a call that was entered has a principal")
            return look_up(trail.principal, self._catalog, payload)

    def close(self) -> None:
        """Ends the threads."""
        self._decoders.shutdown(cancel_futures=True)

    def _enter(self, trail: _Trail, parse: Parse[Payload]) -> tuple[Call, Payload]:
        """Authenticates, parses, authorises and admits a call."""
        trail.principal = principal = self._authenticator.authenticate(trail.call.authorization)
        trail.call, payload = parse(trail.call)
        authorize(principal, trail.call.action, trail.call.selectors)
        trail.slot = self._admission.admit(principal, trail.call)
        return trail.call, payload

    def _require_batches(self, call: Call, route: Route) -> None:
        """Refuses what the manifest's signature can't take: some of it would end TensorFlow Serving's process."""
        manifest = self._router.manifest_for(route)
        if manifest is not None and call.signature_name in {"", manifest.signature_name}:
            require_batches(manifest, call.declarations)

    async def _ask(self, trail: _Trail, route: Route, item: Item) -> tuple[Mapping[str, Tensor], tuple[Caution, ...]]:
        """Prepares an item as the route's manifest asks, and asks the model server: its outputs, and what the preparing left to say."""
        if route.manifest is None:
            raise InternalError("a public call is routed by a manifest")
        if self._preprocessor.is_heavy(route.manifest, item):
            # A call that waits for a thread longer than it has is answered, and its work, if it hasn't begun, isn't done.
            async with trail.deadline():
                loop = asyncio.get_running_loop()
                prepared = await loop.run_in_executor(self._decoders, self._preprocessor.prepare, route.manifest, item)
        else:
            prepared = self._preprocessor.prepare(route.manifest, item)
        started = time.perf_counter()
        try:
            return await self._backend.predict(route, prepared.tensors, trail.remaining_seconds), prepared.warnings
        finally:
            self._metrics.observe_backend(route.model, time.perf_counter() - started)

    @contextmanager
    def _guarded(self, bare: Call) -> Iterator[_Trail]:
        """Whatever happens inside, the slot is given back and one audit event is written. Only errors for the caller leave."""
        if not self._audit.has_room:
            # What can't be recorded isn't done. Nor is the refusal recorded: the metrics count it, and the log says that the disk is at fault.
            self._metrics.observe_call(method=bare.method, model="", version=None, code=TooManyCalls.code.name, duration_seconds=0.0)
            raise TooManyCalls("the gateway can't record calls just now, so it takes none: try again")
        trail = _Trail(call=bare)
        started = time.perf_counter()
        try:
            yield trail
        except MedserveError as error:
            trail.code, trail.reason = error.code.name, error.reason
            error.request_id = trail.call.request_id
            if isinstance(error, InternalError):
                _log.exception("defect", request_id=trail.call.request_id, invariant=error.invariant)
            raise
        except RelayedStatus as error:
            trail.code = Code(error.code).name
            raise
        except asyncio.CancelledError:
            trail.code = Code.CANCELLED.name
            raise
        except Exception as error:
            trail.code, trail.reason = InternalError.code.name, InternalError.reason
            _log.exception("defect", request_id=trail.call.request_id)
            defect = InternalError()
            defect.request_id = trail.call.request_id
            raise defect from error
        finally:
            if trail.slot is not None:
                trail.slot.release()
            self._record(trail, time.perf_counter() - started)

    def _record(self, trail: _Trail, duration_seconds: float) -> None:
        asked = trail.call.selectors[0].model if trail.call.selectors else ""
        published = asked if asked in self._catalog.published else ""
        # A name that the caller made up could be a patient's. One that the model server answered to isn't made up.
        named = asked if trail.code == "OK" else published
        # A list counts, whatever became of it, once whoever sent it is known to be an operator.
        listed = trail.call.listed_models if trail.slot is not None else ()
        self._audit.record_call(
            trail.call, principal=trail.principal, model=named, models=listed, route=trail.route, version=trail.version,
            code=trail.code, reason=trail.reason, duration_seconds=duration_seconds,
        )  # fmt: skip
        self._metrics.observe_call(
            method=trail.call.method, model=published, version=trail.version, code=trail.code, duration_seconds=duration_seconds
        )
