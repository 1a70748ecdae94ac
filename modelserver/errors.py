"""What a caller is told, in TensorFlow Serving's codes and words (model_servers/grpc_status_util.cc)."""

import traceback

import grpc
import structlog
import tensorflow as tf

_log = structlog.get_logger("modelserver.errors")

# What the run of a graph raises: of a message that is no UTF-8, TensorFlow's Python can't make an error of its own.
RUN_ERRORS = (tf.errors.OpError, UnicodeDecodeError)
_CODE = {code.value[0]: code for code in grpc.StatusCode}
# TensorFlow Serving cuts a message so that it fits into the headers it travels in.
_MAX_MESSAGE_BYTES = 1024
_CUT_MARK = "...TRUNCATED"


class ServingError(Exception):
    """A status for the caller."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Takes the code and the whole message."""
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def of(cls, error: tf.errors.OpError | UnicodeDecodeError) -> "ServingError":
        """The same status as TensorFlow's; the codes are one to one. Of a message that is no UTF-8 the code is lost; it shows what was sent."""
        if isinstance(error, UnicodeDecodeError):
            return cls(grpc.StatusCode.INVALID_ARGUMENT, error.object.decode(errors="replace"))
        return cls(_CODE.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)


def invalid_argument(message: str) -> ServingError:
    """INVALID_ARGUMENT."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> ServingError:
    """NOT_FOUND."""
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def status_of(error: Exception) -> ServingError:
    """The status of what was raised while a call was answered.

    Of what nobody foresaw, neither the caller nor the log gets the text: it may hold what was sent.
    """
    if isinstance(error, ServingError):
        return error
    if isinstance(error, MemoryError):
        return ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "there is not enough memory for this request")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("a call failed inside the server", kind=type(error).__name__, where=f"{frame.filename}:{frame.lineno}")
    return ServingError(grpc.StatusCode.INTERNAL, "the model server failed; its log says where")


def cut(message: str) -> str:
    """The message as it goes on the wire."""
    encoded = message.encode()
    if len(encoded) <= _MAX_MESSAGE_BYTES:
        return message
    return encoded[:_MAX_MESSAGE_BYTES].decode(errors="ignore") + _CUT_MARK
