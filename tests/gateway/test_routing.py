"""Which version answers: a table of cases, held apart from the code."""

from types import MappingProxyType

import pytest

from gateway.call import Selector
from gateway.catalog import Catalog, PublishedVersion, States, VersionState
from gateway.errors import FieldInvalid, LabelNotFound, MedserveError, ModelNotFound, ModelNotServed, VersionNotFound, VersionNotReady
from gateway.manifest import InputSpec, Manifest, OutputSpec
from gateway.routing import Router
from gateway.tensor import DType

AVAILABLE, LOADING, ENDED, FAILED = VersionState.AVAILABLE, VersionState.LOADING, VersionState.ENDED, VersionState.FAILED


def published(version: int, *, is_trial: bool = False) -> PublishedVersion:
    manifest = Manifest(
        name="m",
        version=version,
        signature_name="serving_default",
        inputs={"x": InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))},
        outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
        weights_digest=f"sha256:{version}",
        is_trial=is_trial,
    )
    return PublishedVersion(manifest=manifest, document=b"")


def router(states: States | None, *, versions: tuple[int, ...] = (1, 2, 3), trials: tuple[int, ...] = ()) -> Router:
    catalog = Catalog(labels={"m": {"stable": 1, "next": 9}})
    catalog.published = MappingProxyType({"m": {version: published(version, is_trial=version in trials) for version in versions}})
    catalog.set_states("m", states)
    return Router(catalog)


@pytest.mark.parametrize(
    ("states", "selector", "version"),
    [
        pytest.param({1: AVAILABLE, 2: AVAILABLE}, Selector(model="m"), 2, id="the newest that is available"),
        pytest.param({1: AVAILABLE, 2: LOADING}, Selector(model="m"), 1, id="not one that is loading"),
        pytest.param({1: AVAILABLE, 2: FAILED, 3: ENDED}, Selector(model="m"), 1, id="not one that failed or ended"),
        pytest.param({1: AVAILABLE, 7: AVAILABLE}, Selector(model="m"), 1, id="not one without a manifest"),
        pytest.param(None, Selector(model="m"), 3, id="the newest, while the model server can't be asked"),
        pytest.param({1: AVAILABLE, 2: AVAILABLE}, Selector(model="m", version=1), 1, id="the one that is asked for"),
        pytest.param({1: AVAILABLE, 2: AVAILABLE}, Selector(model="m", label="stable"), 1, id="the one that has the label"),
    ],
)
def test_chooses(states: States | None, selector: Selector, version: int) -> None:
    route = router(states).resolve(selector)

    assert route.version == version
    assert route.manifest is not None
    assert route.manifest.version == version
    assert route.by_default == (selector.version is None and selector.label is None)


@pytest.mark.parametrize(
    ("states", "trials", "selector", "version"),
    [
        pytest.param({1: AVAILABLE, 2: AVAILABLE, 3: AVAILABLE}, (3,), Selector(model="m"), 2, id="the newest that is none, before a trial"),
        pytest.param({1: LOADING, 2: AVAILABLE, 3: AVAILABLE}, (2, 3), Selector(model="m"), 3, id="the newest trial where nothing else is ready"),
        pytest.param({3: AVAILABLE}, (3,), Selector(model="m"), 3, id="a trial where the others were unloaded"),
        pytest.param(None, (3,), Selector(model="m"), 2, id="none of them, while the model server can't be asked"),
        pytest.param({1: AVAILABLE, 3: AVAILABLE}, (3,), Selector(model="m", version=3), 3, id="a trial that is asked for"),
        pytest.param({1: AVAILABLE, 2: AVAILABLE}, (1,), Selector(model="m", label="stable"), 1, id="a trial that has the label"),
    ],
)
def test_a_trial_answers_whoever_asks_for_it_and_others_where_there_is_nothing_else(
    states: States | None, trials: tuple[int, ...], selector: Selector, version: int
) -> None:
    assert router(states, trials=trials).resolve(selector).version == version


@pytest.mark.parametrize(
    ("states", "selector", "error", "field"),
    [
        ({1: AVAILABLE}, Selector(model=""), FieldInvalid, "model.name"),
        ({1: AVAILABLE}, Selector(model="other"), ModelNotFound, "model.name"),
        ({1: AVAILABLE}, Selector(model="m", version=8), VersionNotFound, "model.version"),
        ({1: AVAILABLE}, Selector(model="m", version=-1), VersionNotFound, "model.version"),
        ({1: AVAILABLE}, Selector(model="m", label="beta"), LabelNotFound, "model.version_label"),
        ({1: AVAILABLE}, Selector(model="m", label=""), LabelNotFound, "model.version_label"),
        ({1: AVAILABLE}, Selector(model="m", label="next"), VersionNotFound, "model.version_label"),
        ({1: AVAILABLE}, Selector(model="m", version=2), VersionNotReady, "model.version"),
        ({1: LOADING}, Selector(model="m", label="stable"), VersionNotReady, "model.version_label"),
        ({2: LOADING}, Selector(model="m"), VersionNotReady, "model.name"),
        ({}, Selector(model="m"), ModelNotServed, "model.name"),
        ({}, Selector(model="m", version=2), ModelNotServed, "model.name"),
    ],
)
def test_refuses_and_names_the_field(states: States, selector: Selector, error: type[MedserveError], field: str) -> None:
    with pytest.raises(error) as caught:
        router(states).resolve(selector)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("selector", "version"),
    [
        pytest.param(Selector(model="m"), None, id="the model server chooses"),
        pytest.param(Selector(model="m", version=5), 5, id="an unknown version is the model server's to refuse"),
        pytest.param(Selector(model="m", label="stable"), 1, id="a label of ours becomes its version"),
        pytest.param(Selector(model="m", label="theirs"), None, id="another label is the model server's"),
        pytest.param(Selector(model="other"), None, id="a model without a manifest can be called"),
    ],
)
def test_the_dropin_leaves_to_the_model_server_what_is_not_ours(selector: Selector, version: int | None) -> None:
    assert router({1: AVAILABLE}).resolve_dropin(selector).version == version


def test_the_dropin_is_held_against_the_newest_as_the_model_server_chooses_it_though_it_be_a_trial() -> None:
    routes = router({1: AVAILABLE, 2: AVAILABLE}, trials=(2,))

    manifest = routes.manifest_for(routes.resolve_dropin(Selector(model="m")))

    assert manifest is not None
    assert manifest.version == 2
