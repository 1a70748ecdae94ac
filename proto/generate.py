"""Regenerates everything that is made from `proto/`: Python modules, their types, and the image that the breaking check compares with.

    python proto/generate.py           # rewrite
    python proto/generate.py --check   # fail where a rewrite would change anything

The Python goes to `medserve/v1` and `tfserving/v1`, which hold nothing else but `__init__.py`.
"""

import argparse
import filecmp
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGES = ("medserve/v1", "tfserving/v1")
IMAGE = "proto/baseline.binpb"
INIT = '"""Generated from proto/{package}: `make gen`."""\n'


def generate(out: Path) -> list[Path]:
    """Writes all generated files under `out` and returns their paths relative to it."""
    bin_dir = Path(sys.executable).parent
    sources = [str(p.relative_to(PROTO)) for package in PACKAGES for p in sorted((PROTO / package).glob("*.proto"))]
    subprocess.run(  # noqa: S603 - fixed arguments
        [
            sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={bin_dir / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={bin_dir / 'protoc-gen-mypy_grpc'}",
            f"--python_out={out}", f"--grpc_python_out={out}", f"--mypy_out={out}", f"--mypy_grpc_out={out}", *sources,
        ],
        check=True,
    )  # fmt: skip
    for package in PACKAGES:
        (out / package / "__init__.py").write_text(INIT.format(package=package))
        # A file without services yields stubs that hold nothing, and the stubs of `tfserving` would call by the wrong name
        # (on the wire the services are `tensorflow.serving`'s): leave both out.
        for source in (PROTO / package).glob("*.proto"):
            if "\nservice " not in source.read_text() or package.startswith("tfserving"):
                for ending in (".py", ".pyi"):
                    (out / package / f"{source.stem}_pb2_grpc{ending}").unlink(missing_ok=True)
    return sorted(p.relative_to(out) for package in PACKAGES for p in (out / package).rglob("*") if p.is_file())


def check_breaking() -> None:
    """Refuses a change that would break a caller who was built against the committed image."""
    buf = Path(sys.executable).parent / "buf"
    subprocess.run([buf, "breaking", ROOT, "--against", ROOT / IMAGE], check=True, cwd=ROOT)  # noqa: S603


def write_image(path: Path) -> None:
    """Writes what `proto/` means, without comments, as one `buf` image."""
    buf = Path(sys.executable).parent / "buf"
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([buf, "build", ROOT, "--exclude-source-info", "-o", path], check=True, cwd=ROOT)  # noqa: S603


def main() -> int:
    """Runs the command; returns the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 where anything is out of date")
    arguments = parser.parse_args()
    if (ROOT / IMAGE).exists():
        check_breaking()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        made = generate(fresh)
        write_image(fresh / IMAGE)
        made.append(Path(IMAGE))
        present = {p.relative_to(ROOT) for package in PACKAGES for p in (ROOT / package).rglob("*") if p.is_file() and p.suffix in {".py", ".pyi"}}
        stale = sorted(present - set(made))
        changed = [p for p in made if not (ROOT / p).exists() or not filecmp.cmp(fresh / p, ROOT / p, shallow=False)]
        if arguments.check:
            for path in (*changed, *stale):
                print(f"out of date: {path} (run `make gen`)")
            return 1 if changed or stale else 0
        for path in stale:
            (ROOT / path).unlink()
        for path in changed:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes((fresh / path).read_bytes())
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{Path(str(error.cmd[0])).name} failed with exit status {error.returncode}")
