"""The `medserve` command: reads the command line, runs one of `medserve/commands/`, and ends with a status.

    0    done
    1    the service said no, or nobody answered
    2    wrong usage, or a file that can't be read
    130  Ctrl-C

What a command needs (gRPC, tables) is imported when it runs, so that `medserve --help` and a mistake cost nothing.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from medserve.commands.repository_options import add_repository

_CTRL_C = 130
# 128 and the number of SIGPIPE: whoever read the output has gone.
_BROKEN_PIPE = 141

_EPILOG = "exit status: 0 done, 1 the service said no, 2 wrong usage or a file that can't be read, 130 Ctrl-C"
_PURPOSES = ("treatment", "emergency-treatment", "research", "quality")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status. Wrong usage ends in SystemExit, as argparse does it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A model's name that the terminal can't show is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    # gRPC's own log goes to standard error as well; what it knows is in the error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    arguments = _parser().parse_args(argv)
    try:
        status: int = import_module(f"medserve.commands.{arguments.command}").run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _CTRL_C
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last place: what isn't for people is said in a sentence
        from medserve.commands.failure import report  # noqa: PLC0415 - only where something failed

        return report(error, as_json=getattr(arguments, "json", False))
    return status


def _parser() -> argparse.ArgumentParser:
    everywhere = _global_options()
    parser = argparse.ArgumentParser(
        prog="medserve", description="Asks a medserve gateway.", epilog=_EPILOG, parents=[everywhere], allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list models, or show one", parents=[everywhere], allow_abbrev=False)
    models.add_argument("name", nargs="?", metavar="NAME", help="show this one in full")

    infer = commands.add_parser("infer", help="ask a model about one item", parents=[everywhere], allow_abbrev=False)
    infer.add_argument("model", metavar="MODEL")
    infer.add_argument(
        "--input", action="append", required=True, metavar="[NAME=]FILE",
        help="an input: PNG, JPEG, DICOM, .npy, or a time series in JSON, told apart by content; without NAME where the model has one input",
    )  # fmt: skip
    choice = infer.add_mutually_exclusive_group()
    choice.add_argument("--version", type=int, metavar="NUMBER", help="this version; otherwise the newest that is ready and, if possible, no trial")
    choice.add_argument("--label", help="the version that carries this label, for example stable")
    infer.add_argument("--request-id", default="", metavar="ID", help="your name for the request, free of patient data")
    infer.add_argument("--purpose-of-use", choices=_PURPOSES, help="why the data is used; the audit log records it")
    infer.add_argument("--raw-outputs", action="store_true", help="show the model's outputs as well")

    health = commands.add_parser("health", help="say whether the gateway and the models answer now", parents=[everywhere], allow_abbrev=False)
    health.add_argument("model", nargs="?", metavar="MODEL", help="this model alone")

    _add_keys(commands, everywhere)
    add_repository(commands, everywhere)
    return parser


def _global_options() -> argparse.ArgumentParser:
    """Taken before and after the command. What isn't given isn't set, so that the one place doesn't undo the other."""
    options = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    group = options.add_argument_group("global options")
    group.add_argument("--target", metavar="HOST:PORT", help="the gateway's address (MEDSERVE_TARGET; localhost:8443)")
    group.add_argument("--ca-file", metavar="FILE", help="the CAs to trust, PEM (MEDSERVE_CA_FILE; the system's)")
    group.add_argument("--key-file", metavar="FILE", help="your API key, in a file that only you may read (MEDSERVE_KEY_FILE)")
    group.add_argument("--timeout-seconds", type=float, metavar="SECONDS", help="how long the service may take (10)")
    group.add_argument("--json", action="store_true", help="print JSON, for programs")
    return options


def _add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", everywhere: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("keys", help="make, list and revoke API keys in a gateway's key file", parents=[everywhere], allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for_each = argparse.ArgumentParser(add_help=False)
    for_each.add_argument("--file", required=True, metavar="FILE", help="the gateway's key file (its setting api_keys_file)")
    parents = [everywhere, for_each]

    create = verbs.add_parser("create", help="make a key and print it, once", parents=parents, allow_abbrev=False)
    create.add_argument("--tenant", required=True, help="whose key it is")
    create.add_argument("--model", action="append", required=True, metavar="NAME", help="a model that it allows, or '*' for any; may be repeated")
    create.add_argument(
        "--action", action="append", choices=("infer", "read", "reload"),
        help="what it allows; may be repeated (infer and read). reload replaces the list of models that are served, and takes --model '*'",
    )  # fmt: skip
    create.add_argument("--note", default="", help="for people: what the key is for")
    create.add_argument("--expire-days", type=float, metavar="DAYS", help="from when it isn't valid any more, counted from now (never)")
    create.add_argument("--out", metavar="FILE", help="write the key into this new file, which only you may read, instead of printing it")

    verbs.add_parser("list", help="list the keys, without their secrets", parents=parents, allow_abbrev=False)

    revoke = verbs.add_parser("revoke", help="revoke a key; a gateway that runs sees it within a second", parents=parents, allow_abbrev=False)
    revoke.add_argument("key_id", metavar="KEY_ID", help="the key's id: the 12 characters after 'msk_'")
