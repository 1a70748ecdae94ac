"""`medserve keys` as a process: what it prints, writes and refuses."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from medserve.keys import read_keys

if TYPE_CHECKING:
    from tests.medserve.conftest import Stack

Medserve = Callable[..., "subprocess.CompletedProcess[str]"]


def test_output_that_the_encoding_cannot_show_is_no_error(medserve: Medserve, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    medserve("keys", "create", "--file", file, "--tenant", "Radiologie Süd", "--model", "*")

    done = medserve("keys", "list", "--file", file, environment={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    assert done.returncode == 0
    assert "Radiologie S\\xfcd" in done.stdout


def test_keys_are_made_listed_and_revoked(medserve: Medserve, tmp_path: Path) -> None:
    file = tmp_path / "keys"

    made = medserve("keys", "create", "--file", file, "--tenant", "pacs", "--model", "digits", "--action", "infer", "--expire-days", "30")
    (key,) = read_keys(file)
    listed = medserve("keys", "list", "--file", file)
    revoked = medserve("keys", "revoke", key.key_id, "--file", file)
    listed_after = json.loads(medserve("keys", "list", "--file", file, "--json").stdout)

    assert made.stdout.startswith(f"msk_{key.key_id}_")
    assert made.stdout.count("\n") == 1
    assert (key.tenant, key.models, key.actions) == ("pacs", ("digits",), ("infer",))
    assert f"valid until {key.expire_time:%Y-%m-%d}" in listed.stdout
    assert revoked.stdout == f"{key.key_id} is revoked\n"
    assert (listed_after["keys"][0]["keyId"], listed_after["keys"][0]["valid"]) == (key.key_id, False)
    for text in (made.stderr, listed.stdout, json.dumps(listed_after)):
        # The secret may hold an underscore itself.
        assert made.stdout.strip().split("_", 2)[2] not in text
        assert key.secret_sha256 not in text


def test_replacing_the_list_of_models_has_to_be_asked_for(medserve: Medserve, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    arguments = ("keys", "create", "--file", file, "--tenant", "ops")

    medserve(*arguments, "--model", "*")
    medserve(*arguments, "--model", "*", "--action", "reload")
    refused = medserve(*arguments, "--model", "digits", "--action", "reload")

    assert [key.actions for key in read_keys(file)] == [("infer", "read"), ("reload",)]
    assert refused.returncode == 2
    assert "touches every model" in refused.stderr


def test_a_key_is_written_into_a_file_for_its_owner_alone(medserve: Medserve, tmp_path: Path) -> None:
    file, out = tmp_path / "keys", tmp_path / "mine"
    arguments = ("keys", "create", "--file", file, "--tenant", "t", "--model", "*", "--out", out)

    first = medserve(*arguments)
    text = out.read_text()
    second = medserve(*arguments)

    assert (first.returncode, first.stdout, out.stat().st_mode & 0o777) == (0, "", 0o600)
    assert text.startswith("msk_")
    assert (second.returncode, out.read_text(), len(read_keys(file))) == (2, text, 1)
    assert "isn't overwritten" in second.stderr


def test_a_key_that_cannot_be_written_down_is_revoked(medserve: Medserve, tmp_path: Path) -> None:
    file = tmp_path / "keys"

    done = medserve("keys", "create", "--file", file, "--tenant", "t", "--model", "*", "--out", "/proc/mine")

    assert done.returncode == 2
    assert [key.revoke_time is None for key in read_keys(file)] == [False]


def test_a_key_that_was_just_made_is_taken_by_the_gateway(stack: "Stack", medserve: Medserve, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    medserve("keys", "create", "--file", stack.keys_file, "--tenant", "t", "--model", "echo", "--out", out)
    environment = stack.environment | {"MEDSERVE_KEY_FILE": str(out)}

    deadline = time.monotonic() + 30
    done = medserve("models", "--json", environment=environment)
    while done.returncode and time.monotonic() < deadline:
        done = medserve("models", "--json", environment=environment)

    assert [model["name"] for model in json.loads(done.stdout)["models"]] == ["echo"]


def test_help_and_keys_load_neither_grpc_nor_tables(tmp_path: Path) -> None:
    program = (
        "import sys, medserve.cli\n"
        f"medserve.cli.main(['keys', 'create', '--file', {str(tmp_path / 'keys')!r}, '--tenant', 't', '--model', 'm', '--json'])\n"
        "print(sorted({'grpc', 'rich', 'numpy'} & set(sys.modules)), file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr == "[]\n"
