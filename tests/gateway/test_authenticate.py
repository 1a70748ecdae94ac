"""Who is calling: real keys in a real file, written as `medserve keys` writes it."""

import asyncio
import hmac
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from gateway import authenticate
from gateway.authenticate import Authenticator
from gateway.call import Action
from gateway.errors import CredentialsInvalid, CredentialsMissing
from medserve.keys import create_key, hash_secret, revoke_key

Create = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api_keys.json"


@pytest.fixture
def create(file: Path) -> Create:
    def make(*, models: tuple[str, ...] = ("digits",), actions: tuple[str, ...] = ("infer",), expire_time: datetime | None = None) -> str:
        return create_key(file, tenant="ward", models=models, actions=actions, expire_time=expire_time)[1]

    return make


def is_valid(authenticator: Authenticator, key: str) -> bool:
    try:
        authenticator.authenticate(f"Bearer {key}")
    except CredentialsInvalid:
        return False
    return True


def test_a_key_is_its_principal(file: Path, create: Create) -> None:
    key = create(models=("digits", "ecg"), actions=("infer", "read"))

    principal = Authenticator(file).authenticate(f"Bearer {key}")

    assert principal.key_id == key.split("_")[1]
    assert (principal.tenant, principal.models, principal.actions) == ("ward", frozenset({"digits", "ecg"}), frozenset({Action.INFER, Action.READ}))


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_the_scheme_is_read_as_http_reads_it(file: Path, create: Create, scheme: str) -> None:
    key = create()

    assert Authenticator(file).authenticate(f"{scheme}{key} ").tenant == "ward"


def test_nothing_at_all_is_missing(file: Path) -> None:
    with pytest.raises(CredentialsMissing, match="authorization: Bearer"):
        Authenticator(file).authenticate("")


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda key: key,
        lambda key: f"Basic {key}",
        lambda _: "Bearer ",
        lambda key: f"Bearer {key}x",
        lambda key: f"Bearer {key[:-1]}",
        lambda key: f"Bearer {key[:-43]}{'A' * 43}",
        lambda key: f"Bearer msk_{'a' * 12}_{key[-43:]}",
        lambda key: f"Bearer Bearer {key}",
        lambda _: "Bearer msk_é_" + "\udcff" * 43,
    ],
)
def test_what_is_no_key_is_invalid_and_the_caller_is_not_told_why(file: Path, create: Create, spoilt: Callable[[str], str]) -> None:
    key = create()
    authenticator = Authenticator(file)

    with pytest.raises(CredentialsInvalid) as caught:
        authenticator.authenticate(spoilt(key))

    assert caught.value.message == "the API key isn't valid: it has the form 'Bearer msk_…', and may have expired or been revoked"


def test_an_expired_key_is_invalid_and_one_that_is_about_to_is_not(file: Path, create: Create) -> None:
    now = datetime.now(UTC)
    over, left = create(expire_time=now - timedelta(seconds=1)), create(expire_time=now + timedelta(hours=1))

    authenticator = Authenticator(file)

    assert (is_valid(authenticator, over), is_valid(authenticator, left)) == (False, True)


def test_an_unknown_id_takes_the_same_steps_as_a_wrong_secret(file: Path, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    key = create()
    steps: list[tuple[str, int, int]] = []
    real = hmac.compare_digest

    def compare(given: str, expected: str) -> bool:
        steps.append(("compare", len(given), len(expected)))
        return real(given, expected)

    def hashing(secret: str) -> str:
        steps.append(("hash", len(secret), 0))
        return hash_secret(secret)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    monkeypatch.setattr(authenticate, "hash_secret", hashing)
    authenticator = Authenticator(file)
    taken = []
    for given in (key, key[:-43] + "A" * 43, f"msk_{'a' * 12}_{key[-43:]}"):
        steps.clear()
        is_valid(authenticator, given)
        taken.append(tuple(steps))

    assert set(taken) == {(("hash", 43, 0), ("compare", 64, 64))}


def test_no_secret_can_match_the_hash_that_stands_for_none() -> None:
    assert len(authenticate._NO_HASH) == len(hash_secret("x"))
    assert int(authenticate._NO_HASH, 16) == 0


def test_a_new_and_a_revoked_key_need_no_restart(file: Path, create: Create) -> None:
    first = create()
    authenticator = Authenticator(file)

    second = create()
    before = is_valid(authenticator, second)
    revoke_key(file, first.split("_")[1])
    asyncio.run(authenticator.refresh())

    assert before is False
    assert (is_valid(authenticator, first), is_valid(authenticator, second)) == (False, True)


def test_a_file_that_others_may_read_is_refused_until_it_is_mended(file: Path, create: Create, log: StringIO) -> None:
    key = create()
    file.chmod(0o644)
    authenticator = Authenticator(file)
    refused = is_valid(authenticator, key)

    file.chmod(0o600)
    authenticator.read()

    assert refused is False
    assert "chmod 600" in log.getvalue()
    assert is_valid(authenticator, key)


@pytest.mark.parametrize("content", ["{", "[]", '{"keys": [{}]}', '{"keyz": []}'])
def test_a_file_that_is_broken_later_leaves_the_keys_as_they_were(file: Path, create: Create, content: str, log: StringIO) -> None:
    key = create()
    authenticator = Authenticator(file)

    file.write_text(content)
    authenticator.read()

    assert is_valid(authenticator, key)
    assert "keys stay as they were" in log.getvalue()


def test_a_file_that_vanishes_takes_its_keys_along_and_says_so_once(file: Path, create: Create, log: StringIO) -> None:
    key = create()
    authenticator = Authenticator(file)

    file.unlink()
    for _ in range(3):
        authenticator.read()

    assert not is_valid(authenticator, key)
    assert log.getvalue().count("no key file") == 1


def test_without_a_file_from_the_start_no_key_is_valid_and_it_may_come_later(file: Path, create: Create, log: StringIO) -> None:
    authenticator = Authenticator(file)
    authenticator.read()
    said = log.getvalue().count("no key file")

    key = create()
    authenticator.read()

    assert said == 1
    assert is_valid(authenticator, key)


def test_a_file_that_has_not_changed_is_not_read_again(file: Path, create: Create, log: StringIO) -> None:
    create()
    authenticator = Authenticator(file)

    for _ in range(3):
        authenticator.read()

    assert log.getvalue().count("keys read") == 1


def test_an_action_of_a_later_release_allows_nothing(file: Path, create: Create) -> None:
    key = create()
    document = json.loads(file.read_text())
    document["keys"][0]["actions"] = ["rollout", "read"]
    file.write_text(json.dumps(document))
    os.utime(file, ns=(1, 1))

    assert Authenticator(file).authenticate(f"Bearer {key}").actions == {Action.READ}


def test_the_secret_is_never_logged(file: Path, create: Create, log: StringIO) -> None:
    key = create()

    authenticator = Authenticator(file)
    is_valid(authenticator, key)
    is_valid(authenticator, key + "x")

    assert key[-43:] not in log.getvalue()
