"""The logs: lines of JSON, and nothing in them of what a library quotes, an exception says or a frame holds."""

import json
import logging
import warnings
from io import StringIO
from typing import Any

import pytest
import structlog

from gateway import logs

SECRET = "Doe^Jane"
ADMITTED: dict[str, str] = {}


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail() -> None:
    patient = SECRET
    try:
        ADMITTED[patient]
    except KeyError as error:
        message = f"no such patient: {patient}"
        raise ValueError(message) from error


def test_an_event_is_one_line_of_json(log: StringIO) -> None:
    structlog.get_logger("gateway.test").info("listening", port=8443)

    (line,) = lines(log)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "listening", "port": 8443, "level": "info", "logger": "gateway.test"}


def test_of_an_exception_the_types_and_the_places_are_written_and_no_text_and_no_values(log: StringIO) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger("gateway.test").exception("defect")

    (line,) = lines(log)
    assert [link["type"] for link in line["exception"]] == ["ValueError", "KeyError"]
    assert line["exception"][0]["frames"][-1].endswith(" fail")
    assert SECRET not in log.getvalue()
    assert "patient" not in log.getvalue()


def test_an_exception_in_whose_handling_another_rose_is_written_as_well(log: StringIO) -> None:
    try:
        try:
            fail()
        finally:
            raise TypeError(SECRET)
    except TypeError:
        structlog.get_logger("gateway.test").exception("defect")

    assert [link["type"] for link in lines(log)[0]["exception"]] == ["TypeError", "ValueError", "KeyError"]
    assert SECRET not in log.getvalue()


@pytest.mark.parametrize("logger", ["pydicom_like", "grpc._cython.cygrpc", "asyncio", ""])
def test_of_what_another_library_logs_only_that_it_did_and_where(log: StringIO, logger: str) -> None:
    try:
        fail()
    except ValueError:
        logging.getLogger(logger).exception("element of %s: %r", SECRET, {"name": SECRET}, extra={"patient": SECRET}, stack_info=True)

    (line,) = lines(log)
    assert line.pop("timestamp")
    assert line.pop("place").startswith("test_logs:")
    assert line == {"event": "another library logged", "level": "warning", "level_there": "ERROR", "logger": logger or "root"}


def test_of_a_warning_only_that_there_was_one(log: StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"odd value {SECRET}", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    assert [line["logger"] for line in lines(log)] == ["py.warnings"]
    assert SECRET not in log.getvalue()


def test_other_libraries_are_heard_from_a_warning_on(log: StringIO) -> None:
    logging.getLogger("library").info(SECRET)

    assert log.getvalue() == ""


def test_the_level_is_that_of_the_settings(log: StringIO) -> None:
    logs.configure(level="ERROR", stream=log)

    logger = structlog.get_logger("gateway.test")
    logger.warning("not this")
    logger.error("this")

    assert [line["event"] for line in lines(log)] == ["this"]
