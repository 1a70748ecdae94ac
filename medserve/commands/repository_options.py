"""The command line of `medserve repository`. Nothing here is slow to import: `medserve --help` needs it."""

import argparse


def add_repository(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", everywhere: argparse.ArgumentParser) -> None:
    """Adds the command and its verbs."""
    parser = commands.add_parser(
        "repository", help="look after a model repository on this machine's disk", parents=[everywhere], allow_abbrev=False,
        epilog="exit status: as medserve's, and 1 where verify found something or retire wasn't shown to be safe",
    )  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = verbs.add_parser(name, help=text, parents=[everywhere], allow_abbrev=False)
        made.add_argument("root", metavar="ROOT", help="the repository: the folder that holds a folder for each model")
        return made

    listing = verb("list", "list models and versions: when, how good, what")
    listing.add_argument("model", nargs="?", metavar="MODEL", help="this model alone")

    showing = verb("show", "show what a version says of itself")
    showing.add_argument("model", metavar="MODEL")
    showing.add_argument("version", nargs="?", type=int, metavar="VERSION", help="the newest otherwise")

    comparing = verb("diff", "show in what two versions of a model differ")
    comparing.add_argument("model", metavar="MODEL")
    comparing.add_argument("version", type=int, metavar="VERSION")
    comparing.add_argument("other", type=int, metavar="OTHER")

    verifying = verb("verify", "check that versions are whole and as they were published")
    verifying.add_argument("model", nargs="?", metavar="MODEL", help="this model alone")
    verifying.add_argument("version", nargs="?", type=int, metavar="VERSION", help="this version alone")

    retiring = verb("retire", "move a version out of the servers' sight, where the gateway at --target shows that nobody needs it")
    retiring.add_argument("model", metavar="MODEL")
    retiring.add_argument("version", type=int, metavar="VERSION")
