"""What the client says, without a gateway: a test answers."""

from types import SimpleNamespace

import grpc
import pytest
from grpc_health.v1 import health_pb2

from medserve import DeadlineExceeded, Unavailable
from medserve.conversations import Exchange, Pause, advance, list_models, wait_ready
from medserve.v1 import catalog_pb2


def test_models_are_read_page_after_page() -> None:
    conversation = list_models(5)

    first = advance(conversation, None)
    second = advance(conversation, catalog_pb2.ListModelsResponse(models=[catalog_pb2.Model(name="a")], next_page_token="a"))
    with pytest.raises(StopIteration) as end:
        advance(conversation, catalog_pb2.ListModelsResponse(models=[catalog_pb2.Model(name="b")]))

    assert isinstance(first, Exchange)
    assert isinstance(second, Exchange)
    assert (first.request, second.request) == (catalog_pb2.ListModelsRequest(), catalog_pb2.ListModelsRequest(page_token="a"))
    assert second.timeout_seconds < first.timeout_seconds <= 5
    assert [model.name for model in end.value.value] == ["a", "b"]


def test_the_time_for_a_list_is_for_all_of_its_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 6.0])
    monkeypatch.setattr("medserve.conversations.time", SimpleNamespace(monotonic=lambda: next(times)))
    conversation = list_models(5)
    advance(conversation, None)

    with pytest.raises(DeadlineExceeded, match="longer than 5 s"):
        advance(conversation, catalog_pb2.ListModelsResponse(next_page_token="a"))


def test_a_page_that_fails_ends_the_list() -> None:
    conversation = list_models(5)
    advance(conversation, None)
    failure = Unavailable("gone", code=grpc.StatusCode.UNAVAILABLE)

    with pytest.raises(Unavailable) as caught:
        advance(conversation, failure)

    assert caught.value is failure


def test_waiting_pauses_between_two_looks() -> None:
    conversation = wait_ready("", 5)

    steps = [advance(conversation, None), advance(conversation, Unavailable("gone")), advance(conversation, None)]

    assert [type(step) for step in steps] == [Exchange, Pause, Exchange]


@pytest.mark.parametrize(
    ("answered", "said"), [(True, "it isn't serving yet"), (False, "no time")], ids=["after an answer", "where nobody ever answered"]
)
def test_a_last_look_without_time_to_be_answered_hides_no_answer_before_it(monkeypatch: pytest.MonkeyPatch, answered: bool, said: str) -> None:
    now = 0.0
    monkeypatch.setattr("medserve.conversations.time", SimpleNamespace(monotonic=lambda: now))
    conversation = wait_ready("m", 5)
    advance(conversation, None)
    advance(conversation, health_pb2.HealthCheckResponse(status="NOT_SERVING") if answered else DeadlineExceeded("no time"))
    now = 4.9
    advance(conversation, None)

    advance(conversation, DeadlineExceeded("no time"))
    now = 5.0
    with pytest.raises(DeadlineExceeded, match=said):
        advance(conversation, None)
