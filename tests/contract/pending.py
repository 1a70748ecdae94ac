"""Rows that the embedded server doesn't answer as they say yet: this list only shrinks, and goes when it is empty."""

PENDING: frozenset[str] = frozenset(
    {
        "2: SessionService",
        "2: reflection",
        "2: unknown method",
        "2: wrong dtype: float8_e5m2",
        "2: wrong dtype: int4",
        "2: wrong dtype: resource",
        "2: wrong dtype: variant",
        "2: wrong rank, unknown_rank",
        "7: Health: a model",
        "7: Health: the other real full name",
        "7: Health: the real full name",
        "saved_model util.cc: a name that isn't an input's, beside defaults",
        "server_core.cc: order: labels before the platform of a new model",
        "tensor.cc: a number too large for its type is cut to its low bits",
        "tensor.cc: more values than the shape has are passed over",
        "tensor.cc: of no rows the content is passed over",
        "tensor.cc: string content that goes on",
        "tensor.cc: string content that is cut off",
        "tensor_shape.cc: dimensions whose product overflows",
        "tensor_shape.cc: unknown_rank is a scalar's",
    }
)
