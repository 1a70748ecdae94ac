"""The command line: TensorFlow Serving's flags, by their names and with their meanings.

A flag of theirs that isn't supported stops the start, with the reason: it is never accepted and ignored.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from importlib.metadata import version
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from modelserver.config import Batching, ConfigError, ModelConfig, read_batching, read_metrics_path, read_models, read_ssl, single_model
from modelserver.flag_table import UNSUPPORTED, Flags

_MOST_INT32 = (1 << 31) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What the command line and the files that it names ask for."""

    flags: Flags
    models: tuple[ModelConfig, ...]
    session_config: config_pb2.ConfigProto
    tags: tuple[str, ...]
    allowed_ops: frozenset[str] | None
    batching: Batching | None
    metrics_path: str | None
    credentials: grpc.ServerCredentials | None
    """What TLS needs; None without."""
    channel_arguments: dict[str, int | str]


def parse(arguments: Sequence[str] | None = None) -> Setup:
    """Reads the command line and the files that it names. Raises ConfigError; exits with 2, as argparse does, for what is no flag.

    `--version` prints the versions, and exits with 0.
    """
    flags = _read_flags(arguments)
    if flags.version:
        print(f"TensorFlow ModelServer: {version('tensorflow-serving-api')}+medserve.{version('medserve')}")
        print(f"TensorFlow Library: {tf.__version__}")
        raise SystemExit(0)
    _check(flags)
    file = flags.model_config_file
    return Setup(
        flags=flags,
        models=read_models(Path(file)) if file else single_model(flags.model_name, flags.model_base_path),
        session_config=_session_config(flags),
        tags=tuple(flags.saved_model_tags.split(",")),
        allowed_ops=_allowed_ops(Path(flags.allowed_ops_file)) if flags.allowed_ops_file else None,
        batching=_batching(flags),
        metrics_path=read_metrics_path(Path(flags.monitoring_config_file)) if flags.monitoring_config_file else None,
        credentials=read_ssl(Path(flags.ssl_config_file)) if flags.ssl_config_file else None,
        channel_arguments=_channel_arguments(flags.grpc_channel_arguments),
    )


def _read_flags(arguments: Sequence[str] | None) -> Flags:
    parser = argparse.ArgumentParser(prog="python -m modelserver", description="TensorFlow Serving's API, embedded.", allow_abbrev=False)
    for flag in fields(Flags):
        meaning = flag.metadata["meaning"].replace("%", "%%")
        is_switch = flag.type is bool
        parser.add_argument(
            f"--{flag.name}", type=_KINDS[flag.type], nargs="?" if is_switch else None, const=is_switch or None, default=flag.default, help=meaning
        )
    for name in UNSUPPORTED:
        parser.add_argument(f"--{name}", nargs="?", default=None, const="true", help=argparse.SUPPRESS)
    given = vars(parser.parse_args(_joined(parser, sys.argv[1:] if arguments is None else arguments)))
    for name, reason in UNSUPPORTED.items():
        if given.pop(name) is not None:
            message = f"--{name} is not supported: {reason}"
            raise ConfigError(message)
    return Flags(**given)


def _joined(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Sequence[str]:
    """The arguments, each of which is a flag: theirs takes a value after `=` alone, and would go on without it."""
    for argument in arguments:
        if not argument.startswith("-"):
            parser.error(f"{argument} is no flag: write --flag=value")
    return arguments


def _boolean(text: str) -> bool:
    """How TensorFlow Serving's flags say yes and no (tensorflow/core/util/command_line_flags.cc)."""
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError("true or false") from None


# How the text after a flag is read, by the kind of its field.
_KINDS: dict[object, Callable[[str], object]] = {bool: _boolean, int: int, float: float, str: str}


def _check(flags: Flags) -> None:
    """Raises ConfigError for what can't be, by itself or together."""
    for flag in fields(Flags):
        _check_range(flag, getattr(flags, flag.name))
    if not flags.model_config_file and not flags.model_base_path:
        raise ConfigError("name either --model_config_file or --model_base_path")
    if flags.monitoring_config_file and not flags.rest_api_port:
        raise ConfigError("--monitoring_config_file is set without --rest_api_port, which serves the metrics")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise ConfigError("--batching_parameters_file is set without --enable_batching")
    if flags.enable_per_model_batching_parameters and not flags.enable_batching:
        raise ConfigError("--enable_per_model_batching_parameters is set without --enable_batching")
    if not flags.remove_unused_fields_from_bundle_metagraph:
        raise ConfigError(
            "--remove_unused_fields_from_bundle_metagraph is false: the embedded server keeps nothing of a MetaGraphDef but its signatures"
        )
    if flags.tensorflow_session_parallelism and flags.tensorflow_intra_op_parallelism and flags.tensorflow_inter_op_parallelism:
        message = (
            "Either configure --tensorflow_session_parallelism or (--tensorflow_intra_op_parallelism, --tensorflow_inter_op_parallelism) separately. "
            "You cannot configure all."
        )
        raise ConfigError(message)


def _check_range(flag: Field[object], value: float) -> None:
    least, most = flag.metadata["least"], flag.metadata["most"]
    if least is not None and not least <= value <= most:
        message = f"--{flag.name} is {value}: it is {least} to {most}"
        raise ConfigError(message)


def _session_config(flags: Flags) -> config_pb2.ConfigProto:
    """The flag for both parallelisms holds where neither has its own (model_servers/server.cc)."""
    intra, inter = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    if not intra and not inter:
        intra = inter = flags.tensorflow_session_parallelism
    return config_pb2.ConfigProto(intra_op_parallelism_threads=intra, inter_op_parallelism_threads=inter)


def _batching(flags: Flags) -> Batching | None:
    if not flags.enable_batching:
        return None
    return read_batching(Path(flags.batching_parameters_file)) if flags.batching_parameters_file else Batching()


def _allowed_ops(file: Path) -> frozenset[str]:
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        message = f"--allowed_ops_file: {file}: {error}"
        raise ConfigError(message) from None
    return frozenset(filter(None, lines))


def _channel_arguments(text: str) -> dict[str, int | str]:
    """`key=value,key=value`; what reads as a whole number is one."""
    arguments: dict[str, int | str] = {}
    for argument in filter(None, text.split(",")):
        key, equals, value = argument.partition("=")
        if not key or not equals:
            message = f"--grpc_channel_arguments: {argument}: write key=value,key=value"
            raise ConfigError(message)
        is_number = re.fullmatch(r"[+-]?[0-9]+", value) and abs(int(value)) <= _MOST_INT32
        arguments[key] = int(value) if is_number else value
    return arguments
