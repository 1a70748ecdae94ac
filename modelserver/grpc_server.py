"""gRPC's server, with a shorter way for the methods that are called most.

gRPC's own takes a call over three threads: one receives it, another answers it, and the first is woken to end it. Each hand-over costs the
interpreter, and for a small model they cost more than the model. Here a few threads wait for what arrives (leader and followers: one that takes a
call on leaves the waiting to another, Schmidt et al., Pattern Languages of Program Design 4, 2000), and the thread that a request reaches answers it.

Only unary methods go this way; all others, what ends the server, and what gRPC itself answers stay with gRPC. Its public interface has no place for
this, so it is built on the completion queue that gRPC's Python is built on itself.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined] # compiled, and the types of gRPC's packages leave it out

from modelserver.errors import cut, status_of

Answer = Callable[[bytes], bytes]
"""A request's bytes to its reply's. What it raises becomes the call's status (`errors.status_of`)."""

# Nothing was begun or ended for so long, and calls wait: all threads have long work, and another is made.
_STALLED_SECONDS = 0.002
# A thread that nothing reached for so long ends, where there are others.
_IDLE_SECONDS = 1.0
_NO_FLAGS = 0

# What is used of gRPC's own server; all of it is private there.
_STARTED, _STOPPED = _server._ServerStage.STARTED, _server._ServerStage.STOPPED  # noqa: SLF001
_NEW_CALL = _server._REQUEST_CALL_TAG  # noqa: SLF001
_ask_for_call = _server._request_call  # noqa: SLF001
_ask_for_registered_call = _server._request_registered_call  # noqa: SLF001
_handle_as_grpc = _server._process_event_and_continue  # noqa: SLF001
# What gRPC's server is told of an event: the call that has ended by it, and what is to be run then.
_Told = tuple["_Call | None", Sequence[Callable[[], None]]]
_GOES_ON: _Told = (None, ())


class _Call:
    """One call of a unary method, from its arrival to its end: what gRPC tells of it comes as events, on whichever thread waits."""

    __slots__ = ("_answer", "_call", "_due", "_is_cancelled", "_lock", "_method", "_take")

    def __init__(self, event: Any, answer: Answer, take: Callable[["_Call", bytes], None]) -> None:  # noqa: ANN401 - gRPC's, without a type
        self._call = event.call
        self._method = event.call_details.method
        self._answer = answer
        self._take = take
        self._lock = threading.Lock()
        # That it has ended for the caller, and that its status is sent; the one may come before the other.
        self._due = 2
        self._is_cancelled = False

    def receive(self) -> None:
        """Asks for the request, and for the word that the call has ended."""
        self._call.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._ended)
        self._call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._received)

    def answer(self, raw: bytes) -> None:
        """Answers the request; where its caller has gone meanwhile, without running it."""
        if self._is_cancelled:
            self._end(grpc.StatusCode.CANCELLED, "")
            return
        try:
            reply = self._answer(raw)
        except Exception as error:  # noqa: BLE001 - the boundary: whatever is raised, the call ends and its thread goes on
            status = status_of(error)
            self._end(status.code, cut(status.message))
        else:
            self._end(grpc.StatusCode.OK, "", cygrpc.SendMessageOperation(reply, _NO_FLAGS))

    def _received(self, event: Any) -> _Told:  # noqa: ANN401 - see above
        raw = event.batch_operations[0].message()
        if raw is None:
            self._end(grpc.StatusCode.UNIMPLEMENTED, f'"{self._method.decode()}" requires exactly one request message.')
        else:
            self._take(self, raw)
        return _GOES_ON

    def _end(self, code: grpc.StatusCode, message: str, *reply: Any) -> None:  # noqa: ANN401 - see above
        start = cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS)
        end = cygrpc.SendStatusFromServerOperation(None, code.value[0], message.encode(), _NO_FLAGS)
        self._call.start_server_batch((start, *reply, end), self._sent)

    def _sent(self, _: Any) -> _Told:  # noqa: ANN401 - see above
        return self._one_less()

    def _ended(self, event: Any) -> _Told:  # noqa: ANN401 - see above
        self._is_cancelled = event.batch_operations[0].cancelled()
        return self._one_less()

    def _one_less(self) -> _Told:
        with self._lock:
            self._due -= 1
            return _GOES_ON if self._due else (self, ())


class Server:
    """A server whose unary methods are answered by the threads that wait for calls."""

    def __init__(self, *, threads: int, others: ThreadPoolExecutor, options: Sequence[tuple[str, Any]]) -> None:
        """Takes how many calls may be answered at once, and the threads for the methods that gRPC answers itself."""
        self.grpc: grpc.Server = grpc.server(others, options=options)
        """gRPC's own: it has the ports, and the services that aren't answered the short way."""
        self._state = self.grpc._state  # type: ignore[attr-defined] # noqa: SLF001 - see above
        self._methods: Mapping[bytes, Answer] = {}
        self._lock = threading.Lock()
        # One more than may be at work: there is always one that waits for calls.
        self._most = threads + 1
        self._fewest = min(threads, os.cpu_count() or 1) + 1
        self._threads = self._fewest
        self._working = 0
        self._waiting: deque[tuple[_Call, bytes]] = deque()
        self._changed_at = 0.0

    def start(self, methods: Mapping[str, Answer]) -> None:
        """Begins to serve; `methods`, by their full names, go the short way. Others are gRPC's."""
        self._methods = {name.encode(): answer for name, answer in methods.items()}
        state = self._state
        with state.lock:
            state.server.start()
            state.stage = _STARTED
            for method in state.registered_method_handlers:
                _ask_for_registered_call(state, method)
            _ask_for_call(state)
        for _ in range(self._fewest):
            self._start_thread(self._wait)

    def leave_all_to_grpc(self) -> None:
        """New calls of every method go to gRPC's services from now on; those under way are answered."""
        self._methods = {}

    def _start_thread(self, run: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=run, args=arguments, name="call", daemon=True).start()

    def _wait(self) -> None:
        """Handles what arrives, until the server has stopped or this thread isn't needed any more."""
        state = self._state
        while True:
            event = state.completion_queue.poll(time.time() + (_STALLED_SECONDS if self._waiting else _IDLE_SECONDS))
            if event.completion_type == cygrpc.CompletionType.queue_timeout:
                if state.stage is _STOPPED or self._is_surplus():
                    return
            elif not self._handle(event):
                return
            # gRPC's own lets go of it before it waits again, too: an event may hold a call that has ended.
            event = None
            if self._waiting:
                self._help()

    def _handle(self, event: Any) -> bool:  # noqa: ANN401 - see above
        """Returns whether the server goes on."""
        is_call = event.tag is _NEW_CALL and event.success
        answer = self._methods.get(event.call_details.method) if is_call else None
        if answer is None:
            return bool(_handle_as_grpc(self._state, event))
        call = _Call(event, answer, self._take)
        state = self._state
        with state.lock:
            state.due.remove(event.tag)
            state.rpc_states.add(call)
            # A call that comes while the server stops is answered; none is asked for after it.
            if state.stage is _STARTED:
                _ask_for_call(state)
        call.receive()
        return True

    def _take(self, call: _Call, raw: bytes) -> None:
        """Answers a call, where another thread waits for the next one meanwhile; otherwise the call waits for a thread that is at work."""
        with self._lock:
            if self._threads - self._working < 2:  # noqa: PLR2004 - this one, and another
                self._waiting.append((call, raw))
                return
            self._working += 1
        self._work(call, raw)

    def _work(self, call: _Call, raw: bytes) -> None:
        """Answers a call, and then those that wait."""
        while True:
            self._changed_at = time.monotonic()
            call.answer(raw)
            with self._lock:
                if not self._waiting:
                    self._working -= 1
                    return
                call, raw = self._waiting.popleft()

    def _help(self) -> None:
        """Makes another thread where calls wait and those at work don't get on."""
        with self._lock:
            now = time.monotonic()
            if not self._waiting or self._threads == self._most or now - self._changed_at < _STALLED_SECONDS:
                return
            self._changed_at = now
            self._threads += 1
            self._working += 1
            first = self._waiting.popleft()
        self._start_thread(self._work_and_wait, *first)

    def _work_and_wait(self, call: _Call, raw: bytes) -> None:
        self._work(call, raw)
        self._wait()

    def _is_surplus(self) -> bool:
        with self._lock:
            if self._threads == self._fewest or self._waiting:
                return False
            self._threads -= 1
            return True
