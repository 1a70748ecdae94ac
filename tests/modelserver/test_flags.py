"""The command line."""

from pathlib import Path

import pytest

from modelserver.config import Batching, ConfigError
from modelserver.flags import UNSUPPORTED, parse

MODEL = "--model_base_path=/models/m"


@pytest.fixture
def monitoring(tmp_path: Path) -> str:
    (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }", encoding="utf-8")
    return f"--monitoring_config_file={tmp_path / 'monitoring.config'}"


@pytest.mark.parametrize("name", UNSUPPORTED)
@pytest.mark.parametrize("form", ["--{}=1", "--{} 1", "--{}"])
def test_a_flag_that_isnt_supported_stops_the_start_with_its_name_and_the_reason(name: str, form: str) -> None:
    arguments = form.format(name).split()

    with pytest.raises(ConfigError) as caught:
        parse([MODEL, *arguments])

    assert str(caught.value) == f"--{name} is not supported: {UNSUPPORTED[name]}"


def test_a_flag_that_doesnt_exist_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([MODEL, "--no_such_flag=1"])

    assert caught.value.code == 2
    assert "--no_such_flag" in capsys.readouterr().err


def test_a_flag_isnt_guessed_from_its_beginning() -> None:
    with pytest.raises(SystemExit):
        parse([MODEL, "--por=1"])


def test_one_model_is_named_on_the_command_line() -> None:
    flags = parse(["--model_name=m", MODEL])

    assert [(model.name, str(model.base_path)) for model in flags.models] == [("m", "/models/m")]


def test_the_defaults_are_those_of_tensorflow_serving() -> None:
    flags = parse([MODEL])

    assert (flags.port, flags.poll_seconds, flags.config_poll_seconds, flags.batching) == (8500, 1.0, 0.0, None)
    assert flags.models[0].name == "default"


@pytest.mark.parametrize("arguments", [[], [MODEL, "--model_config_file=/models.config"]], ids=["neither", "both"])
def test_either_a_model_or_a_file_of_them_is_named(arguments: list[str]) -> None:
    with pytest.raises(ConfigError, match="name either --model_config_file or --model_base_path"):
        parse(arguments)


@pytest.mark.parametrize(
    "argument",
    [
        "--port=-1",
        "--port=65536",
        "--file_system_poll_wait_seconds=nan",
        "--rest_api_port=-2",
        "--model_config_file_poll_wait_seconds=-1",
        "--file_system_poll_wait_seconds=-1",
        "--grpc_max_threads=0",
        "--tensorflow_intra_op_parallelism=-1",
        "--tensorflow_inter_op_parallelism=-1",
    ],
)
def test_a_number_that_cant_be_is_named(argument: str) -> None:
    with pytest.raises(ConfigError, match=argument.partition("=")[0]):
        parse([MODEL, argument])


@pytest.mark.parametrize(("argument", "expected"), [("", True), ("=true", True), ("=1", True), ("=false", False), ("=0", False)])
def test_batching_is_switched_as_tensorflow_serving_does(argument: str, expected: bool) -> None:
    flags = parse([MODEL, f"--enable_batching{argument}"])

    assert (flags.batching is not None) is expected


def test_batching_parameters_are_read(tmp_path: Path) -> None:
    file = tmp_path / "batching"
    file.write_text("max_batch_size { value: 3 } num_batch_threads { value: 1 }", encoding="utf-8")

    flags = parse([MODEL, "--enable_batching", f"--batching_parameters_file={file}"])

    assert flags.batching == Batching(max_batch_size=3, num_batch_threads=1)


def test_batching_parameters_without_batching_stop_the_start() -> None:
    with pytest.raises(ConfigError, match="without --enable_batching"):
        parse([MODEL, "--batching_parameters_file=/batching"])


def test_metrics_have_their_port_and_path(monitoring: str) -> None:
    flags = parse([MODEL, monitoring, "--rest_api_port=-1"])

    assert (flags.rest_api_port, flags.metrics_path) == (-1, "/monitoring/prometheus/metrics")


def test_a_port_for_nothing_and_metrics_without_a_port_stop_the_start(monitoring: str) -> None:
    for argument in (monitoring, "--rest_api_port=8501"):
        with pytest.raises(ConfigError, match="go together"):
            parse([MODEL, argument])
