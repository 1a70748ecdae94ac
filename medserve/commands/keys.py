"""`medserve keys`: makes, lists and revokes keys in the file that the gateway reads."""

import json
import sys
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from medserve.commands.failure import UsageError
from medserve.keys import DEFAULT_ACTIONS, ApiKey, create_key, read_keys, revoke_key, write_secret


def run(arguments: Namespace) -> int:
    """Does what the verb says."""
    path = Path(arguments.file)
    as_json = getattr(arguments, "json", False)
    if arguments.verb == "create":
        _create(path, arguments, as_json=as_json)
    elif arguments.verb == "revoke":
        key = revoke_key(path, arguments.key_id)
        print(json.dumps(_document(key)) if as_json else f"{key.key_id} is revoked")
    elif as_json:
        print(json.dumps({"keys": [_document(key) for key in read_keys(path)]}, ensure_ascii=False))
    else:
        _print(read_keys(path))
    return 0


def _create(path: Path, arguments: Namespace, *, as_json: bool) -> None:
    out = Path(arguments.out) if arguments.out else None
    if out is not None and out.exists():
        message = f"{out}: exists already, and isn't overwritten: name another file"
        raise UsageError(message)
    key, text = create_key(
        path,
        tenant=arguments.tenant,
        models=arguments.model,
        actions=arguments.action or DEFAULT_ACTIONS,
        note=arguments.note,
        expire_time=_expire_time(arguments.expire_days),
    )
    if out is not None:
        try:
            write_secret(out, text + "\n")
        except OSError:
            # A key that nobody holds stays valid for nobody.
            revoke_key(path, key.key_id)
            raise
    if as_json:
        print(json.dumps({**_document(key), **({"key": text} if out is None else {"file": str(out)})}, ensure_ascii=False))
        return
    # The key alone goes to standard output, so that a shell can take it.
    about = f"key {key.key_id} of {key.tenant}: {', '.join(key.actions)} on {', '.join(key.models)}"
    if out is None:
        print(f"{about}. It is shown this once:", file=sys.stderr, flush=True)
        print(text)
    else:
        print(f"{about}, in {out}", file=sys.stderr)


def _expire_time(days: float | None) -> datetime | None:
    if days is None:
        return None
    try:
        if days > 0:
            return datetime.now(UTC) + timedelta(days=days)
    except (OverflowError, ValueError):
        pass
    raise UsageError("--expire-days: give a number of days above zero")


def _print(keys: tuple[ApiKey, ...]) -> None:
    from medserve.commands import tables  # noqa: PLC0415 - the other verbs print no table

    console = tables.console()
    if not keys:
        console.print("No keys.")
        return
    rows = [(key.key_id, key.tenant, ", ".join(key.models), ", ".join(key.actions), _state(key), key.note) for key in keys]
    tables.show(console, ("Key", "Tenant", "Models", "Actions", "State", "Note"), rows, whole=("Key", "State"))


def _state(key: ApiKey) -> str:
    if key.revoke_time is not None:
        return f"revoked {key.revoke_time:%Y-%m-%d}"
    if key.expire_time is None:
        return "valid"
    return f"{'valid until' if key.is_valid_at(datetime.now(UTC)) else 'expired'} {key.expire_time:%Y-%m-%d}"


def _document(key: ApiKey) -> dict[str, object]:
    """A key for programs, without the hash of its secret."""
    times = {"createTime": key.create_time, "expireTime": key.expire_time, "revokeTime": key.revoke_time}
    return {
        "keyId": key.key_id,
        "tenant": key.tenant,
        "models": list(key.models),
        "actions": list(key.actions),
        "note": key.note,
        "valid": key.is_valid_at(datetime.now(UTC)),
        **{name: time.astimezone(UTC).isoformat().replace("+00:00", "Z") for name, time in times.items() if time is not None},
    }
