"""`HandleReloadConfigRequest`: section 6 of `tfserving_observed.md`, and server_core.cc. Each row on a server that is first set to the same list."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from tensorflow_serving.apis import model_management_pb2

from tests.contract.reloads import MODEL_A, PATIENCE_SECONDS, UNLABELLED, A, B, Reloads, eventually, gone, labelled, listed, model
from tests.contract.wire import parsed

INVALID = "INVALID_ARGUMENT"


@dataclass(frozen=True, kw_only=True)
class Reload:
    """One row: a request in text form, what it comes to, and what a Predict by a ModelSpec in text form comes to afterwards, sooner or later.

    `reference` is what TensorFlow Serving answers where that differs, and `why`; `reference_poisons` says that it takes no list afterwards.
    """

    row: str
    request: str
    code: str = "OK"
    message: str | re.Pattern[str] = ""
    reply: str = "status { }"
    after: Mapping[str, tuple[str, str] | int] = field(default_factory=dict)
    states: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    reference: tuple[str, str] | None = None
    why: str = ""
    reference_poisons: bool = False


STABLE, CANARY = 'name: "a" version_label: "stable"', 'name: "a" version_label: "canary"'
NO_STABLE = (INVALID, "Unrecognized servable version label: stable")
UNCHANGED: Mapping[str, tuple[str, str] | int] = {MODEL_A: 2, STABLE: 1, 'name: "b"': 1}
NOT_A_LIST = "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"


def unavailable(version: int) -> str:
    return f"Request to assign label to version {version} of model a, which is not currently available for inference"


NEITHER = "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, model name is "
CASES = [
    Reload(row="6: same config again", request=listed(A, B), after=UNCHANGED),
    Reload(row="6: no config", request="", code=INVALID, message=NOT_A_LIST, after=UNCHANGED),
    Reload(row="6: empty config", request="config { }", code=INVALID, message=NOT_A_LIST, after=UNCHANGED),
    Reload(row="6: custom_model_config", request="config { custom_model_config { } }", code=INVALID, message=NOT_A_LIST, after=UNCHANGED),
    Reload(
        row="6: model_config_list {}", request="config { model_config_list { } }", after={MODEL_A: gone("a"), 'name: "b"': gone("b")},
        states={"a": {2: "END", 1: "END"}, "b": {1: "END"}},
    ),
    Reload(
        row="6: duplicate model", request=listed(A, B, model("a", "{root}/b")), code=INVALID,
        message="Illegal to list model a multiple times in config list", after=UNCHANGED,
    ),
    Reload(
        row="6: changed base path", request=listed(model("a", "{root}/moved"), B), after={MODEL_A: 3, 'name: "b"': 1},
        states={"a": {3: "AVAILABLE", 2: "END", 1: "END"}},
    ),
    Reload(
        row="6: label -> version not loaded", request=listed(labelled(stable=2, canary=999), B), code="FAILED_PRECONDITION",
        message=unavailable(999), after=UNCHANGED,
    ),
    Reload(
        row="6: label -> a version of a model that isn't loaded",
        request=listed(A, B, model("new", "{root}/b", more='version_labels { key: "stable" value: 1 }')),
        after={'name: "new" version_label: "stable"': 1, **UNCHANGED},
        reference=("FAILED_PRECONDITION", "Request to assign label to version 1 of model new, which is not currently available for inference"),
        why="a label that comes with its model applies once the version is there",
    ),
    Reload(row="6: labels dropped from config", request=listed(UNLABELLED, B), after={MODEL_A: 2, STABLE: NO_STABLE}),
    Reload(
        row="6: a label on a version that is loaded", request=listed(labelled(stable=1, canary=2), B), after={STABLE: 1, CANARY: 2, MODEL_A: 2},
    ),
    Reload(
        row="6: a label moves", request=listed(labelled(stable=2), B),
        after={STABLE: 2, CANARY: (INVALID, "Unrecognized servable version label: canary")},
    ),
    Reload(
        row="6: a new model is available when the call returns", request=listed(A, B, model("c", "{root}/moved")),
        after={'name: "c"': 3, **UNCHANGED},
        states={"c": {3: "AVAILABLE"}},
    ),
    Reload(
        row="6: corrupt saved_model.pb", request=listed(A, B, model("bad", "{root}/bad")), code="UNKNOWN",
        message=re.compile(r"1 model\(s\) did not become available: \{\{\{name: bad version: 1\} due to error: [A-Z_]+: [\s\S]+\}, \}"),
        after={'name: "bad"': gone("bad"), **UNCHANGED}, states={"bad": {1: "END"}},
    ),
    Reload(
        row="6: no model_platform", request=listed(A, B, model("np", "{root}/b", "")), code=INVALID, message=f"{NEITHER}np", after=UNCHANGED,
        reference_poisons=True,
    ),
    Reload(
        row="6: unknown platform", request=listed(A, B, model("up", "{root}/b", 'model_platform: "pytorch"')), code=INVALID,
        message="Model up requests unsupported platform pytorch", after=UNCHANGED,
    ),
    Reload(
        row="6: changed platform", request=listed(B, model("a", "{root}/a", 'model_platform: "other"')), code=INVALID,
        message="Illegal to change a model's platform. For model a platform was tensorflow and new platform requested is other", after=UNCHANGED,
    ),
    Reload(
        row="6: empty base_path", request=listed(A, B, model("rb", "")), code=INVALID,
        message="Expected model rb to have an absolute path or URI; got base_path()=", after=UNCHANGED,
    ),
    Reload(
        row="6: relative base_path", request=listed(A, B, model("rb", "models/x")), code=INVALID,
        message="Expected model rb to have an absolute path or URI; got base_path()=models/x", after=UNCHANGED,
    ),
    Reload(row="6: empty model name", request=listed(A, B, model("", "{root}/b")), after=UNCHANGED, states={"": {1: "AVAILABLE"}}),
    Reload(row="6: model removed", request=listed(A), after={'name: "b"': gone("b"), MODEL_A: 2}, states={"b": {1: "END"}}),
    Reload(
        row="server_core.cc: model_type in place of the platform", request=listed(A, B, model("old", "{root}/b", "model_type: TENSORFLOW")),
        after={'name: "old"': 1},
    ),
    Reload(
        row="server_core.cc: both model_type and platform", code=INVALID,
        request=listed(B, model("a", "{root}/a", 'model_type: TENSORFLOW model_platform: "tensorflow"')),
        message="Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, model name is a",
        after=UNCHANGED,
    ),
    Reload(
        row="server_core.cc: another model_type", request=listed(B, model("a", "{root}/a", "model_type: OTHER")), code=INVALID,
        message="ModelServerConfig::model_type choice 2 not supported.", after=UNCHANGED,
    ),
    Reload(
        row="server_core.cc: order: a name twice before its path", request=listed(A, model("a", "")), code=INVALID,
        message="Illegal to list model a multiple times in config list", after=UNCHANGED,
    ),
    Reload(
        row="server_core.cc: order: paths before platforms", request=listed(model("a", "x", 'model_platform: "other"')), code=INVALID,
        message="Expected model a to have an absolute path or URI; got base_path()=x", after=UNCHANGED,
    ),
    Reload(
        row="server_core.cc: order: labels before the platform of a new model",
        request=listed(labelled(canary=999), B, model("up", "{root}/b", 'model_platform: "pytorch"')), code="FAILED_PRECONDITION",
        message=unavailable(999), after=UNCHANGED,
    ),
    Reload(
        row="server_core.cc: order: the platform of a model that there is before labels",
        request=listed(model("a", "{root}/a", 'model_platform: "other"', 'version_labels { key: "stable" value: 999 }')), code=INVALID,
        message="Illegal to change a model's platform. For model a platform was tensorflow and new platform requested is other", after=UNCHANGED,
    ),
    Reload(
        row="file_system_storage_path_source.cc: specific versions",
        request=listed(model("a", "{root}/a", more="model_version_policy { specific { versions: 1 } }"), B),
        after={MODEL_A: 1}, states={"a": {2: "END", 1: "AVAILABLE"}},
    ),
    Reload(
        row="file_system_storage_path_source.cc: the latest", request=listed(model("a", "{root}/a"), B), after={MODEL_A: 2},
        states={"a": {2: "AVAILABLE", 1: "END"}},
    ),
    Reload(
        row="model_service_impl.cc: metric_names are answered with their growth", request=f'{listed(A, B)} metric_names: "/nope"',
        reply='status { } metric { name: "/nope" int64_value_increase: 0 }', after=UNCHANGED,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_reload_does_as_its_row_says(reloads: Reloads, is_reference: bool, case: Reload) -> None:
    if is_reference and case.reference_poisons:
        pytest.skip("it would refuse every later list")

    answer = reloads.reload(case.request)

    if is_reference and case.reference is not None:
        assert answer.status == case.reference
        return
    if isinstance(case.message, re.Pattern):
        assert answer.code == case.code
        assert case.message.fullmatch(answer.message), answer.message
    else:
        assert answer.status == (case.code, case.message)
    if answer.code == "OK":
        assert answer.reply == parsed(model_management_pb2.ReloadConfigResponse, case.reply)
    assert not answer.trailers
    for spec, wanted in case.after.items():
        eventually(partial(reloads.predicted, spec), wanted)
    for name, states in case.states.items():
        eventually(partial(reloads.states, name, states), states)


def test_a_refused_reload_poisons_nothing(reloads: Reloads, is_reference: bool) -> None:
    """Section 6, "no model_platform": TensorFlow Serving refuses every later list with the same message, until a restart."""
    if is_reference:
        pytest.skip("it would refuse every later list")

    refused = reloads.reload(listed(A, B, model("np", "{root}/b", "")))
    good = reloads.reload(listed(A, B, model("c", "{root}/b")))

    assert refused.message == f"{NEITHER}np"
    assert (good.code, reloads.predicted('name: "c"')) == ("OK", 1)


@pytest.mark.parametrize("base_path", ["{root}/missing", "{root}/empty"])
def test_a_reload_that_waits_for_a_version_can_be_given_up_and_blocks_no_other(reloads: Reloads, is_reference: bool, base_path: str) -> None:
    """Section 6, "base path missing, or without versions": TensorFlow Serving waits for ever, and with it every later reload."""
    if is_reference:
        pytest.skip("no later reload would return")
    (reloads.root / "empty").mkdir(exist_ok=True)

    waited = reloads.reload(listed(A, B, model("nothing", base_path)), timeout_seconds=1)
    good = reloads.reload(listed(A, B))

    # In whose words is a race: the caller's own gRPC sees it, and whoever it asked.
    assert waited.code == "DEADLINE_EXCEEDED"
    assert good.code == "OK"
    assert reloads.predicted(MODEL_A) == 2


def test_a_reload_returns_once_a_version_appears(reloads: Reloads, tmp_path: Path) -> None:
    """Section 6: "does not return until a version appears there"."""
    base_path = tmp_path / "late"
    base_path.mkdir()
    request = reloads.request(listed(A, B, model("late", str(base_path))))

    call = reloads.caller.start("HandleReloadConfigRequest", request, timeout_seconds=PATIENCE_SECONDS)
    eventually(lambda: reloads.predicted('name: "late"'), gone("late"))
    shutil.copytree(reloads.root / "late" / "ready", tmp_path / "ready")
    was_done = call.done()
    (tmp_path / "ready").rename(base_path / "7")

    answer = reloads.caller.answer_of(call)
    assert (was_done, answer.status, reloads.predicted('name: "late"')) == (False, ("OK", ""), 7)
