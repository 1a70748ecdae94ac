"""`medserve.v1.CatalogService`: which models there are, and whether they are ready."""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from msgspec.structs import replace

from gateway.authorize import allowed_models
from gateway.call import Call, Principal, Selector
from gateway.catalog import Catalog, VersionState
from gateway.errors import FieldInvalid, ModelNotFound, RequestMalformed
from gateway.pipeline import Pipeline
from medserve.v1 import catalog_pb2, manifest_pb2

SERVICE = "medserve.v1.CatalogService"
MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100

_STATE = {
    VersionState.UNKNOWN: catalog_pb2.VERSION_STATE_UNSPECIFIED,
    VersionState.PUBLISHED: catalog_pb2.VERSION_STATE_PUBLISHED,
    VersionState.LOADING: catalog_pb2.VERSION_STATE_LOADING,
    VersionState.AVAILABLE: catalog_pb2.VERSION_STATE_AVAILABLE,
    VersionState.UNLOADING: catalog_pb2.VERSION_STATE_UNLOADING,
    VersionState.ENDED: catalog_pb2.VERSION_STATE_ENDED,
    VersionState.FAILED: catalog_pb2.VERSION_STATE_FAILED,
}

Request = TypeVar("Request", bound=Message)


class CatalogServicer:
    """Answers `ListModels` and `GetModel`."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Takes the pipeline to delegate to."""
        self._pipeline = pipeline

    async def list_models(self, call: Call, request: bytes) -> bytes:
        """One `ListModelsRequest` in, one `ListModelsResponse` out."""

        def parse(bare: Call) -> tuple[Call, catalog_pb2.ListModelsRequest]:
            return bare, _parse(catalog_pb2.ListModelsRequest, request)

        response: catalog_pb2.ListModelsResponse = await self._pipeline.read(call, parse, _list_models)
        return response.SerializeToString()

    async def get_model(self, call: Call, request: bytes) -> bytes:
        """One `GetModelRequest` in, one `GetModelResponse` out."""

        def parse(bare: Call) -> tuple[Call, catalog_pb2.GetModelRequest]:
            message = _parse(catalog_pb2.GetModelRequest, request)
            return replace(bare, selectors=(Selector(model=message.name, field="name"),)), message

        response: catalog_pb2.GetModelResponse = await self._pipeline.read(call, parse, _get_model)
        return response.SerializeToString()


def _parse(kind: type[Request], request: bytes) -> Request:
    try:
        return kind.FromString(request)
    except DecodeError:
        message = f"the request isn't a {kind.DESCRIPTOR.name}: build it with the stubs of medserve.v1"
        raise RequestMalformed(message) from None


def _list_models(principal: Principal, catalog: Catalog, request: catalog_pb2.ListModelsRequest) -> catalog_pb2.ListModelsResponse:
    if not 0 <= request.page_size <= MAX_PAGE_SIZE:
        message = f"a page holds 1 to {MAX_PAGE_SIZE} models"
        raise FieldInvalid(message, field="page_size")
    # The token is the last name of the page before: it stays right while models come and go.
    names = [name for name in sorted(allowed_models(principal, catalog.published)) if name > request.page_token]
    page = names[: request.page_size or DEFAULT_PAGE_SIZE]
    return catalog_pb2.ListModelsResponse(
        models=[_model_of(catalog, name) for name in page], next_page_token=page[-1] if len(page) < len(names) else ""
    )


def _get_model(_: Principal, catalog: Catalog, request: catalog_pb2.GetModelRequest) -> catalog_pb2.GetModelResponse:
    if request.name not in catalog.published:
        message = "there is no model of that name: ListModels lists those that your key allows"
        raise ModelNotFound(message, field="name")
    return catalog_pb2.GetModelResponse(model=_model_of(catalog, request.name))


def _model_of(catalog: Catalog, name: str) -> catalog_pb2.Model:
    versions = catalog.published[name]
    return catalog_pb2.Model(
        name=name,
        versions=[
            catalog_pb2.ModelVersion(
                version=version,
                state=_STATE[catalog.state(name, version)],
                manifest=manifest_pb2.ModelManifest.FromString(versions[version].document),
            )
            for version in sorted(versions, reverse=True)
        ],
        version_labels=catalog.labels.get(name, {}),
        ready=catalog.is_ready(name),
        default_version=catalog.default_version(name) or 0,
    )
