"""The server's short way for unary methods, over a real socket."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
import pytest

from modelserver.errors import ServingError
from modelserver.grpc_server import Answer, Server

METHOD, OTHER = "/a.Service/Short", "/a.Service/Other"
TIMEOUT_SECONDS = 20
Wait = Callable[..., None]
Serve = Callable[..., tuple[Server, grpc.Channel]]


class _Others(grpc.GenericRpcHandler):
    """Every method, answered by gRPC itself."""

    def service(self, _: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _, __: b"by gRPC")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with one short method; returns it, and a channel to it."""
    with ExitStack() as stack:

        def start(answer: Answer, *, threads: int = 4) -> tuple[Server, grpc.Channel]:
            server = Server(threads=threads, others=stack.enter_context(ThreadPoolExecutor(2)), options=(("grpc.so_reuseport", 0),))
            server.grpc.add_generic_rpc_handlers((_Others(),))
            port = server.grpc.add_insecure_port("127.0.0.1:0")
            server.start({METHOD: answer})
            stack.callback(lambda: server.grpc.stop(0).wait(TIMEOUT_SECONDS))
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=(("grpc.use_local_subchannel_pool", 1),))
            return server, stack.enter_context(channel)

        yield start


def call(channel: grpc.Channel, request: bytes = b"", method: str = METHOD) -> bytes:
    """The reply; fails where none comes."""
    ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return ask(request, timeout=TIMEOUT_SECONDS)


def begin(channel: grpc.Channel, request: bytes = b"", timeout: float = TIMEOUT_SECONDS) -> Any:
    """A call under way."""
    ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
    return ask.future(request, timeout=timeout)


@contextmanager
def held() -> Iterator[tuple[Answer, threading.Semaphore, threading.Event]]:
    """An answer that waits to be let go, what counts those that have begun, and what lets them go."""
    begun, go = threading.Semaphore(0), threading.Event()

    def answer(raw: bytes) -> bytes:
        begun.release()
        assert go.wait(TIMEOUT_SECONDS)
        return raw

    try:
        yield answer, begun, go
    finally:
        go.set()


def has_begun(begun: threading.Semaphore, calls: int = 1) -> bool:
    return all(begun.acquire(timeout=TIMEOUT_SECONDS) for _ in range(calls))


def threads_now() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "call"}


def test_it_answers_with_the_bytes_of_the_answer(serve: Serve) -> None:
    _, channel = serve(lambda raw: raw[::-1])

    assert call(channel, b"abc") == b"cba"
    assert call(channel) == b""


def test_a_refusal_has_its_code_and_its_words(serve: Serve) -> None:
    def refuse(_: bytes) -> bytes:
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, "nicht möglich")

    _, channel = serve(refuse)

    with pytest.raises(grpc.RpcError) as refused:
        call(channel)
    assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "nicht möglich")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyError("a patient's name"), grpc.StatusCode.INTERNAL), (MemoryError(), grpc.StatusCode.RESOURCE_EXHAUSTED)]
)
def test_what_nobody_foresaw_ends_the_call_and_no_thread(serve: Serve, error: Exception, code: grpc.StatusCode) -> None:
    def fail(raw: bytes) -> bytes:
        if raw == b"fail":
            raise error
        return raw

    _, channel = serve(fail, threads=1)

    for _ in range(5):
        with pytest.raises(grpc.RpcError) as failed:
            call(channel, b"fail")
        assert failed.value.code() is code
        assert "name" not in str(failed.value.details())
    assert call(channel, b"the next") == b"the next"


def test_a_message_too_long_for_its_header_is_cut(serve: Serve) -> None:
    def refuse(_: bytes) -> bytes:
        raise ServingError(grpc.StatusCode.INVALID_ARGUMENT, "x" * 100_000)

    _, channel = serve(refuse)

    with pytest.raises(grpc.RpcError) as refused:
        call(channel)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(refused.value.details()).endswith("...TRUNCATED")


def test_a_call_without_a_request_is_refused(serve: Serve) -> None:
    _, channel = serve(lambda raw: raw)

    with pytest.raises(grpc.RpcError) as refused:
        channel.stream_unary(METHOD)(iter(()), timeout=TIMEOUT_SECONDS)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refused.value.details() == f'"{METHOD}" requires exactly one request message.'
    assert call(channel, b"the next") == b"the next"


def test_other_methods_are_answered_by_grpc(serve: Serve) -> None:
    _, channel = serve(lambda raw: raw)

    assert call(channel, method=OTHER) == b"by gRPC"


@pytest.mark.parametrize("threads", [1, 2, 12])
def test_as_many_are_answered_at_once_as_there_may_be_threads(serve: Serve, threads: int) -> None:
    together = threading.Barrier(threads)

    def meet(raw: bytes) -> bytes:
        # It is passed by none before all are there.
        together.wait(TIMEOUT_SECONDS)
        return raw

    _, channel = serve(meet, threads=threads)

    calls = [begin(channel, bytes([number])) for number in range(threads)]
    assert [one.result() for one in calls] == [bytes([number]) for number in range(threads)]


@pytest.mark.parametrize("threads", [1, 3])
def test_those_above_the_threads_wait_and_are_answered(serve: Serve, threads: int) -> None:
    with held() as (answer, begun, go):
        _, channel = serve(answer, threads=threads)
        calls = [begin(channel, bytes([number])) for number in range(threads + 5)]
        assert has_begun(begun, threads)
        # Whoever waits keeps nobody from the methods of gRPC.
        assert call(channel, method=OTHER) == b"by gRPC"
        assert not begun.acquire(timeout=0.2)

        go.set()
        assert [one.result() for one in calls] == [bytes([number]) for number in range(threads + 5)]


@pytest.mark.parametrize("leave", ["cancel", "expire"])
def test_a_call_whose_caller_has_gone_is_dropped_before_it_runs(serve: Serve, wait_until: Wait, leave: str) -> None:
    ran: list[bytes] = []
    with held() as (answer, begun, go):

        def note(raw: bytes) -> bytes:
            ran.append(raw)
            return answer(raw)

        server, channel = serve(note, threads=1)
        first = begin(channel, b"first")
        assert has_begun(begun)
        seconds = TIMEOUT_SECONDS if leave == "cancel" else 0.3
        second = begin(channel, b"second", timeout=seconds)
        # It has arrived when it waits behind the first. On a busy machine a short time may be over before: then it gets a longer one.
        while not server._waiting:
            if second.done():
                seconds *= 4
                second = begin(channel, b"second", timeout=seconds)
            time.sleep(0.01)
        if leave == "cancel":
            second.cancel()
        with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
            second.result()
        wait_until(lambda: all(waiting._is_cancelled for waiting, _ in list(server._waiting)))

        go.set()
        assert first.result() == b"first"
    assert call(channel, b"third") == b"third"
    assert ran == [b"first", b"third"]


def test_nothing_is_kept_of_calls_that_have_ended(serve: Serve, wait_until: Wait) -> None:
    with held() as (answer, begun, go):
        server, channel = serve(answer, threads=2)
        left = begin(channel, b"left")
        assert has_begun(begun)
        left.cancel()
        go.set()
        for _ in range(5):
            call(channel)
    calls = server._state.rpc_states
    wait_until(lambda: not calls)


def test_threads_that_are_not_needed_any_more_end(serve: Serve, wait_until: Wait, monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as there are processors are always kept.
    monkeypatch.setattr("modelserver.grpc_server.os.cpu_count", lambda: 2)
    before = threads_now()
    with held() as (answer, begun, go):
        _, channel = serve(answer, threads=12)
        few = len(threads_now() - before)
        calls = [begin(channel) for _ in range(12)]
        assert has_begun(begun, 12)
        assert len(threads_now() - before) > few

        go.set()
        for one in calls:
            one.result()
    wait_until(lambda: len(threads_now() - before) == few)
    assert call(channel, b"and it answers") == b"and it answers"


def test_a_stop_waits_for_those_that_are_under_way(serve: Serve) -> None:
    with held() as (answer, begun, go):
        server, channel = serve(answer, threads=1)
        first = begin(channel, b"first")
        assert has_begun(begun)
        second = begin(channel, b"second")
        assert call(channel, method=OTHER) == b"by gRPC"

        stopped = server.grpc.stop(TIMEOUT_SECONDS)
        assert not stopped.wait(0.2)
        go.set()
        assert stopped.wait(TIMEOUT_SECONDS)
        assert first.result() == b"first"
        assert second.result() == b"second"


def test_its_threads_end_with_it(serve: Serve, wait_until: Wait) -> None:
    before = threads_now()
    server, channel = serve(lambda raw: raw)
    call(channel)
    assert threads_now() - before

    server.grpc.stop(0).wait(TIMEOUT_SECONDS)

    wait_until(lambda: not threads_now() - before)


def test_calls_can_be_left_to_grpc(serve: Serve) -> None:
    with held() as (answer, begun, go):
        server, channel = serve(answer, threads=1)
        first = begin(channel, b"first")
        assert has_begun(begun)

        server.leave_all_to_grpc()

        assert call(channel) == b"by gRPC"
        go.set()
        assert first.result() == b"first"
