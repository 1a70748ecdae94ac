"""What is taken on and what isn't."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.admission import Admission, AdmissionLimits
from gateway.call import Action, Call, Principal, TensorDeclaration
from gateway.errors import DeadlineExceeded, MedserveError, RequestTooLarge, ShuttingDown, TooManyCalls, TooManyElements

LIMITS = AdmissionLimits(
    max_request_bytes=100, max_elements=1000, max_calls=3, max_calls_per_tenant=2,
    default_timeout_seconds=10.0, max_timeout_seconds=60.0, min_timeout_seconds=0.002,
)  # fmt: skip
CALL = Call(method="/s/m", action=Action.INFER, request_id="r", authorization="", timeout_seconds=None, size_bytes=1)


def of(tenant: str) -> Principal:
    return Principal(key_id="k", tenant=tenant, models=frozenset(), actions=frozenset())


def declaring(*shape: int) -> Call:
    return replace(CALL, declarations=(TensorDeclaration(field="first", shape=(1,)), TensorDeclaration(field="second", shape=shape)))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"size_bytes": 100}, None),
        ({"size_bytes": 101}, RequestTooLarge),
        ({"timeout_seconds": 0.002}, None),
        ({"timeout_seconds": 0.0019}, DeadlineExceeded),
        ({"timeout_seconds": 0.0}, DeadlineExceeded),
        ({"timeout_seconds": -1.0}, DeadlineExceeded),
    ],
)
def test_the_bounds(changes: dict[str, Any], error: type[MedserveError] | None) -> None:
    admission = Admission(LIMITS)
    call = replace(CALL, **changes)

    if error is None:
        admission.admit(of("a"), call)
        return
    with pytest.raises(error):
        admission.admit(of("a"), call)
    assert admission.in_flight == 0


@pytest.mark.parametrize(
    ("shape", "taken"),
    [
        ((), True),
        ((1000,), True),
        ((10, 100), True),
        ((1001,), False),
        ((10, 101), False),
        ((10**9,), False),
        ((2**62, 2**62), False),
        ((2**62, 0), False),
        ((0, 0), True),
        ((-1, 5), True),
        ((2**62,) * 255, False),
    ],
)
def test_declared_elements_are_counted_and_the_field_named(shape: tuple[int, ...], taken: bool) -> None:
    admission = Admission(LIMITS)

    if taken:
        admission.admit(of("a"), declaring(*shape))
        return
    with pytest.raises(TooManyElements) as caught:
        admission.admit(of("a"), declaring(*shape))
    assert caught.value.field == "second"


@pytest.mark.parametrize(("asked", "given_"), [(None, 10.0), (5.0, 5.0), (60.0, 60.0), (3600.0, 60.0)])
def test_every_call_gets_a_deadline(asked: float | None, given_: float) -> None:
    slot = Admission(LIMITS).admit(of("a"), replace(CALL, timeout_seconds=asked))

    assert given_ - 1 < slot.remaining_seconds() <= given_


def test_a_deadline_that_passed_is_an_error_and_not_a_timeout_of_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = Admission(LIMITS).admit(of("a"), replace(CALL, timeout_seconds=1.0))

    monkeypatch.setattr("gateway.admission.time.monotonic", lambda: slot._deadline)

    with pytest.raises(DeadlineExceeded, match="allow more time"):
        slot.remaining_seconds()


def test_a_tenant_cannot_take_the_places_of_the_others() -> None:
    admission = Admission(LIMITS)
    admission.admit(of("a"), CALL)
    admission.admit(of("a"), CALL)

    with pytest.raises(TooManyCalls, match="2 of your calls"):
        admission.admit(of("a"), CALL)

    admission.admit(of("b"), CALL)
    with pytest.raises(TooManyCalls, match="3 calls are under way"):
        admission.admit(of("c"), CALL)


def test_a_place_is_given_back_once_however_often_it_is_released() -> None:
    admission = Admission(LIMITS)
    first, second = admission.admit(of("a"), CALL), admission.admit(of("a"), CALL)

    first.release()
    first.release()

    assert admission.in_flight == 1
    admission.admit(of("a"), CALL)
    second.release()
    assert admission.in_flight == 1


def test_draining_refuses_whoever_comes_and_waits_for_who_is_there() -> None:
    async def story() -> tuple[bool, bool]:
        admission = Admission(LIMITS)
        slot = admission.admit(of("a"), CALL)
        admission.drain()
        with pytest.raises(ShuttingDown):
            admission.admit(of("b"), CALL)
        too_soon = await admission.wait_idle(0)
        slot.release()
        return too_soon, await admission.wait_idle(5)

    assert asyncio.run(story()) == (False, True)


def test_an_idle_gateway_drains_at_once() -> None:
    async def story() -> bool:
        return await Admission(LIMITS).wait_idle(0.5)

    assert asyncio.run(story())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_the_counts_are_those_of_who_is_there(events: list[tuple[str, bool]]) -> None:
    admission = Admission(LIMITS)
    there: list[tuple[str, Any]] = []

    for tenant, comes in events:
        if comes:
            taken = len(there) < 3 and sum(name == tenant for name, _ in there) < 2
            try:
                there.append((tenant, admission.admit(of(tenant), CALL)))
            except TooManyCalls:
                assert not taken
            else:
                assert taken
        elif there:
            there.pop(0)[1].release()

    assert admission.in_flight == len(there)
    assert dict(admission._by_tenant) == {name: sum(other == name for other, _ in there) for name, _ in there}
