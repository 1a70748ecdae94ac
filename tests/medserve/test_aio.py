"""The asynchronous client: the same conversations, awaited, against the same gateway."""

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

import medserve
from medserve import AsyncClient, Client, to_array

if TYPE_CHECKING:
    from tests.medserve.conftest import Stack

DIGIT = {"images": np.zeros((28, 28, 1), dtype=np.uint8)}


def client_of(stack: "Stack", **changes: Any) -> AsyncClient:
    options: dict[str, Any] = {"api_key": stack.key, "ca_certificates": stack.ca_file, "timeout_seconds": 60} | changes
    return AsyncClient(stack.target, **options)


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(kind: type) -> dict[str, inspect.Signature]:
        return {name: inspect.signature(member) for name, member in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}

    assert methods(Client) == methods(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


def test_many_calls_share_one_client(stack: "Stack") -> None:
    async def ask() -> list[str]:
        async with client_of(stack) as client:
            answers = await asyncio.gather(*(client.infer("digits", DIGIT, request_id=f"r-{number}") for number in range(8)))
            return [answer.request_id for answer in answers]

    assert asyncio.run(ask()) == [f"r-{number}" for number in range(8)]


def test_the_catalog_is_read(stack: "Stack") -> None:
    async def ask() -> tuple[list[str], str]:
        async with client_of(stack) as client:
            return [model.name for model in await client.list_models()], (await client.get_model("digits")).name

    assert asyncio.run(ask()) == (["asleep", "digits", "ecg", "echo", "pair", "rare"], "digits")


def test_raw_outputs_come_as_they_went_in(stack: "Stack") -> None:
    values = np.arange(5.0)

    async def ask() -> bytes:
        async with client_of(stack) as client:
            answer = await client.infer("echo", {"x": values}, include_raw_outputs=True)
            return to_array(answer.raw_outputs["y"]).tobytes()

    assert asyncio.run(ask()) == values.tobytes()


def test_health_is_told_and_awaited(stack: "Stack") -> None:
    async def ask() -> list[bool]:
        async with client_of(stack, api_key=None) as client:
            await client.wait_ready("digits")
            # On a busy machine an answer may take longer than the short time.
            told = [""]
            for seconds in (0.3, 5, 50):
                with pytest.raises(medserve.DeadlineExceeded) as caught:
                    await client.wait_ready("asleep", timeout_seconds=seconds)
                told.append(str(caught.value))
                if "isn't serving yet" in told[-1]:
                    break
            assert "isn't serving yet" in told[-1]
            return [await client.health(), await client.health("asleep")]

    assert asyncio.run(ask()) == [True, False]


def test_a_refusal_names_its_reason_and_field(stack: "Stack") -> None:
    async def ask() -> None:
        async with client_of(stack) as client:
            await client.infer("echo", {"x": np.zeros(1, "f4")}, request_id="mine")

    with pytest.raises(medserve.InvalidArgument) as caught:
        asyncio.run(ask())

    assert (caught.value.reason, caught.value.field, caught.value.request_id) == ("DTYPE_MISMATCH", 'inputs["x"].tensor.data_type', "mine")


def test_an_unavailable_model_server_is_asked_again(stack: "Stack") -> None:
    stack.model_server.faults[:] = [grpc.StatusCode.UNAVAILABLE] * 2

    async def ask() -> str:
        async with client_of(stack) as client:
            return (await client.infer("digits", DIGIT)).served_by.model

    assert asyncio.run(ask()) == "digits"
    assert stack.model_server.asked == 3


def test_a_call_that_nobody_answers_ends_with_its_own_time(stack: "Stack") -> None:
    stack.model_server.gate.clear()

    async def ask() -> None:
        async with client_of(stack) as client:
            await client.infer("digits", DIGIT, timeout_seconds=0.3)

    with pytest.raises(medserve.DeadlineExceeded):
        asyncio.run(ask())


def test_a_cancelled_task_is_cancelled(stack: "Stack") -> None:
    stack.model_server.gate.clear()

    async def ask() -> None:
        async with client_of(stack) as client:
            task = asyncio.create_task(client.infer("digits", DIGIT))
            await asyncio.sleep(0)
            task.cancel()
            await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ask())


def test_an_address_where_nobody_listens_says_so() -> None:
    async def ask() -> None:
        async with AsyncClient("localhost:1", insecure=True) as client:
            await client.list_models()

    with pytest.raises(medserve.Unavailable, match="localhost:1 can't be reached"):
        asyncio.run(ask())
