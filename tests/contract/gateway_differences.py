"""Where the gateway's drop-in API answers a row otherwise than the model server behind it does, all of it, and why.

What isn't in this table has to be answered alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What the gateway answers to a row; `rows` ends with `*` where it stands for all that begin so."""

    rows: str
    code: str
    message: str | re.Pattern[str]
    why: str

    def covers(self, row: str) -> bool:
        """Whether it is about this row."""
        return row.startswith(self.rows[:-1]) if self.rows.endswith("*") else row == self.rows


_PARSES = "the gateway reads the head of a request to authorise and to route it, so it is the one that can't"
_OWN_HEALTH = "routing: the gateway's health is its own: that of the services that it routes to, by their names, and of the models that are published"
_BOUNDED = "admission bounds what a request may declare before the model server sees it"

DIFFERENCES: Sequence[Difference] = [
    Difference(
        rows="2: unparsable request bytes*", code="INVALID_ARGUMENT",
        message="the request can't be parsed: build it with the stubs of tensorflow_serving.apis", why=_PARSES,
    ),
    Difference(
        rows="2: unknown method", code="UNIMPLEMENTED", message="Method not found!",
        why="no call is routed but those of the table of methods: gRPC's Python server answers the others",
    ),
    Difference(
        rows="2: SessionService", code="UNIMPLEMENTED", message="Method not found!",
        why="no call is routed but those of the table of methods: gRPC's Python server answers the others",
    ),
    Difference(rows="2: reflection", code="OK", message="", why="routing: the gateway says what it serves, TensorFlow Serving's API among it"),
    Difference(
        rows="tensor.cc: 10^8 declared elements", code="INVALID_ARGUMENT",
        message="the tensor declares too many elements: at most 16777216 are taken, so send less at once", why=_BOUNDED,
    ),
    Difference(
        rows="tensor_shape.cc: dimensions whose product overflows", code="INVALID_ARGUMENT",
        message="the tensor declares too many elements: at most 16777216 are taken, so send less at once", why=_BOUNDED,
    ),
    Difference(rows="7: Health: ModelService", code="NOT_FOUND", message="", why=_OWN_HEALTH),
    Difference(rows="7: Health: PredictionService", code="NOT_FOUND", message="", why=_OWN_HEALTH),
    Difference(rows="7: Health: the real full name", code="OK", message="", why=_OWN_HEALTH),
    Difference(rows="7: Health: the other real full name", code="OK", message="", why=_OWN_HEALTH),
    Difference(rows="7: Health: a model", code="NOT_FOUND", message="", why=_OWN_HEALTH),
    Difference(
        rows="gateway: no key", code="UNAUTHENTICATED", message="send your API key as metadata: authorization: Bearer <key>",
        why="authentication: nothing is answered to a stranger",
    ),
    Difference(
        rows="gateway: a key for another model", code="PERMISSION_DENIED", message="your key doesn't allow this model: ask for one that does",
        why="authorisation: a key names the models that it is for",
    ),
    Difference(
        rows="gateway: a key that may only read", code="PERMISSION_DENIED",
        message="your key doesn't allow the action 'infer': ask for one that does", why="authorisation: a key names the actions that it is for",
    ),
    Difference(
        rows="gateway: a label that the gateway's settings give", code="OK", message="",
        why="routing: the gateway turns its labels into versions before the model server sees them",
    ),
]  # fmt: skip


def difference_for(row: str) -> Difference | None:
    """The gateway's difference on a row; None where it answers alike."""
    return next((difference for difference in DIFFERENCES if difference.covers(row)), None)
