"""Rows that the embedded server doesn't answer as they say yet: this list only shrinks, and goes when it is empty."""

PENDING: frozenset[str] = frozenset(
    {
        "2: SessionService",
        "2: reflection",
        "2: unknown method",
        "7: Health: a model",
        "7: Health: the other real full name",
        "7: Health: the real full name",
    }
)
