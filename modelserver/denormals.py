"""Numbers too small for their type's full precision are taken for zero, as TensorFlow's own threads do.

TensorFlow sets that in the threads that it makes for operations (tensorflow/core/platform/denormal.h), and TensorFlow Serving runs requests on those.
Here one runs on the thread of its call, which would compute with such numbers: that isn't what TensorFlow answers, and twenty times slower.
A thread has it from the one that makes it.
"""

import ctypes
import ctypes.util
import platform
from collections.abc import Mapping

# By machine: which 32-bit word of the C library's fenv_t it is, and its bits: of MXCSR flush-to-zero and denormals-are-zero, of FPCR flush-to-zero.
_PLACES: Mapping[str, tuple[int, int]] = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
# It is 32 bytes on the one and 8 on the other.
_WORDS = 64


def flush_denormals() -> bool:
    """Sets it for this thread and those that it makes from now on; False on a system where we don't know how."""
    name = ctypes.util.find_library("m")
    if platform.system() != "Linux" or platform.machine() not in _PLACES or name is None:
        return False
    library, environment = ctypes.CDLL(name), (ctypes.c_uint32 * _WORDS)()
    word, bits = _PLACES[platform.machine()]
    if library.fegetenv(environment):
        return False
    environment[word] |= bits
    return not library.fesetenv(environment)
