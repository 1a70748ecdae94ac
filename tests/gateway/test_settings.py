"""The settings: what is shipped is what is default, and every mistake is named."""

from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, load

SHIPPED = Path(__file__).parents[2] / "serving_config" / "gateway.yaml"


def test_the_shipped_file_states_every_default() -> None:
    shipped = load(SHIPPED, {})

    assert shipped == load(None, {}, ["labels={digits: {stable: 1}}"])
    assert Settings() == load(None, {})


def test_the_environment_goes_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("backend: {address: 'file:1'}\nlisten: {port: 1}\n")
    environment = {"MEDSERVE_GATEWAY__BACKEND__ADDRESS": "environment:2", "MEDSERVE_GATEWAY__LISTEN__PORT": "2", "OTHER": "x"}

    settings = load(file, environment, ["listen.port=3", "repository.path=/models", "labels.digits.stable=4"])

    assert settings.backend.address == "environment:2"
    assert settings.listen.port == 3
    assert settings.repository.path == Path("/models")
    assert settings.labels == {"digits": {"stable": 4}}


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("listen.prot=1", "prot"),
        ("listen.port=high", "$.listen.port"),
        ("listen=1", "$.listen"),
        ("listen.port.x=1", "$.listen.port"),
        ("admission.max_calls=0", "admission.max_calls"),
        ("admission.min_timeout_seconds=20", "min_timeout_seconds"),
        ("listen.tls.certificate_file=a.pem", "private_key_file"),
        ("labels.digits.stable=0", "labels.digits.stable"),
        ("listen.port", "KEY=VALUE"),
        ("listen.port=65536", "listen.port"),
        ("listen.port=-1", "listen.port"),
        ("metrics.port=-2", "metrics.port"),
        ("log_level=LOUD", "log_level"),
        ("drain_seconds=-1", "drain_seconds"),
        ("drain_seconds=.nan", "drain_seconds"),
        ("repository.poll_seconds=0", "repository.poll_seconds"),
        ("backend.status_poll_seconds=-0.5", "backend.status_poll_seconds"),
        ("backend.status_timeout_seconds=.inf", "backend.status_timeout_seconds"),
        ("backend.max_output_elements=0", "backend.max_output_elements"),
        ("admission.max_timeout_seconds=.nan", "admission.max_timeout_seconds"),
    ],
)
def test_a_mistake_is_named(assignment: str, named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, {}, [assignment])

    assert named in str(caught.value)


@pytest.mark.parametrize(("content", "named"), [("a: [", "not YAML"), ("listen: {porta: 1}", "porta")])
def test_a_broken_file_is_named(tmp_path: Path, content: str, named: str) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(content)

    with pytest.raises(SettingsError, match=named) as caught:
        load(file, {})

    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "absent.yaml", {})
