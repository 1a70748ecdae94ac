"""The command line."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from modelserver.config import Batching, ConfigError
from modelserver.flag_table import UNSUPPORTED, Flags, markdown
from modelserver.flags import parse

ROOT = Path(__file__).parents[2]
MODEL = "--model_base_path=/models/m"

# TensorFlow Serving's flags, read out of model_servers/main.cc: an independent copy of the table.
_THEIRS = """
port grpc_socket_path rest_api_port rest_api_num_threads rest_api_timeout_in_ms rest_api_enable_cors_support enable_batching
allow_version_labels_for_unavailable_models batching_parameters_file enable_per_model_batching_parameters model_config_file
model_config_file_poll_wait_seconds model_name model_base_path num_load_threads num_unload_threads max_num_load_retries load_retry_interval_micros
file_system_poll_wait_seconds flush_filesystem_caches tensorflow_session_parallelism tensorflow_session_config_file tensorflow_intra_op_parallelism
tensorflow_inter_op_parallelism use_alts_credentials ssl_config_file platform_config_file per_process_gpu_memory_fraction saved_model_tags
grpc_channel_arguments grpc_max_threads enable_model_warmup num_request_iterations_for_warmup version monitoring_config_file
remove_unused_fields_from_bundle_metagraph prefer_tflite_model num_tflite_pools num_tflite_interpreters_per_pool enable_signature_method_name_check
xla_cpu_compilation_enabled xla_gpu_compilation_enabled enable_profiler thread_pool_factory_config_file mixed_precision skip_initialize_tpu
enable_grpc_healthcheck_service enable_serialization_as_tensor_content
"""
THEIRS = frozenset(_THEIRS.split())


@pytest.fixture
def monitoring(tmp_path: Path) -> str:
    (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }", encoding="utf-8")
    return f"--monitoring_config_file={tmp_path / 'monitoring.config'}"


def test_each_of_their_flags_is_supported_or_refused_and_never_both() -> None:
    supported = {flag.name for flag in fields(Flags)}

    assert not supported & UNSUPPORTED.keys()
    assert supported | UNSUPPORTED.keys() == {*THEIRS, "host", "allowed_ops_file"}


def test_the_documentation_has_the_table() -> None:
    """`python -c 'from modelserver.flag_table import markdown; print(markdown())'` prints it anew."""
    documentation = (ROOT / "docs" / "modelserver.md").read_text(encoding="utf-8")

    (section,) = re.findall(r"^## Flags\n(.*?)(?=^## |\Z)", documentation, re.MULTILINE | re.DOTALL)

    assert markdown() in section


@pytest.mark.parametrize("name", UNSUPPORTED)
@pytest.mark.parametrize("form", ["--{}=1", "--{}=false", "--{}"])
def test_a_flag_that_isnt_supported_stops_the_start_with_its_name_and_the_reason(name: str, form: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse([MODEL, form.format(name)])

    assert str(caught.value) == f"--{name} is not supported: {UNSUPPORTED[name]}"


def test_a_flag_that_doesnt_exist_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([MODEL, "--no_such_flag=1"])

    assert caught.value.code == 2
    assert "--no_such_flag" in capsys.readouterr().err


def test_a_flag_isnt_guessed_from_its_beginning() -> None:
    with pytest.raises(SystemExit):
        parse([MODEL, "--por=1"])


def test_a_value_is_written_after_an_equals_sign(capsys: pytest.CaptureFixture[str]) -> None:
    """Theirs takes a word by itself for an unknown argument, and goes on without the value."""
    with pytest.raises(SystemExit) as caught:
        parse([MODEL, "--port", "1"])

    assert caught.value.code == 2
    assert "1 is no flag: write --flag=value" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--version", "--version=true"])
def test_the_versions_are_two_lines_and_the_end(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([argument])

    assert caught.value.code == 0
    server, library = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"TensorFlow ModelServer: [0-9.]+\+medserve\.[0-9.]+", server)
    assert re.fullmatch(r"TensorFlow Library: [0-9.]+", library)


def test_one_model_is_named_on_the_command_line() -> None:
    setup = parse(["--model_name=m", MODEL])

    assert [(model.name, str(model.base_path)) for model in setup.models] == [("m", "/models/m")]


def test_the_defaults_are_those_of_tensorflow_serving() -> None:
    setup = parse([MODEL])

    flags = setup.flags
    assert (flags.port, flags.file_system_poll_wait_seconds, flags.model_config_file_poll_wait_seconds, setup.batching) == (8500, 1.0, 0.0, None)
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros, flags.enable_model_warmup) == (5, 60_000_000, True)
    assert (setup.models[0].name, setup.tags, setup.credentials, setup.allowed_ops) == ("default", ("serve",), None, None)


def test_without_a_model_and_a_file_of_them_nothing_starts() -> None:
    with pytest.raises(ConfigError, match="name either --model_config_file or --model_base_path"):
        parse([])


def test_beside_a_file_of_models_the_one_model_says_nothing(tmp_path: Path) -> None:
    """TensorFlow Serving's own container names one always."""
    file = tmp_path / "models.config"
    file.write_text("model_config_list {}", encoding="utf-8")

    setup = parse(["--model_name=m", MODEL, f"--model_config_file={file}"])

    assert setup.models == ()


@pytest.mark.parametrize(
    "argument",
    [
        "--port=-1",
        "--port=65536",
        "--file_system_poll_wait_seconds=nan",
        "--rest_api_port=-2",
        "--rest_api_num_threads=0",
        "--model_config_file_poll_wait_seconds=-1",
        "--file_system_poll_wait_seconds=-1",
        "--grpc_max_threads=0",
        "--tensorflow_intra_op_parallelism=-1",
        "--tensorflow_inter_op_parallelism=-1",
        "--max_num_load_retries=-1",
        "--num_load_threads=-1",
    ],
)
def test_a_number_that_cant_be_is_named(argument: str) -> None:
    with pytest.raises(ConfigError, match=argument.partition("=")[0]):
        parse([MODEL, argument])


@pytest.mark.parametrize(("argument", "expected"), [("", True), ("=true", True), ("=1", True), ("=false", False), ("=0", False)])
def test_batching_is_switched_as_tensorflow_serving_does(argument: str, expected: bool) -> None:
    setup = parse([MODEL, f"--enable_batching{argument}"])

    assert (setup.batching is not None) is expected


def test_batching_parameters_are_read(tmp_path: Path) -> None:
    file = tmp_path / "batching"
    file.write_text("max_batch_size { value: 3 } num_batch_threads { value: 1 }", encoding="utf-8")

    setup = parse([MODEL, "--enable_batching", f"--batching_parameters_file={file}"])

    assert setup.batching == Batching(max_batch_size=3, num_batch_threads=1)


def test_batching_parameters_without_batching_stop_the_start() -> None:
    with pytest.raises(ConfigError, match="without --enable_batching"):
        parse([MODEL, "--batching_parameters_file=/batching"])


def test_metrics_have_their_port_and_path(monitoring: str) -> None:
    setup = parse([MODEL, monitoring, "--rest_api_port=-1"])

    assert (setup.flags.rest_api_port, setup.metrics_path) == (-1, "/monitoring/prometheus/metrics")


def test_rest_needs_no_metrics() -> None:
    setup = parse([MODEL, "--rest_api_port=8501"])

    assert (setup.flags.rest_api_port, setup.metrics_path) == (8501, None)


def test_metrics_without_a_port_stop_the_start(monitoring: str) -> None:
    with pytest.raises(ConfigError, match="--monitoring_config_file is set without --rest_api_port"):
        parse([MODEL, monitoring])


def test_rest_is_as_tensorflow_serving_has_it_by_default() -> None:
    flags = parse([MODEL]).flags

    assert (flags.rest_api_port, flags.rest_api_timeout_in_ms, flags.rest_api_enable_cors_support) == (0, 30_000, False)


@pytest.mark.parametrize(
    ("arguments", "intra", "inter"),
    [
        ([], 0, 0),
        (["--tensorflow_session_parallelism=3"], 3, 3),
        (["--tensorflow_intra_op_parallelism=1"], 1, 0),
        (["--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=2"], 1, 2),
        (["--tensorflow_session_parallelism=3", "--tensorflow_inter_op_parallelism=2"], 0, 2),
    ],
)
def test_the_parallelism_is_set_as_theirs_is(arguments: list[str], intra: int, inter: int) -> None:
    """model_servers/server.cc: the one for both holds where neither of the others is set."""
    config = parse([MODEL, *arguments]).session_config

    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (intra, inter)


def test_all_three_parallelisms_stop_the_start() -> None:
    with pytest.raises(ConfigError, match="You cannot configure all"):
        parse([MODEL, "--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=1"])


def test_channel_arguments_are_numbers_and_texts() -> None:
    setup = parse([MODEL, "--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.primary_user_agent=m,grpc.big=4294967296"])

    assert setup.channel_arguments == {"grpc.max_connection_age_ms": 2000, "grpc.primary_user_agent": "m", "grpc.big": "4294967296"}


@pytest.mark.parametrize("text", ["grpc.x", "=1"])
def test_a_channel_argument_without_a_key_or_a_value_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="write key=value"):
        parse([MODEL, f"--grpc_channel_arguments={text}"])


def test_tags_have_commas_between_them() -> None:
    assert parse([MODEL, "--saved_model_tags=serve,gpu"]).tags == ("serve", "gpu")


def test_allowed_operations_are_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "ops"
    file.write_text("# arithmetic\nAddV2\n\n  Mul  # products\n", encoding="utf-8")

    assert parse([MODEL, f"--allowed_ops_file={file}"]).allowed_ops == frozenset({"AddV2", "Mul"})


@pytest.mark.parametrize("flag", ["allowed_ops_file", "ssl_config_file", "model_config_file"])
def test_a_file_that_is_missing_is_named(flag: str) -> None:
    with pytest.raises(ConfigError, match="/no/such/file"):
        parse([MODEL, f"--{flag}=/no/such/file"])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('server_key: "k"', "server_key and server_cert are both needed"),
        ('server_key: "k" server_cert: "c" client_verify: true', "client_verify needs custom_ca"),
    ],
)
def test_an_ssl_file_that_cant_be_used_says_why(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "ssl"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match=reason):
        parse([MODEL, f"--ssl_config_file={file}"])


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("--enable_per_model_batching_parameters", "without --enable_batching"), ("--remove_unused_fields_from_bundle_metagraph=false", "signatures")],
)
def test_what_cant_be_honoured_stops_the_start(argument: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse([MODEL, argument])
