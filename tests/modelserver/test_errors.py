"""What a caller is told of what was raised."""

import pytest
from structlog.testing import capture_logs

from modelserver.errors import invalid_argument, status_of


def test_a_status_stays_what_it_is() -> None:
    error = invalid_argument("input x")

    assert status_of(error) is error


def test_a_request_for_which_memory_is_short_is_told_so() -> None:
    status = status_of(MemoryError("Unable to allocate 4 TiB"))

    assert (status.code.name, status.message) == ("RESOURCE_EXHAUSTED", "there is not enough memory for this request")


def test_of_what_nobody_foresaw_neither_the_caller_nor_the_log_has_the_text() -> None:
    with pytest.raises(KeyError) as caught:
        {"SCHMIDT": 1}["MEIER"]
    with capture_logs() as logs:
        status = status_of(caught.value)

    assert (status.code.name, status.message) == ("INTERNAL", "the model server failed; its log says where")
    assert logs[0]["kind"] == "KeyError"
    assert logs[0]["where"].startswith(__file__)
    assert "MEIER" not in str(logs)
