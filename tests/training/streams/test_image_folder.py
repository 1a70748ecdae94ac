"""Folders of images: decoded as the gateway does, classed by folder or table, and what is bad is named."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.item import EncodedImage, Item
from gateway.manifest import ColorSpace, ImageInput, InputSpec, Manifest, OutputSpec
from gateway.preprocess import InputLimits, Preprocessor
from gateway.tensor import DType
from training.quality.fault import Fault, Reason
from training.streams.columns import Part
from training.streams.csv_files import CsvFiles
from training.streams.image_folder import ImageFolder
from training.streams.labels import ByFolder, ByTable
from training.streams.source import names_of, passed_over

RANDOM = np.random.default_rng(0)


def save(path: Path, pixels: NDArray[Any] | Image.Image, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def grey(rows: int = 6, columns: int = 5) -> NDArray[np.uint8]:
    return RANDOM.integers(0, 256, (rows, columns), dtype=np.uint8)


def as_the_gateway_reads_it(content: bytes, shape: tuple[int, int, int]) -> NDArray[Any]:
    medium = ImageInput(color_space=ColorSpace.RGB if shape[2] == 3 else ColorSpace.MONOCHROME)
    spec = InputSpec(name="x", dtype=DType.UINT8, shape=shape, medium=medium)
    manifest = Manifest(
        name="m", version=1, signature_name="serving_default", weights_digest="sha256:0", inputs={"x": spec},
        outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
    )  # fmt: skip
    tensor = (
        Preprocessor(InputLimits(max_elements=10_000, max_pixels=10_000))
        .prepare(manifest, Item(inputs={"x": EncodedImage(content=content)}))
        .tensors["x"]
    )
    return np.frombuffer(tensor.content, np.uint8).reshape(shape)


def turned() -> Image.Image:
    image = Image.fromarray(grey(5, 6))
    image.getexif()[0x0112] = 6  # it was held upright
    return image


IMAGES = {
    "grey.png": lambda: Image.fromarray(grey()),
    "16 bits.png": lambda: Image.fromarray(RANDOM.integers(0, 65536, (6, 5), dtype=np.uint16)),
    "colour.png": lambda: Image.fromarray(RANDOM.integers(0, 256, (6, 5, 3), dtype=np.uint8)),
    "see-through.png": lambda: Image.fromarray(RANDOM.integers(0, 256, (6, 5, 4), dtype=np.uint8)),
    "palette.png": lambda: Image.fromarray(RANDOM.integers(0, 256, (6, 5, 3), dtype=np.uint8)).quantize(8),
    "two levels.png": lambda: Image.fromarray(grey()).convert("1"),
    "grey.jpg": lambda: Image.fromarray(grey()),
    "colour.jpeg": lambda: Image.fromarray(RANDOM.integers(0, 256, (6, 5, 3), dtype=np.uint8)),
    "turned.jpg": turned,
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_read_as_the_gateway_reads_it(read: Any, tmp_path: Path, name: str, channels: int) -> None:
    image = IMAGES[name]()
    save(tmp_path / name, image, exif=image.getexif())

    items, faults = read(ImageFolder(root=tmp_path, shape=(6, 5, channels)))

    assert not faults
    assert items["file"] == [name]
    np.testing.assert_array_equal(items["image"][0], as_the_gateway_reads_it((tmp_path / name).read_bytes(), (6, 5, channels)))


def test_an_images_class_is_its_folder(read: Any, tmp_path: Path) -> None:
    for name in ("normal/1.png", "cancer/left/1.PNG", "cancer/2.JpG", "other/1.png", "1.png", ".hidden/1.png"):
        save(tmp_path / name, grey())

    items, faults = read(ImageFolder(root=tmp_path, shape=(6, 5, 1), labels=ByFolder(classes=("normal", "cancer"))))

    assert dict(zip(items["file"], items["label"], strict=True)) == {"cancer/2.JpG": 1, "cancer/left/1.PNG": 1, "normal/1.png": 0}
    assert faults == ["1.png: unknown category", "other/1.png: unknown category"]


def test_an_images_class_stands_in_a_table(read: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in ("1.png", "2.png", "3.png", "4.png", "5.png", "study/1.png", "study/2.png"):
        save(tmp_path / name, grey())
    table = tmp_path_factory.mktemp("table") / "labels.csv"
    table.write_text(
        "name,finding\n1.png,cancer\n2.png,normal\n3.png,cancer\n3.png,normal\n4.png,Meier\ngone.png,normal\nstudy,cancer\n2.png,normal\n"
    )
    labels = ByTable(table=table, file_column="name", label_column="finding", classes=("normal", "cancer"))

    items, faults = read(ImageFolder(root=tmp_path, shape=(6, 5, 1), labels=labels))

    assert dict(zip(items["file"], items["label"], strict=True)) == {"1.png": 1, "2.png": 0, "study/1.png": 1, "study/2.png": 1}
    assert faults == [
        "labels.csv, record 5, finding: unknown category",
        "3.png, finding: conflicting label",
        "4.png, finding: missing",
        "5.png, finding: missing",
        "labels.csv, record 6, name: no such file",
    ]


def test_what_is_no_image_is_counted_by_suffix_and_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.tif", "b.TIF", "c.bmp", "README", ".hidden.gif", ".hidden/1.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / "again.png").symlink_to(tmp_path / "a" / "1.png")
    images = ImageFolder(root=tmp_path, shape=(6, 5, 1))

    assert names_of(tmp_path, *images.patterns) == ("a/1.png", "again.png")
    assert passed_over([images]) == {".tif": 2, ".bmp": 1, "without a suffix": 1, "a folder that is a link": 1}
    assert passed_over([images, CsvFiles(root=tmp_path, parts=(Part(name="a", columns="a"),), pattern="*.tif")])[".tif"] == 0
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"gone.png: a link to what isn't there"):
        images.shards()


def test_bad_files_are_named_and_the_others_are_read(read: Any, tmp_path: Path) -> None:
    for name in ("cut.png", "cut.jpg", "good.png"):
        save(tmp_path / name, grey(60, 50))
    for name in ("cut.png", "cut.jpg"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"Meier")
    (tmp_path / "header.png").write_bytes((tmp_path / "good.png").read_bytes()[:20])
    save(tmp_path / "lying.png", grey(50, 60))
    save(tmp_path / "small.png", grey())
    frames = [Image.fromarray(grey(60, 50)) for _ in range(2)]
    save(tmp_path / "moving.png", frames[0], save_all=True, append_images=frames[1:])

    items, faults = read(ImageFolder(root=tmp_path, shape=(60, 50, 1), shard_files=3))

    assert items["file"] == ["good.png"]
    assert faults == [
        "cut.jpg: cut short or damaged",
        "cut.png: cut short or damaged",
        "empty.png: empty file",
        "header.png: cut short or damaged",
        "lying.png: wrong size",
        "moving.png: not supported",
        "small.png: wrong size",
        "text.png: cut short or damaged",
    ]


def test_images_of_any_size_come_one_by_one_and_not_too_large(tmp_path: Path) -> None:
    save(tmp_path / "1.png", grey(3, 4))
    save(tmp_path / "2.png", grey(30, 40))
    save(tmp_path / "3.png", grey(5, 2))
    source = ImageFolder(root=tmp_path, shape=(None, None, 1), max_pixels=100)

    blocks = list(source.read(source.shards()[0]))

    assert [block if isinstance(block, Fault) else block["image"].shape for block in blocks] == [
        (1, 3, 4, 1), Fault(file="2.png", reason=Reason.TOO_LARGE), (1, 5, 2, 1),
    ]  # fmt: skip


def test_files_before_the_start_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"damaged")
    save(tmp_path / "2.png", grey())
    source = ImageFolder(root=tmp_path, shape=(6, 5, 1))

    blocks = list(source.read(source.shards()[0], 1))

    assert [block["file"].tolist() for block in blocks if not isinstance(block, Fault)] == [["2.png"]]
    assert len(blocks) == 1


def test_a_changed_table_of_classes_makes_another_set(tmp_path: Path) -> None:
    save(tmp_path / "1.png", grey())
    table = tmp_path / "labels.csv"
    table.write_text("name,finding\n1.png,a\n")

    def identity() -> str:
        return ImageFolder(
            root=tmp_path, shape=(6, 5, 1), labels=ByTable(table=table, file_column="name", label_column="finding", classes=("a", "b"))
        ).identity()

    before = identity()
    assert identity() == before
    table.write_text("name,finding\n1.png,b and more\n")
    assert identity() != before


def test_a_folder_without_images_is_named(read: Any, tmp_path: Path) -> None:
    (tmp_path / "read me.txt").write_text("no image")

    assert read(ImageFolder(root=tmp_path, shape=(6, 5, 1), labels=ByFolder(classes=("a",))))[1] == [f"{tmp_path.name}: folder without files"]


@pytest.mark.parametrize("shape", [(6, 5, 2), (6, None, 1), (0, 5, 1)])
def test_a_shape_that_is_none_is_refused(tmp_path: Path, shape: Any) -> None:
    with pytest.raises(ValueError, match="shape"):
        ImageFolder(root=tmp_path, shape=shape)


@pytest.mark.parametrize("classes", [(), ("a", "a"), ("",)])
def test_classes_are_each_named_once(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="classes"):
        ByFolder(classes=classes)


def test_a_png_is_what_its_bytes_say(read: Any, tmp_path: Path) -> None:
    content = BytesIO()
    Image.fromarray(grey()).save(content, "JPEG")
    (tmp_path / "really a jpeg.png").write_bytes(content.getvalue())

    assert len(read(ImageFolder(root=tmp_path, shape=(6, 5, 1)))[0]["image"]) == 1
