"""PNG and JPEG to pixels.

The header is read first and bounded; only then is a pixel decoded. What Pillow says of a damaged file never leaves here: its messages
quote the file.
"""

import warnings
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gateway.errors import ImageUndecodable, InternalError, MedserveError, TooManyElements
from gateway.item import EncodedImage
from gateway.manifest import ImageInput, InputSpec
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.preprocess.pixels import to_bytes_range, to_tensor
from gateway.tensor import Tensor

# Told apart by content: a name or a media type says what someone believed.
_FORMATS = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}

# Pillow warns of odd EXIF data and of images that its own limit finds large; ours is held against the header below.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")


def prepare(spec: InputSpec, encoded: EncodedImage, limits: InputLimits) -> Tensor:
    """The image's pixels in the manifest's colour space, [rows, columns, channels] from 0 to 255.

    Raises ImageUndecodable, TooManyElements or ShapeMismatch.
    """
    if not isinstance(spec.medium, ImageInput):
        message = "an image is only prepared for an image input"
        raise InternalError(message)
    field = f'inputs["{spec.name}"].image.content'
    form = next((form for magic, form in _FORMATS.items() if encoded.content.startswith(magic)), None)
    if form is None:
        message = "the bytes are neither PNG nor JPEG: send one of these"
        raise ImageUndecodable(message, field=field)
    try:
        pixels = _decode(encoded.content, form, limits, field)
    except MedserveError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        message = f"declares too many pixels: at most {limits.max_pixels} are taken, so send a smaller image"
        raise TooManyElements(message, field=field) from None
    except Exception:  # noqa: BLE001 - Pillow raises OSError, SyntaxError, ValueError, struct.error, zlib.error, and others yet
        message = f"the {form} can't be decoded: it is damaged or cut short, so export and send it again"
        raise ImageUndecodable(message, field=field) from None
    return to_tensor(pixels, spec, spec.medium, field=field)


def _decode(content: bytes, form: str, limits: InputLimits, field: str) -> NDArray[np.uint8]:
    """uint8 [rows, columns] or [rows, columns, 3]."""
    with Image.open(BytesIO(content), formats=[form]) as opened:
        require_at_most(limits.max_pixels, opened.size, unit="pixels", field=field)
        if form == "PNG" and getattr(opened, "is_animated", False):
            # Which of the frames is meant, nobody said. (Behind a JPEG there may be previews of it: the first frame is the image.)
            message = "the PNG is an animation: send one still image"
            raise ImageUndecodable(message, field=field)
        opened.load()
        # A camera stores what its sensor saw and notes in EXIF how it was held. A person sees the image upright, so does the model.
        image = ImageOps.exif_transpose(opened)
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        # Pillow's convert("L") clips 16-bit greys at 255, which turns most of a radiograph white.
        return to_bytes_range(np.asarray(image).astype(np.uint16), 65535)
    if image.has_transparency_data:
        # What is see-through has no colour of its own. Black is what surrounds a medical image.
        coloured = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", coloured.size, (0, 0, 0, 255)), coloured).convert("RGB")
    return np.asarray(image if image.mode in {"L", "RGB"} else image.convert("L" if image.mode in {"1", "LA"} else "RGB"))
