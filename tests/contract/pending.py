"""Rows that the embedded server doesn't answer as they say yet: this list only shrinks, and goes when it is empty."""

PENDING: frozenset[str] = frozenset(
    {
        "2: wrong rank, unknown_rank",
        "2: unparsable request bytes, to Classify",
        "2: unparsable request bytes, to Regress",
        "2: unparsable request bytes, to MultiInference",
        "2: unparsable request bytes, to HandleReloadConfigRequest",
        "2: half_plus_two's signature, sent [2,2]",
        "2: unparsable request bytes, to Predict",
        "2: unparsable request bytes, to GetModelMetadata",
        "2: unparsable request bytes, to GetModelStatus",
        "2: wrong dtype: qint8",
        "2: wrong dtype: quint8",
        "2: wrong dtype: qint16",
        "2: wrong dtype: quint16",
        "2: wrong dtype: qint32",
        "2: unknown method",
        "2: SessionService",
        "tensor.cc: more values than the shape has are passed over",
        "tensor.cc: a number too large for its type is cut to its low bits",
        "tensor.cc: of no rows the content is passed over",
        "tensor.cc: DT_STRING in tensor_content",
        "tensor_shape.cc: unknown_rank is a scalar's",
        "tensor_shape.cc: dimensions whose product overflows",
        "tensor.cc: string content that is cut off",
        "tensor.cc: string content that goes on",
        "2: wrong dtype: int4",
        "2: wrong dtype: float8_e5m2",
        "2: wrong dtype: resource",
        "2: wrong dtype: variant",
    }
)
