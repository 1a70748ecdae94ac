"""`python -m training`: runs jobs, lists them, and writes held-out items as files."""

import argparse
import math
import os
import signal
import sys
from errno import EDQUOT, EFBIG, ENOSPC, EROFS
from pathlib import Path
from typing import Any

import numpy as np

# TensorFlow's notes on its build are of no use to who trains; its errors are. `quiet` leaves out those that obey no level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from training import drift, published, search, summary
from training.alone import AtWork
from training.arguments import at_least
from training.failures import NOT_GOOD_ENOUGH, UNUSABLE, told, unforeseen
from training.job import Job
from training.quiet import quiet
from training.run import Trial, run

_REFUSED = 1
_UNUSABLE = 2
# EX_SOFTWARE of sysexits.h.
_FAULT = 70
# What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130
# And of one whose reader has gone.
_READER_GONE = 141
# Added to the number of a signal that ended a command.
_SIGNALLED = 128
# The arguments that name folders and files to write to; the repository is one where it is what `run` publishes into.
_WRITTEN = ("to", "out", "events", "report", "storage")
_NO_ROOM = (ENOSPC, EDQUOT, EFBIG, EROFS)


def _say(message: str) -> None:
    print(message, flush=True)


def write_samples(job: Job, folder: Path, count: int) -> None:
    """Writes `count` held-out items, spread over their kinds, as `<number>-<kind>.<ending>`, such as `0007-label-3.png`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = job.load().held_out
    kinds = np.array(job.task.kinds(held_out.targets))
    by_kind = [np.flatnonzero(kinds == kind) for kind in sorted(set(kinds.tolist()))]
    # Round by round, one item of each kind.
    rounds = (rows[number] for number in range(max(map(len, by_kind))) for rows in by_kind if number < len(rows))
    for index, _ in zip(rounds, range(count), strict=False):
        path = job.write_sample(folder, f"{index:04d}-{kinds[index]}", held_out.inputs[index])
        _say(f"wrote {path}")


def at_least_0(text: str) -> float:
    """Reads an argument that is a figure: a share, or a gain in some unit."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        message = f"{text} is no floor: give a number from 0 on"
        raise argparse.ArgumentTypeError(message)
    return number


def _jobs() -> dict[str, Job]:
    """All jobs. Raises what a declaration raises."""
    from training.jobs import JOBS  # noqa: PLC0415 - what a declaration raises is told as all else is

    return JOBS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains models and publishes them.")
    parser.add_argument("--traceback", action="store_true", help="show all of an error that nobody foresaw; it may quote what a patient has")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the jobs")
    _add_run(commands.add_parser("run", help="train a job's model, judge it, and publish it"))
    evaluating = commands.add_parser("evaluate", help="ask a published version about the held-out items again")
    _add_version(evaluating)
    _add_data(evaluating)
    _add_version(commands.add_parser("report", help="say where a published version's report is"))
    publishing = commands.add_parser("publish", help="publish a version of one repository into another")
    _add_version(publishing)
    _add_data(publishing)
    _add_stable(publishing)
    publishing.add_argument("--to", type=Path, required=True, help="the model repository to publish into; made where there is none")
    search.add_command(commands, _jobs())
    drift.add_command(commands, _jobs())
    measured = commands.add_parser("table", help="what the newest version of each job showed and cost, in Markdown")
    measured.add_argument("--repository", type=Path, required=True, help="the model repository's folder")
    sampling = commands.add_parser("samples", help="write held-out items as files to send")
    sampling.add_argument("job", choices=_jobs())
    sampling.add_argument("--out", type=Path, required=True, help="the folder to write to; made where there is none")
    sampling.add_argument("--count", type=at_least(1), default=10, help="how many (default: 10)")
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", choices=_jobs())
    parser.add_argument("--repository", type=Path, required=True, help="the model repository's folder")
    parser.add_argument("--version", type=at_least(1), help="which (default: the newest)")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="NAME", help="another of the job's data sets, such as full for digits (default: its own)")


def _add_stable(parser: argparse.ArgumentParser) -> None:
    held = parser.add_mutually_exclusive_group()
    held.add_argument(
        "--stable", type=at_least(1), metavar="N",
        help="the published version that the new one isn't to be worse than, by the job's margins (default: the newest of the same data)",
    )  # fmt: skip
    held.add_argument("--no-stable", dest="is_compared", action="store_false", help="hold it against no version")


def _add_run(running: argparse.ArgumentParser) -> None:
    running.add_argument("job", choices=_jobs())
    _add_data(running)
    running.add_argument("--repository", type=Path, required=True, help="the model repository's folder; made where there is none")
    running.add_argument("--epochs", type=at_least(1), help="fewer or more than the job's schedule")
    # One to fit and one to validate.
    running.add_argument("--limit", type=at_least(2), help="train and test on this many items only")
    running.add_argument("--floor", type=at_least_0, help="the held-out figure to publish from, instead of all that the job asks of figures")
    _add_stable(running)
    running.add_argument("--events", type=Path, help="a folder for each epoch's figures, as TensorBoard reads them")


def _run(arguments: argparse.Namespace) -> bool:
    """Runs the command; returns whether what it is about was good enough."""
    job: Job | None = _jobs().get(getattr(arguments, "job", ""))

    def say(message: str) -> None:
        _say(f"{arguments.job}: {message}")

    match arguments.command, job:
        case "list", _:
            for each in _jobs().values():
                _say(f"{each.name}: {each.facts().description}")
        case "table", _:
            _say(summary.table(arguments.repository, list(_jobs())))
        case "run", Job():
            trial = Trial(
                epochs=arguments.epochs, limit=arguments.limit, floor=arguments.floor,
                stable=arguments.stable, is_compared=arguments.is_compared, events=arguments.events,
            )  # fmt: skip
            with quiet():
                return run(job.on(arguments.data), arguments.repository, trial, say=say)
        case "evaluate", Job():
            with quiet():
                return published.evaluate(job.on(arguments.data), arguments.repository, arguments.version, say=say)
        case "report", Job():
            _say(str(published.report(job, arguments.repository, arguments.version)))
        case "publish", Job():
            with quiet():
                published.publish(
                    job.on(arguments.data), arguments.repository, arguments.version, arguments.to,
                    against=arguments.stable, is_compared=arguments.is_compared, say=say,
                )  # fmt: skip
        case "search", Job():
            with quiet():
                return search.run(job, arguments, say)
        case "drift", Job():
            return drift.run(job, arguments, _say)
        case "samples", Job():
            write_samples(job, arguments.out, arguments.count)
    return True


def _fail(words: str, status: int) -> int:
    print(f"python -m training: {words}", file=sys.stderr)
    return status


def _remedy(error: OSError, arguments: argparse.Namespace) -> str:
    """What to do about a file: what lies in a folder that the command writes to, or has no name, couldn't be written; all else couldn't be read."""
    names = (*_WRITTEN, "repository") if arguments.command == "run" else _WRITTEN
    written = [Path(folder) for name in names if (folder := getattr(arguments, name, None)) is not None]
    file = None if error.filename is None else Path(os.fsdecode(error.filename))
    if file is None or error.errno in _NO_ROOM or any(folder in (file, *file.parents) for folder in written):
        return "give a folder that can be written to and has room"
    return "give a file that can be read"


def _end(number: int, _: Any) -> None:  # noqa: ANN401 - a frame
    # An exception: what is under way cleans up behind itself, such as a model server that it has started.
    raise SystemExit(_SIGNALLED + number)


def main() -> int:
    """Runs the command; returns the process's exit status.

    That is 1 where a model wasn't good enough or a field has drifted, 2 where the command, its folder or its file can't be used, and 70 where
    something went wrong that nobody foresaw. Of that the type and the place are told: the message may quote what a patient has.
    """
    signal.signal(signal.SIGTERM, _end)
    # Until they are parsed, which takes the jobs.
    arguments = argparse.Namespace(command="", traceback="--traceback" in sys.argv)
    try:
        arguments = _parser().parse_args()
        return 0 if _run(arguments) else _REFUSED
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has gone, as `head` does. What is still to be flushed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except Exception as error:
        if arguments.traceback:
            raise
        return _failed(error, arguments)


def _failed(error: Exception, arguments: argparse.Namespace) -> int:
    """Says what it was; returns the exit status."""
    if isinstance(error, NOT_GOOD_ENOUGH):
        return _fail(told(error), _REFUSED)
    if isinstance(error, AtWork):
        return _fail(f"{told(error)}; wait until it has ended, or give another folder", _UNUSABLE)
    if isinstance(error, UNUSABLE):
        return _fail(told(error), _UNUSABLE)
    if isinstance(error, OSError):
        return _fail(f"{told(error)}; {_remedy(error, arguments)}", _UNUSABLE)
    return _fail(f"{unforeseen(error)}; `python -m training --traceback …` shows all of it, which may quote what a patient has", _FAULT)


if __name__ == "__main__":
    sys.exit(main())
