"""PNG and JPEG images."""

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gateway.call import EncodedImage
from gateway.errors import ImageUndecodable
from gateway.manifest import ImageInput, InputSpec
from gateway.preprocess.bounds import InputLimits, check_pixels
from gateway.preprocess.pixels import tensor_of_pixels, to_uint8
from gateway.tensor import Tensor

# Our own bound is checked on the header; Pillow's would warn, or be a second and different one.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of damage that it reads over; a warning may quote a value of the file, and the decoded image says what came.
warnings.filterwarnings("ignore", module=r"PIL\.")

_FORMATS = ("PNG", "JPEG")
_SIXTEEN_BIT = frozenset({"I;16", "I;16B", "I;16L", "I"})


def prepare_image(spec: InputSpec, medium: ImageInput, image: EncodedImage, limits: InputLimits, field: str) -> Tensor:
    """Decodes a PNG or JPEG into the manifest's pixels.

    16-bit greys are scaled by the range of their type, so that no value is cut off. Transparency is laid on black. An animated PNG gives its first
    image. A JPEG's EXIF orientation is applied: a camera that was held upright stores the image lying down.

    Raises:
        ImageUndecodable: it is damaged, cut short, or of another format.
        TooManyElements, ShapeMismatch.
    """
    field = f"{field}.image.content"
    try:
        with Image.open(io.BytesIO(image.content), formats=_FORMATS) as opened:
            check_pixels(opened.width * opened.height * len(opened.getbands()), limits, field)
            pixels = _decode(opened)
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, ZeroDivisionError, MemoryError, OverflowError):
        # What Pillow raises for damaged files, by its own decoders; its text may quote the file.
        message = "the image can't be decoded: send a whole PNG or JPEG file"
        raise ImageUndecodable(message, field=field) from None
    return tensor_of_pixels(spec, medium, pixels, field)


def _decode(opened: Image.Image) -> NDArray[np.uint8]:
    opened.load()
    image = ImageOps.exif_transpose(opened)
    if image.mode in _SIXTEEN_BIT:
        return to_uint8(np.asarray(image), 0, 65535)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        flat = Image.alpha_composite(black, rgba)
        return np.asarray(flat.convert("L" if image.mode in {"LA", "L"} else "RGB"))
    return np.asarray(image.convert("L" if image.mode in {"1", "L"} else "RGB"))
