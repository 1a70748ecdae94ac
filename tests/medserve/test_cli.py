"""The command as a process: what it prints, for people and for programs, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.medserve.conftest import Stack

Medserve = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    file = tmp_path / "digit.npy"
    np.save(file, np.zeros((28, 28, 1), dtype=np.uint8))
    return file


@pytest.fixture
def vector(tmp_path: Path) -> Path:
    file = tmp_path / "vector.npy"
    np.save(file, np.arange(3.0))
    return file


def rows(text: str) -> list[list[str]]:
    """The lines of a table, by cells; two spaces stand between two of them."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_models_lists_what_the_key_allows(stack: "Stack", medserve: Medserve) -> None:
    done = medserve("models", environment=stack.environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout)[:3] == [
        ["MODEL", "STATE", "VERSIONS", "LABELS", "INPUTS", "WHAT IT IS"],
        ["asleep", "not ready", "1", "x"],
        ["digits", "ready", "1", "approved: 1, stable: 1", "images", "Handwritten digits"],
    ]


def test_models_shows_one_in_full(stack: "Stack", medserve: Medserve) -> None:
    done = medserve("models", "digits", environment=stack.environment | {"COLUMNS": "120"})

    assert done.returncode == 0
    for said in (
        "Handwritten digits, ready", "Not for: anything clinical", "no patient's care", "accuracy 0.952 (0.938 to 0.963)", "2026-11-24",
        "approved, stable", "image, DICOM or tensor", "[any, any, 1]", "one of zero, one, two",
    ):  # fmt: skip
        assert said in done.stdout
    assert "a trial" not in done.stdout
    assert "available, a trial, the default" in medserve("models", "ecg", environment=stack.environment | {"COLUMNS": "120"}).stdout


def test_models_prints_the_answers_json_for_programs(stack: "Stack", medserve: Medserve) -> None:
    listed = json.loads(medserve("models", "--json", environment=stack.environment).stdout)
    shown = json.loads(medserve("--json", "models", "digits", environment=stack.environment).stdout)

    assert [model["name"] for model in listed["models"]] == ["asleep", "digits", "ecg", "echo", "pair", "rare"]
    assert listed["models"][1] == shown
    assert (shown["ready"], shown["versionLabels"]) == (True, {"approved": "1", "stable": "1"})


def test_infer_prints_who_answered_what(stack: "Stack", medserve: Medserve, digit: Path) -> None:
    done = medserve("infer", "digits", "--input", digit, "--label", "stable", "--request-id", "r-1", environment=stack.environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["digits version 1 (stable)", "request r-1"]
    assert rows(done.stdout)[3:7] == [
        ["FINDING", "CODE", "PROBABILITY", "DECISION"],
        ["two", "2", "99.9700 %", "present"],
        ["one", "1", "0.0300 %", "absent"],
        ["zero", "0", "< 0.0001 %", "absent"],
    ]
    assert "Warning: This model is a technical demonstration" in done.stdout


def test_infer_prints_the_answers_json_for_programs(stack: "Stack", medserve: Medserve, digit: Path) -> None:
    done = medserve("infer", "digits", "--json", "--input", f"images={digit}", environment=stack.environment)

    answer = json.loads(done.stdout)
    assert (answer["servedBy"]["model"], answer["servedBy"]["version"]) == ("digits", "1")
    assert answer["findings"][0]["probability"] == pytest.approx(0.99969994)
    assert [finding["decision"] for finding in answer["findings"]] == ["DECISION_PRESENT", "DECISION_ABSENT", "DECISION_ABSENT"]


def test_infer_says_from_where_a_finding_is_called_present(stack: "Stack", medserve: Medserve, digit: Path) -> None:
    done = medserve("infer", "rare", "--input", digit, environment=stack.environment)

    assert rows(done.stdout)[3:6] == [
        ["FINDING", "CODE", "PROBABILITY", "PRESENT FROM", "DECISION"],
        ["common", "A", "75.00 %", "not decided"],
        ["rare", "B", "30.00 %", "25.00 %", "present"],
    ]


def test_infer_shows_outputs_that_are_no_findings_when_asked(stack: "Stack", medserve: Medserve, vector: Path) -> None:
    bare = medserve("infer", "echo", "--input", vector, environment=stack.environment)
    shown = medserve("infer", "echo", "--input", vector, "--raw-outputs", environment=stack.environment)

    assert "--raw-outputs shows them" in " ".join(bare.stdout.split())
    assert "Output y: FLOAT64 [3]\n" in "".join(line.rstrip() + "\n" for line in shown.stdout.splitlines())
    assert "[0. 1. 2.]" in shown.stdout


def test_infer_reads_a_time_series(stack: "Stack", medserve: Medserve, tmp_path: Path) -> None:
    file = tmp_path / "beat"
    file.write_text(json.dumps({"channels": [{"name": "II", "unit": "mV", "values": [0.1, 0.2, 0.3, 0.4]}], "sampling_frequency_hz": 250}))

    done = medserve("infer", "ecg", "--input", file, "--json", environment=stack.environment)

    assert json.loads(done.stdout)["findings"][0]["code"]["code"] == "V"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\x89PNG\r\n\x1a\n", "IMAGE_UNDECODABLE"), (b"\xff\xd8\xff", "IMAGE_UNDECODABLE"), (b"\x89PNG\r\n\x1a\n".ljust(128) + b"DICM", "DICOM_")],
)
def test_infer_tells_images_and_dicom_apart_by_content(stack: "Stack", medserve: Medserve, tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)

    done = medserve("infer", "digits", "--input", file, environment=stack.environment)

    assert done.returncode == 1
    assert done.stderr.startswith(f"medserve: {reason}")


def test_health_says_what_answers_now(stack: "Stack", medserve: Medserve) -> None:
    done = medserve("health", environment=stack.environment)

    assert done.returncode == 1
    assert rows(done.stdout)[:4] == [["WHAT", "NAME", "STATE"], ["gateway", "ready"], ["model", "asleep", "not ready"], ["model", "digits", "ready"]]


def test_health_of_one_model_is_an_exit_status(stack: "Stack", medserve: Medserve) -> None:
    ready = medserve("health", "digits", "--json", environment=stack.environment)
    asleep = medserve("health", "asleep", environment=stack.environment)

    assert (ready.returncode, json.loads(ready.stdout)) == (0, {"models": {"digits": "SERVING"}})
    assert asleep.returncode == 1


def test_health_needs_no_key(stack: "Stack", medserve: Medserve) -> None:
    done = medserve("health", "--json", environment=stack.environment | {"MEDSERVE_KEY_FILE": ""})

    assert (done.returncode, json.loads(done.stdout)) == (0, {"gateway": "SERVING", "models": {}})
    assert "no key" in done.stderr


def test_options_are_taken_before_and_after_the_command_and_go_over_the_environment(stack: "Stack", medserve: Medserve) -> None:
    elsewhere = {"MEDSERVE_TARGET": "localhost:1", "MEDSERVE_CA_FILE": "/absent", "MEDSERVE_KEY_FILE": "/absent"}

    done = medserve("--target", stack.target, "--ca-file", stack.ca_file, "models", "--key-file", stack.key_file, environment=elsewhere)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def asking(stack: "Stack", medserve: Medserve, digit: Path, vector: Path) -> tuple["Stack", Medserve, dict[str, Path]]:
    return stack, medserve, {"digit": digit, "vector": vector, "narrow": stack.narrow_key_file}


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (["models", "absent"], {}, ["MODEL_NOT_FOUND: ", "field: name", "what to do: `medserve models`", "request: "]),
        (["infer", "echo", "--input", "{digit}"], {}, ["DTYPE_MISMATCH: ", 'field: inputs["x"].tensor.data_type']),
        (["infer", "asleep", "--input", "{vector}"], {}, ["VERSION_NOT_READY: ", "try again: after 1 s"]),
        (["infer", "digits", "--input", "images={digit}", "--version", "9"], {}, ["VERSION_NOT_FOUND: "]),
        (["models"], {"MEDSERVE_KEY_FILE": ""}, ["CREDENTIALS_MISSING: ", "--key-file FILE"]),
        (["models"], {"MEDSERVE_KEY_FILE": "{narrow}"}, ["ACTION_NOT_ALLOWED: "]),
        (["models"], {"MEDSERVE_TARGET": "localhost:1"}, ["UNAVAILABLE: localhost:1 can't be reached", "--target HOST:PORT"]),
        (["models"], {"MEDSERVE_CA_FILE": ""}, ["UNAVAILABLE: ", "--ca-file FILE"]),
        (["health", "absent"], {}, ["NOT_FOUND: there is no model or service named absent"]),
    ],
)
def test_a_refusal_is_said_and_ends_with_1(
    asking: tuple["Stack", Medserve, dict[str, Path]], arguments: list[str], changes: dict[str, str], said: list[str]
) -> None:
    stack, medserve, names = asking
    environment = stack.environment | {name: value.format(**names) for name, value in changes.items()}

    done = medserve(*(argument.format(**names) for argument in arguments), environment=environment)

    assert (done.returncode, done.stdout) == (1, "")
    for part in said:
        assert part in done.stderr
    assert all(line.startswith(("medserve: ", "  ")) for line in done.stderr.splitlines())


def test_a_key_that_may_not_read_the_catalog_is_told_to_name_the_input(stack: "Stack", medserve: Medserve, digit: Path) -> None:
    environment = stack.environment | {"MEDSERVE_KEY_FILE": str(stack.narrow_key_file)}

    bare = medserve("infer", "digits", "--input", digit, environment=environment)
    named = medserve("infer", "digits", "--input", f"images={digit}", environment=environment)

    assert (bare.returncode, named.returncode) == (2, 0)
    assert "--input NAME=FILE" in bare.stderr


def test_a_refusal_is_json_for_programs(stack: "Stack", medserve: Medserve) -> None:
    done = medserve("models", "absent", "--json", environment=stack.environment)

    error = json.loads(done.stderr)["error"]
    assert (done.returncode, error["code"], error["reason"], error["field"]) == (1, "NOT_FOUND", "MODEL_NOT_FOUND", "name")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["diagnose"], "diagnose"),
        (["infer", "digits"], "--input"),
        (["infer", "digits", "--input", "absent.png"], "absent.png: No such file"),
        (["infer", "digits", "--input", "."], "Is a directory"),
        (["infer", "digits", "--input", "text"], "neither PNG, JPEG, DICOM"),
        (["infer", "digits", "--input", "cut.npy"], "not a numeric .npy array"),
        (["infer", "digits", "--input", "pickled.npy"], "not a numeric .npy array"),
        (["infer", "digits", "--input", "images=huge.npy"], "not a numeric .npy array"),
        (["infer", "digits", "--input", "images=complex.npy"], "dtype complex128"),
        (["infer", "digits", "--input", "series.json"], "`$.channels[0].unit`"),
        (["infer", "pair", "--input", "vector.npy"], "x, z: name each"),
        (["infer", "pair", "--input", "x=vector.npy", "--input", "vector.npy"], "x, z: name each"),
        (["infer", "echo", "--input", "x=vector.npy", "--input", "x=vector.npy"], "given twice"),
        (["infer", "echo", "--input", "x=vector.npy", "--label", "a", "--version", "1"], "not allowed with"),
        (["models", "--timeout-seconds", "0"], "above zero"),
        (["models", "--key-file", "text"], "chmod 600"),
        (["models", "--key-file", "words"], "not an API key"),
        (["models", "--key-file", "absent"], "absent: No such file"),
        (["models", "--ca-file", "text"], "not certificates in PEM"),
        (["keys", "list", "--file", "absent"], "absent: No such file"),
        (["keys", "list"], "--file"),
        (["keys", "revoke", "nobody", "--file", "keys"], "no key nobody"),
        (["keys", "create", "--file", "new", "--tenant", "t", "--model", ""], "tenant and models"),
        (["keys", "create", "--file", "new", "--tenant", "t", "--model", "m", "--expire-days", "1e300"], "above zero"),
        (["keys", "create", "--file", "new", "--tenant", "t", "--model", "m", "--expire-days", "nan"], "above zero"),
    ],
)
def test_wrong_usage_is_said_and_ends_with_2(stack: "Stack", medserve: Medserve, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "text").chmod(0o644)
    for name, text in (("words", "two words"), ("keys", '{"keys": []}')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "series.json").write_text('{"channels": [{"name": "II", "unit": 1, "values": []}]}')
    np.save(tmp_path / "vector.npy", np.arange(3.0))
    np.save(tmp_path / "complex.npy", np.zeros(3, dtype=complex))
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    whole = (tmp_path / "vector.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-1])
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(3,), }" + b" " * 16, b"(9999999999999999,), }" + b" "))

    done = medserve(*arguments, environment=stack.environment, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_defect_is_said_without_a_traceback(medserve: Medserve, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import medserve.keys\nmedserve.keys.read_keys = lambda path: 1 / 0\n")

    done = medserve("keys", "list", "--file", tmp_path / "keys", environment={"PYTHONPATH": str(tmp_path)})

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "medserve: a defect of medserve itself (ZeroDivisionError): tell whoever maintains it\n"


def test_ctrl_c_ends_with_130_and_no_word(stack: "Stack", vector: Path) -> None:
    stack.model_server.gate.clear()
    command = [sys.executable, "-m", "medserve", "infer", "echo", "--input", f"x={vector}"]

    with subprocess.Popen(command, env=os.environ | stack.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not stack.model_server.asked and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate()

    assert (process.returncode, out, error) == (130, "", "")


def test_a_reader_that_has_gone_is_no_error(stack: "Stack") -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "medserve", "models"], env=os.environ | stack.environment, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("arguments", [["models"], ["models", "ecg"], ["infer", "ecg"], ["health"], ["keys", "list"]])
def test_no_column_is_cut_and_no_escape_code_printed(
    stack: "Stack", medserve: Medserve, tmp_path: Path, columns: int, arguments: list[str]
) -> None:  # fmt: skip
    series = tmp_path / "beat.json"
    series.write_text(json.dumps({"channels": [{"name": "II", "unit": "mV", "values": [0, 0, 0, 0]}], "sampling_frequency_hz": 250}))
    more: dict[str, list[Any]] = {"infer": ["--input", series], "keys": ["--file", stack.keys_file]}

    wide, narrow = (
        medserve(*arguments, *more.get(arguments[0], []), environment=stack.environment | {"COLUMNS": str(width)}).stdout for width in (400, columns)
    )

    assert "\x1b" not in narrow
    assert max(map(len, narrow.splitlines())) <= columns
    # Folded, every letter is still there; what differs from call to call is the request's id.
    assert sorted(_letters(narrow)) == sorted(_letters(wide))


def _letters(text: str) -> str:
    return "".join("".join(line.split()) for line in text.splitlines() if not line.startswith("request "))
