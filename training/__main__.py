"""`python -m training`: runs jobs, lists them, and writes held-out items as files."""

import argparse
import math
import os
import sys
from pathlib import Path

import numpy as np

# TensorFlow's notes on its build are of no use to who trains; its errors are. `quiet` leaves out those that obey no level.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from medserve.repository import RepositoryError
from training import drift, published, search, summary
from training.alone import AtWork
from training.arguments import at_least
from training.data.at_hand import NotAtHand
from training.drift import NotComparable
from training.fitting.fit import Diverged
from training.gates import NotEarned
from training.job import Job, NoSuchSet
from training.jobs import JOBS
from training.quality.fault import Refused
from training.quiet import quiet
from training.run import Trial, run
from training.serving import NotServed

_REFUSED = 1
_UNUSABLE = 2
# What a shell says of a command that Ctrl-C ended.
_INTERRUPTED = 130
# And of one whose reader has gone.
_READER_GONE = 141


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
    number = float(text)
    if not 0 <= number < math.inf:
        message = f"{text} is no floor: give a number from 0 on"
        raise argparse.ArgumentTypeError(message)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Trains models and publishes them.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list the jobs")
    _add_run(commands.add_parser("run", help="train a job's model, judge it, and publish it"))
    evaluating = commands.add_parser("evaluate", help="ask a published version about the held-out items again")
    _add_version(evaluating)
    _add_data(evaluating)
    _add_version(commands.add_parser("report", help="say where a published version's report is"))
    publishing = commands.add_parser("publish", help="publish a version of one repository into another")
    _add_version(publishing)
    publishing.add_argument("--to", type=Path, required=True, help="the model repository to publish into; made where there is none")
    search.add_command(commands)
    drift.add_command(commands)
    measured = commands.add_parser("table", help="what the newest version of each job showed and cost, in Markdown")
    measured.add_argument("--repository", type=Path, required=True, help="the model repository's folder")
    sampling = commands.add_parser("samples", help="write held-out items as files to send")
    sampling.add_argument("job", choices=JOBS)
    sampling.add_argument("--out", type=Path, required=True, help="the folder to write to; made where there is none")
    sampling.add_argument("--count", type=at_least(1), default=10, help="how many (default: 10)")
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--repository", type=Path, required=True, help="the model repository's folder")
    parser.add_argument("--version", type=at_least(1), help="which (default: the newest)")


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="NAME", help="another of the job's data sets, such as full for digits (default: its own)")


def _add_run(running: argparse.ArgumentParser) -> None:
    running.add_argument("job", choices=JOBS)
    _add_data(running)
    running.add_argument("--repository", type=Path, required=True, help="the model repository's folder; made where there is none")
    running.add_argument("--epochs", type=at_least(1), help="fewer or more than the job's schedule")
    # One to fit and one to validate.
    running.add_argument("--limit", type=at_least(2), help="train and test on this many items only")
    running.add_argument("--floor", type=at_least_0, help="the held-out figure to publish from, instead of all that the job asks of figures")
    running.add_argument("--stable", type=at_least(1), help="the published version that the new one isn't to be worse than, by the job's margins")
    running.add_argument("--events", type=Path, help="a folder for each epoch's figures, as TensorBoard reads them")


def _run(arguments: argparse.Namespace) -> bool:
    """Runs the command; returns whether what it is about was good enough."""
    job: Job | None = JOBS.get(getattr(arguments, "job", ""))

    def say(message: str) -> None:
        _say(f"{arguments.job}: {message}")

    match arguments.command, job:
        case "list", _:
            for each in JOBS.values():
                _say(f"{each.name}: {each.facts().description}")
        case "table", _:
            _say(summary.table(arguments.repository, list(JOBS)))
        case "run", Job():
            trial = Trial(
                epochs=arguments.epochs, limit=arguments.limit, floor=arguments.floor, stable=arguments.stable, events=arguments.events
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
                published.publish(job, arguments.repository, arguments.version, arguments.to, say=say)
        case "search", Job():
            with quiet():
                return search.run(arguments, say)
        case "drift", Job():
            return drift.run(arguments, _say)
        case "samples", Job():
            write_samples(job, arguments.out, arguments.count)
    return True


def main() -> int:
    """Runs the command; returns the process's exit status.

    That is 1 where a model wasn't good enough or a field has drifted, and 2 where the command, its folder or its file can't be used.
    """
    arguments = _parser().parse_args()
    try:
        return 0 if _run(arguments) else _REFUSED
    except (NotEarned, NotServed, Diverged) as error:
        print(f"python -m training: {error}", file=sys.stderr)
        return _REFUSED
    except BrokenPipeError:
        # Whoever read has gone, as `head` does. What is still to be flushed at the end has nowhere to go either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except AtWork as error:
        print(f"python -m training: {error.strerror}: {error.filename}; wait until it has ended, or give another folder", file=sys.stderr)
        return _UNUSABLE
    except NotAtHand as error:
        print(f"python -m training: {error}", file=sys.stderr)
        return _UNUSABLE
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"python -m training: {error.strerror or error}{where}; give a folder that can be written to and has room", file=sys.stderr)
        return _UNUSABLE
    except (RepositoryError, NotComparable, NoSuchSet, Refused) as error:
        print(f"python -m training: {error}", file=sys.stderr)
        return _UNUSABLE
    except KeyboardInterrupt:
        print("python -m training: interrupted", file=sys.stderr)
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
