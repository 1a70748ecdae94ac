"""What only a process of its own can show: how much memory a bomb takes, and what is written where nobody looks."""

import subprocess
import sys
from textwrap import dedent

import pytest

_COMMON = """
    import io, logging, pathlib, resource, struct, sys, zlib
    import numpy as np
    import pydicom
    from pydicom.data import get_testdata_file
    from gateway.item import DeclaredTensor, DicomObject, EncodedImage, Item
    from gateway.errors import MedserveError
    from gateway.manifest import ColorSpace, ImageInput, InputSpec, Manifest, OutputSpec
    from gateway.preprocess import InputLimits, Preprocessor, dicom
    from gateway.tensor import DType

    SPEC = InputSpec(name="x", dtype=DType.UINT8, shape=(-1, -1, 1), medium=ImageInput(color_space=ColorSpace.MONOCHROME))
    MANIFEST = Manifest(name="m", version=1, signature_name="s", inputs={"x": SPEC}, weights_digest="d",
                        outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))})
    PREPROCESSOR = Preprocessor(InputLimits(max_elements=1_000_000, max_pixels=1_000_000))
    def shipped(name):
        return pathlib.Path(get_testdata_file(name, download=False)).read_bytes()
    def outcome(value):
        try:
            PREPROCESSOR.prepare(MANIFEST, Item(inputs={"x": value}))
        except MedserveError as error:
            return error.reason
        return "OK"
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", dedent(_COMMON) + dedent(script)], capture_output=True, text=True, check=False, timeout=250
    )


# Each of these would take between 250 MB and 10 GB if something believed it.
_BOMBS = {
    "png": """
        head = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
        data = b"IDAT" + zlib.compress(bytes(1000))
        chunks = [(head, 13), (data, len(data) - 4)]
        png = b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(struct.pack(">I", n) + c + struct.pack(">I", zlib.crc32(c)) for c, n in chunks)
        BOMB, EXPECTED = EncodedImage(content=png), "TOO_MANY_ELEMENTS"
    """,
    "deflated": """
        whole, squeeze = shipped("image_dfl.dcm"), zlib.compressobj(9, zlib.DEFLATED, -15)
        start = whole.index(b"1.2.840.10008.1.2.1.99") + 22
        group = 144 + struct.unpack_from("<I", whole, 140)[0]
        body = squeeze.compress(bytes(400_000_000)) + squeeze.flush()
        BOMB, EXPECTED = DicomObject(content=whole[:group] + body), "TOO_MANY_ELEMENTS"
    """,
    "native": """
        data = pydicom.dcmread(io.BytesIO(shipped("MR_small.dcm")))
        data.Rows = data.Columns = 60_000
        file = io.BytesIO(); data.save_as(file)
        BOMB, EXPECTED = DicomObject(content=file.getvalue()), "TOO_MANY_ELEMENTS"
    """,
    "jpeg_2000": """
        content = shipped("MR_small_jp2klossless.dcm")
        at = content.index(b"\\xff\\x4f\\xff\\x51") + 8
        BOMB, EXPECTED = DicomObject(content=content[:at] + struct.pack(">II", 12_000, 12_000) + content[at + 8:]), "DICOM_UNREADABLE"
    """,
    "jpeg_ls": """
        content = shipped("MR_small_jpeg_ls_lossless.dcm")
        at = content.index(b"\\xff\\xf7") + 5
        BOMB, EXPECTED = DicomObject(content=content[:at] + b"\\xff\\xff\\xff\\xff" + content[at + 4:]), "DICOM_UNREADABLE"
    """,
    "tensor": """
        BOMB, EXPECTED = DeclaredTensor(dtype=DType.UINT8, shape=(10**9, 10, 1), content=b""), "TOO_MANY_ELEMENTS"
    """,
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_bomb_is_refused_before_it_goes_off(bomb: str) -> None:
    measured = """
        outcome(DicomObject(content=shipped("MR_small_jp2klossless.dcm")))  # whatever is loaded on first use
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert outcome(BOMB) == EXPECTED, outcome(BOMB)
        # Kilobytes on Linux. An inflated header may take 18 MB, and twice that while it grows.
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """

    result = _run(dedent(_BOMBS[bomb]) + dedent(measured))

    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 64


def test_nothing_of_an_object_reaches_stderr_or_a_log() -> None:
    script = """
        caught = io.StringIO()
        logging.basicConfig(stream=caught, level=logging.DEBUG)
        outcomes = []
        for name in ("MR_small.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm"):
            whole = shipped(name)
            # Values that break their VR, in elements that are read and in those that aren't.
            broken = {
                b"CompressedSamples": b"Doe^Jane\\xff\\xfe\\x00\\x01Jane",
                b"MR\\x08\\x00": b"Jane",
                b"1.2.840.10008.5.1.4": b"Jane-1.10008.5.1.4",
            }
            outcomes += [outcome(DicomObject(content=whole.replace(old, new))) for old, new in broken.items()]
            for end in range(400, len(whole), 401):
                outcomes.append(outcome(DicomObject(content=whole[:end] + b"Doe^Jane" * 9 + whole[end + 72:])))
        assert outcomes.count("OK") > 10 and outcomes.count("DICOM_UNREADABLE") > 10, outcomes
        text = caught.getvalue()
        assert "pydicom" not in text and "Jane" not in text, text
    """

    result = _run(script)

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout == ""


def test_a_gateway_without_dicom_loads_no_dicom_library() -> None:
    script = """
        import sys
        from gateway import postprocess, preprocess
        loaded = {"pydicom", "jpeg_ls", "grpc", "google.protobuf", "tensorflow"} & set(sys.modules)
        assert not loaded, loaded
    """

    result = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=False, timeout=250)

    assert result.returncode == 0, result.stderr
