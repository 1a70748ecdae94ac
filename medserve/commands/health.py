"""`medserve health`: whether the gateway and the models answer now."""

import json
import sys
from argparse import Namespace

from medserve.commands import tables
from medserve.commands.failure import REFUSED
from medserve.commands.options import client_of, has_key


def run(arguments: Namespace) -> int:
    """Prints the gateway and every model that the key allows, or one model. 1 where anything that was asked about doesn't answer."""
    as_json = getattr(arguments, "json", False)
    with client_of(arguments) as client:
        if arguments.model:
            gateway, models = None, {arguments.model: client.health(arguments.model)}
        else:
            gateway = client.health()
            models = {model.name: model.ready for model in client.list_models()} if has_key(arguments) else {}
            if not has_key(arguments):
                print("medserve: no key, so no models are listed: --key-file FILE, or MEDSERVE_KEY_FILE", file=sys.stderr)
    if as_json:
        document = {} if gateway is None else {"gateway": _word(gateway)}
        print(json.dumps({**document, "models": {name: _word(answers) for name, answers in models.items()}}, ensure_ascii=False))
    else:
        rows = [] if gateway is None else [("gateway", "", gateway)]
        rows += [("model", name, answers) for name, answers in models.items()]
        cells = [(kind, name, tables.cell("ready" if answers else "not ready", "" if answers else "red")) for kind, name, answers in rows]
        tables.show(tables.console(), ("What", "Name", "State"), cells)
    return 0 if gateway is not False and all(models.values()) else REFUSED


def _word(answers: bool) -> str:  # noqa: FBT001 - a word for it
    """As grpc.health.v1 has it."""
    return "SERVING" if answers else "NOT_SERVING"
