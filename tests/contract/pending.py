"""Rows that the embedded server doesn't answer as they say yet: this list only shrinks, and goes when it is empty."""

SERVERS: frozenset[str] = frozenset({"reload"})
PENDING: frozenset[str] = frozenset(
    {
        "2: Predict on `__saved_model_init_op` with that check",
        "2: SessionService",
        "2: reflection",
        "2: unknown method",
        "2: unparsable request bytes, to HandleReloadConfigRequest",
        "2: wrong dtype: float8_e5m2",
        "2: wrong dtype: int4",
        "2: wrong dtype: resource",
        "2: wrong dtype: variant",
        "2: wrong rank, unknown_rank",
        "4: --enable_signature_method_name_check: Classify on predict signature",
        "4: --enable_signature_method_name_check: Classify on regress signature",
        "4: --enable_signature_method_name_check: Regress on classify signature",
        "7: Boot: a label on a version that there isn't",
        "7: Health: a model",
        "7: Health: the other real full name",
        "7: Health: the real full name",
        "multi_inference.cc: --enable_signature_method_name_check: regress on a classify signature",
        "saved_model util.cc: a name that isn't an input's, beside defaults",
        "tensor.cc: a number too large for its type is cut to its low bits",
        "tensor.cc: more values than the shape has are passed over",
        "tensor.cc: of no rows the content is passed over",
        "tensor.cc: string content that goes on",
        "tensor.cc: string content that is cut off",
        "tensor_shape.cc: dimensions whose product overflows",
        "tensor_shape.cc: unknown_rank is a scalar's",
    }
)
