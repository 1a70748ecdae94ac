"""What the server says of itself: reflection, health and the catalog, each asked by a client of its own kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gateway.authorize import ANY_MODEL
from gateway.call import Action, Principal
from gateway.catalog import Catalog, PublishedVersion, VersionState
from gateway.errors import FieldInvalid, ModelNotFound
from gateway.manifest import InputSpec, Manifest, OutputSpec
from gateway.rpc.catalog import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, _get_model, _list_models
from gateway.rpc.services import Health
from gateway.tensor import DType
from medserve.v1 import catalog_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.conftest import Peer, Running

SERVICES = {
    "medserve.v1.InferenceService": ("Infer",),
    "medserve.v1.CatalogService": ("ListModels", "GetModel"),
    "tensorflow.serving.PredictionService": ("Classify", "Regress", "Predict", "MultiInference", "GetModelMetadata"),
    "tensorflow.serving.ModelService": ("GetModelStatus", "HandleReloadConfigRequest"),
    "grpc.health.v1.Health": ("Check", "List", "Watch"),
    "grpc.reflection.v1alpha.ServerReflection": ("ServerReflectionInfo",),
}
EVERYTHING = Principal(key_id="k", tenant="t", models=frozenset({ANY_MODEL}), actions=frozenset(Action))


def catalog_of(*names: str, states: dict[str, dict[int, VersionState] | None] | None = None) -> Catalog:
    catalog = Catalog(labels={})
    spec = InputSpec(name="x", dtype=DType.FLOAT32, shape=(1,))
    outputs = {"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))}
    catalog.published = {
        name: {1: PublishedVersion(
            manifest=Manifest(name=name, version=1, signature_name="s", inputs={"x": spec}, outputs=outputs, weights_digest="d"), document=b""
        )}
        for name in names
    }  # fmt: skip
    catalog.states = states or {}
    return catalog


# Reflection.


def test_reflection_lists_every_service(gateway: Running) -> None:
    assert set(ProtoReflectionDescriptorDatabase(gateway.channel).get_services()) == set(SERVICES)


@pytest.mark.parametrize(("service", "expected"), SERVICES.items())
def test_reflection_describes_every_service_with_all_that_its_messages_need(gateway: Running, service: str, expected: tuple[str, ...]) -> None:
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(gateway.channel))

    described = pool.FindServiceByName(service)

    # A pool resolves a file only where every type that it names is found.
    assert tuple(described.methods_by_name) == expected
    assert all(method.input_type.fields is not None and method.output_type.fields is not None for method in described.methods)


def test_a_request_built_from_reflection_alone_is_answered(gateway: Running) -> None:
    pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(gateway.channel))
    method = pool.FindServiceByName("tensorflow.serving.ModelService").methods_by_name["GetModelStatus"]
    request_class, reply_class = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    request: Any = request_class()
    request.model_spec.name = "record"

    call = gateway.channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus", request_class.SerializeToString, reply_class.FromString)
    reply: Any = call(request, metadata=gateway.metadata(), timeout=60)

    assert [version.version for version in reply.model_version_status] == [1]


# Health.


def status_of(health: Health, service: str) -> str:
    async def check() -> Any:
        servicer: Any = health.servicer
        return await servicer.Check(health_pb2.HealthCheckRequest(service=service), None)

    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(asyncio.run(check()).status))


def test_health_is_that_of_the_model_server_and_of_each_model() -> None:
    catalog = catalog_of(
        "ready", "loading", "unknown", states={"ready": {1: VersionState.AVAILABLE}, "loading": {1: VersionState.LOADING}, "unknown": None}
    )
    health = Health(catalog, {"s": None})

    asyncio.run(health.update(is_backend_reachable=True))

    assert {name: status_of(health, name) for name in ("", "s", "ready", "loading", "unknown")} == {
        "": "SERVING", "s": "SERVING", "ready": "SERVING", "loading": "NOT_SERVING", "unknown": "NOT_SERVING",
    }  # fmt: skip


def test_without_a_model_server_the_whole_is_not_ready() -> None:
    health = Health(catalog_of(), {"s": None})

    asyncio.run(health.update(is_backend_reachable=False))

    assert status_of(health, "") == "NOT_SERVING"


def test_a_model_that_is_gone_is_not_ready() -> None:
    catalog = catalog_of("m", states={"m": {1: VersionState.AVAILABLE}})
    health = Health(catalog, {})
    asyncio.run(health.update(is_backend_reachable=True))

    catalog.published = {}
    asyncio.run(health.update(is_backend_reachable=True))

    assert status_of(health, "m") == "NOT_SERVING"


def test_once_stopping_nothing_is_ready_whatever_comes() -> None:
    health = Health(catalog_of("m", states={"m": {1: VersionState.AVAILABLE}}), {"s": None})
    asyncio.run(health.update(is_backend_reachable=True))

    asyncio.run(health.stop())
    asyncio.run(health.update(is_backend_reachable=True))

    assert [status_of(health, name) for name in ("", "s", "m")] == ["NOT_SERVING"] * 3


def test_health_over_the_wire_needs_no_key_and_follows_the_model_server(gateway: Running, peer: Peer, poll: Callable[..., Any]) -> None:
    stub: Any = health_pb2_grpc.HealthStub(gateway.channel)

    def is_serving(name: str) -> bool:
        return bool(stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=60).status == health_pb2.HealthCheckResponse.SERVING)

    poll(lambda: is_serving("ecg"), "ecg serves")
    peer.versions["ecg"] = []
    poll(lambda: not is_serving("ecg"), "ecg is gone")
    assert is_serving("")
    assert is_serving("digits")
    peer.versions["ecg"] = [1]
    poll(lambda: is_serving("ecg"), "ecg is back")
    with pytest.raises(grpc.RpcError) as caught:
        is_serving("nope")
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND


# The catalog.


def names(response: catalog_pb2.ListModelsResponse) -> list[str]:
    return [model.name for model in response.models]


def test_pages_follow_one_another_until_the_last() -> None:
    catalog = catalog_of("c", "a", "e", "b", "d")
    pages, token = [], ""

    while True:
        response = _list_models(EVERYTHING, catalog, catalog_pb2.ListModelsRequest(page_size=2, page_token=token))
        pages.append(names(response))
        token = response.next_page_token
        if not token:
            break

    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_a_page_token_stays_right_while_models_come_and_go() -> None:
    token = _list_models(EVERYTHING, catalog_of("a", "b", "c"), catalog_pb2.ListModelsRequest(page_size=2)).next_page_token

    response = _list_models(EVERYTHING, catalog_of("a", "aa", "c", "d"), catalog_pb2.ListModelsRequest(page_token=token))

    assert names(response) == ["c", "d"]


def test_a_full_last_page_has_no_successor() -> None:
    assert _list_models(EVERYTHING, catalog_of("a", "b"), catalog_pb2.ListModelsRequest(page_size=2)).next_page_token == ""


def test_a_page_holds_a_hundred_where_nobody_says() -> None:
    catalog = catalog_of(*(f"m{number:03}" for number in range(DEFAULT_PAGE_SIZE + 1)))

    assert len(_list_models(EVERYTHING, catalog, catalog_pb2.ListModelsRequest()).models) == 100


@pytest.mark.parametrize("size", [-1, MAX_PAGE_SIZE + 1])
def test_a_page_size_out_of_bounds_is_refused(size: int) -> None:
    with pytest.raises(FieldInvalid) as caught:
        _list_models(EVERYTHING, catalog_of(), catalog_pb2.ListModelsRequest(page_size=size))

    assert caught.value.field == "page_size"


def test_a_caller_sees_the_models_of_its_key_and_no_others() -> None:
    narrow = Principal(key_id="k", tenant="t", models=frozenset({"b", "absent"}), actions=frozenset(Action))

    assert names(_list_models(narrow, catalog_of("a", "b", "c"), catalog_pb2.ListModelsRequest())) == ["b"]


def test_a_model_that_there_is_not_is_not_found() -> None:
    with pytest.raises(ModelNotFound) as caught:
        _get_model(EVERYTHING, catalog_of("a"), catalog_pb2.GetModelRequest(name="b"))

    assert caught.value.field == "name"


def test_the_catalog_over_the_wire(gateway: Running, poll: Callable[..., Any]) -> None:
    def ready() -> Any:
        model = gateway.catalog.GetModel(catalog_pb2.GetModelRequest(name="digits"), metadata=gateway.metadata("reader"), timeout=60).model
        return model if model.ready else None

    model = poll(ready, "digits is ready")

    listed = gateway.catalog.ListModels(catalog_pb2.ListModelsRequest(), metadata=gateway.metadata("reader"), timeout=60)
    assert names(listed) == ["bedside", "clinic", "digits", "ecg", "record"]
    assert [(version.version, version.state) for version in model.versions] == [(2, catalog_pb2.VERSION_STATE_AVAILABLE), (1, 3)]
    assert model.versions[0].manifest.inputs[0].name == "images"
    assert dict(model.version_labels) == {"stable": 1, "later": 3}
    assert model.default_version == 2
