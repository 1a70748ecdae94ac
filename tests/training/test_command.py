import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.repository import read_version
from training import __main__, jobs, publish
from training.jobs import JOBS
from training.quality.split import Leak

COMMANDS = "'list', 'run', 'evaluate', 'report', 'publish', 'search', 'drift', 'table', 'samples'"
TRIAL = ("--epochs", "1", "--limit", "100")


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str]]]:
    """Runs a command in this process; its exit status and its standard error."""
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
        return __main__.main(), capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, before)


def test_list_names_every_job_with_a_sentence(command: Any) -> None:
    done = command("list")

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == list(JOBS)
    assert all(line.endswith(".") for line in done.stdout.splitlines())


def test_reading_the_command_line_takes_no_tensorflow() -> None:
    code = "import sys, training.__main__ as m; sys.argv[1:] = ['list']; m.main(); sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_run_tells_how_it_goes_publishes_and_says_nothing_else(command: Any, tmp_path: Path) -> None:
    done = command("run", "digits", "--repository", tmp_path, *TRIAL, "--floor", "0")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1] == f"digits: 100 items of MNIST, 5,000 images to train on, 100 to validate, 100 held out; on {lines[1].split('; on ')[1]}"
    assert any(line.startswith("digits: epoch 1/1  loss ") for line in lines)
    assert any(line.startswith("digits: held-out accuracy ") for line in lines)
    assert lines[-1].startswith(f"digits: published a TRIAL as version 1 in {tmp_path}/digits/1 after ")
    assert read_version(tmp_path / "digits" / "1").manifest.version == 1


def test_run_on_a_full_disk_says_so_and_leaves_nothing_half_written(command: Any, tmp_path: Path) -> None:
    def small_files() -> None:
        # A limit on the size of a file refuses the write as a full disk does; Python ignores the signal that comes with it.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = command("run", "digits", "--repository", tmp_path, *TRIAL, "--floor", "0", preexec_fn=small_files)

    assert done.returncode == 2
    assert re.fullmatch(r"python -m training: .*File too large; give a folder that can be written to and has room\n", done.stderr)
    assert sorted(path.name for path in (tmp_path / "digits").iterdir()) == [".checkpoints", ".last_report.html", ".publish.lock", ".run.lock"]
    assert not list((tmp_path / "digits" / ".checkpoints").rglob("*.*"))
    assert "came to no result: File too large" in (tmp_path / "digits" / ".last_report.html").read_text()


def test_ctrl_c_ends_a_run_with_a_word_and_publishes_nothing(tmp_path: Path) -> None:
    arguments = ["run", "digits", "--repository", str(tmp_path), "--limit", "100", "--epochs", "100000"]
    with subprocess.Popen([sys.executable, "-m", "training", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "epoch" in line:
                break

        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=250)

    assert (process.returncode, errors) == (130, "python -m training: interrupted\n")
    assert publish.versions(tmp_path, "digits") == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "the following arguments are required: command"),
        (
            ("train",),
            f"argument command: invalid choice: 'train' (choose from {COMMANDS})",
        ),
        (("run", "mri", "--repository", "R"), f"argument job: invalid choice: 'mri' (choose from {', '.join(map(repr, JOBS))})"),
        (("run", "digits"), "the following arguments are required: --repository"),
        (("run", "digits", "--repository", "R", "--epochs", "0"), "argument --epochs: 0 is too few: give 1 or more"),
        (("run", "digits", "--repository", "R", "--epochs", "-3"), "argument --epochs: -3 is too few: give 1 or more"),
        (("run", "digits", "--repository", "R", "--epochs", "ten"), "argument --epochs: 'ten': give a whole number"),
        (("run", "digits", "--repository", "R", "--limit", "0"), "argument --limit: 0 is too few: give 2 or more"),
        (("run", "digits", "--repository", "R", "--limit", "1"), "argument --limit: 1 is too few: give 2 or more"),
        (("run", "digits", "--repository", "R", "--floor", "-1"), "argument --floor: -1 is no floor: give a number from 0 on"),
        (("run", "digits", "--repository", "R", "--floor", "nan"), "argument --floor: nan is no floor: give a number from 0 on"),
        (("run", "digits", "--repository", "R", "--floor", "low"), "argument --floor: low is no floor: give a number from 0 on"),
        (("run", "digits", "--repository", "R", "--stable", "1", "--no-stable"), "argument --no-stable: not allowed with argument --stable"),
        (("samples", "digits"), "the following arguments are required: --out"),
        (("samples", "digits", "--out", "R", "--count", "0"), "argument --count: 0 is too few: give 1 or more"),
    ],
)
def test_a_command_that_cant_be_meant_is_refused_with_a_word_on_each_argument(
    main: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(*(str(tmp_path / "R") if argument == "R" else argument for argument in arguments))

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.splitlines()[-1].endswith(f"error: {why}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("run", "digits", "--repository"), ("samples", "digits", "--out")])
@pytest.mark.parametrize(
    "folder",
    [
        pytest.param("FILE", id="a file"),
        pytest.param("FILE/below", id="below a file"),
        # Not even its administrator may make a folder there.
        pytest.param("/sys/medserve", id="no permission"),
    ],
)
def test_a_folder_that_cant_be_written_to_is_refused_at_once(main: Any, tmp_path: Path, arguments: tuple[str, ...], folder: str) -> None:
    (tmp_path / "file").touch()

    ended, said = main(*arguments, folder.replace("FILE", str(tmp_path / "file")))

    assert ended == 2
    assert re.fullmatch(r"python -m training: [A-Z][a-z -]+: /.*; give a folder that can be written to and has room\n", said)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("weight of 69.5 kg"), 70, r"ValueError at training/__main__.py:\d+; `python -m training --traceback …` shows all of it, .*"),
        (Leak("3 patients are in two parts"), 2, "3 patients are in two parts"),
        (FileNotFoundError(2, "No such file or directory", "/data/table.csv"), 2, "No such file.*: /data/table.csv; give a file that can be read"),
        (PermissionError(13, "Permission denied", "OUT/1.png"), 2, "Permission denied: .*; give a folder that can be written to and has room"),
    ],
)
def test_what_ends_a_command_is_told_in_a_line_without_what_a_patient_has(
    main: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, error: Exception, status: int, words: str
) -> None:
    if isinstance(error, OSError):
        error.filename = error.filename.replace("OUT", str(tmp_path))

    def load() -> Any:
        raise error

    monkeypatch.setattr(jobs, "JOBS", {"digits": replace(JOBS["digits"], load=load)})

    ended, said = main("samples", "digits", "--out", tmp_path)

    assert ended == status
    assert re.fullmatch(f"python -m training: {words}\n", said)
    with pytest.raises(type(error)):
        main("--traceback", "samples", "digits", "--out", tmp_path)


def test_a_job_whose_declaration_fails_is_told_by_its_place_alone(main: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        raise ValueError("weight of 69.5 kg")

    monkeypatch.setattr(__main__, "_jobs", fail)

    ended, said = main("list")

    assert ended == 70
    assert re.fullmatch(r"python -m training: ValueError at training/__main__.py:\d+; `python -m training --traceback …` shows all of it, .*\n", said)
    with pytest.raises(ValueError, match="69"):
        main("--traceback", "list")


def test_a_run_that_publishes_nothing_ends_with_1(main: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(__main__, "run", lambda *_, **__: False)

    assert main("run", "digits", "--repository", tmp_path) == (1, "")


def test_the_table_of_no_repository_is_refused(main: Any, tmp_path: Path) -> None:
    assert main("table", "--repository", tmp_path / "none") == (2, f"python -m training: {tmp_path}/none: there is no such repository\n")


def test_samples_writes_held_out_items_spread_over_the_labels(command: Any, tmp_path: Path) -> None:
    done = command("samples", "digits", "--out", tmp_path / "new", "--count", "12")

    assert (done.returncode, done.stderr) == (0, "")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert all(re.fullmatch(r"\d{4}-label-\d\.png", name) for name in names)
    assert sorted(name[-5] for name in names) == sorted("0123456789" + "01")
    assert done.stdout.splitlines()[0].startswith(f"wrote {tmp_path}/new/")


def test_samples_of_a_rare_label_end_before_the_others(command: Any, tmp_path: Path) -> None:
    done = command("samples", "ecg-lstm", "--out", tmp_path, "--count", "200")

    labels = [path.stem[-1] for path in tmp_path.iterdir()]
    assert done.returncode == 0
    # 22 beats of class 5 are held out; the other classes share what is left.
    assert {label: labels.count(label) for label in "12345"} == {"1": 45, "2": 45, "3": 44, "4": 44, "5": 22}
