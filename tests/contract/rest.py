"""One call of the REST API and what it came to, and a case of it."""

import http.client
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HALF = "/v1/models/half_plus_two"


@dataclass(frozen=True, kw_only=True)
class RestAnswer:
    """What a call came to."""

    status: int
    body: str
    content_type: str

    @property
    def shown(self) -> str:
        """For a failed assertion."""
        return f"{self.status} {self.content_type} {self.body}"


class Rest:
    """The REST API at an address, `host:port`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, case: "RestCase") -> RestAnswer:
        """Makes a call."""
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            body = case.body if isinstance(case.body, str | None) else json.dumps(case.body)
            connection.request(case.verb, case.path, body=None if body is None else body.encode())
            reply = connection.getresponse()
            return RestAnswer(status=reply.status, body=reply.read().decode(), content_type=reply.headers.get("content-type", ""))
        finally:
            connection.close()


@dataclass(frozen=True, kw_only=True)
class RestCase:
    """One row.

    Attributes:
        row: where the row is, and what it says.
        body: what is sent: a text as it is, or what JSON says.
        error: the whole message in `{ "error": "..." }`; a pattern of it, or its first line where `is_kernels`.
        compact: the whole body without the white space between its tokens.
        value: the whole body as JSON; or `check`, which asserts what matters about it.
    """

    row: str
    verb: str = "POST"
    path: str = f"{HALF}:predict"
    body: Any = None
    status: int = 200
    error: str | re.Pattern[str] | None = None
    is_kernels: bool = False
    compact: str | None = None
    value: Any = None
    check: Callable[[Any], None] | None = None

    @property
    def wanted(self) -> str:
        """For a failed assertion."""
        return f"{self.status} {self.error or self.compact or self.value or ''}"

    def hold(self, answer: RestAnswer) -> None:
        """Asserts that this is the answer which the row asks for."""
        assert answer.status == self.status, answer.shown
        if self.error is None and self.compact is None and self.value is None and self.check is None:
            return
        assert answer.content_type.partition(";")[0] == "application/json", answer.shown
        if self.error is not None:
            self._hold_error(answer)
        if self.compact is not None:
            assert re.sub(r"\s+", "", answer.body) == self.compact, answer.shown
        if self.value is not None:
            assert json.loads(answer.body) == self.value, answer.shown
        if self.check is not None:
            self.check(json.loads(answer.body))

    def _hold_error(self, answer: RestAnswer) -> None:
        document = json.loads(answer.body)
        assert list(document) == ["error"], answer.shown
        got = document["error"].partition("\n")[0] if self.is_kernels else document["error"]
        if isinstance(self.error, re.Pattern):
            assert self.error.fullmatch(got), got
        else:
            assert got == self.error, f"{got!r} isn't {self.error!r}"
