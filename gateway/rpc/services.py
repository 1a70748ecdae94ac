"""Every method that the gateway serves, in one table, and the server's own services beside them: health and reflection."""

from collections.abc import Mapping

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from gateway.call import Action
from gateway.catalog import Catalog
from gateway.pipeline import Pipeline
from gateway.rpc import catalog as catalog_rpc
from gateway.rpc import inference, serving
from gateway.rpc.boundary import Handle, handler
from medserve.v1 import catalog_pb2, error_reason_pb2, inference_pb2
from tfserving.v1 import prediction_pb2

# In our own proto package, so that it can live beside TensorFlow's; on the wire and in reflection it has TensorFlow Serving's name.
_OUR_PACKAGE, _WIRE_PACKAGE = "tfserving.v1", "tensorflow.serving"


def methods(pipeline: Pipeline) -> Mapping[str, Mapping[str, tuple[Action, Handle]]]:
    """What each method asks leave for and who answers it, by service and method."""
    infer = inference.InferenceServicer(pipeline)
    catalog = catalog_rpc.CatalogServicer(pipeline)
    dropin = serving.ServingServicer(pipeline)
    return {
        inference.SERVICE: {"Infer": (Action.INFER, infer.infer)},
        catalog_rpc.SERVICE: {"ListModels": (Action.READ, catalog.list_models), "GetModel": (Action.READ, catalog.get_model)},
        serving.PREDICTION_SERVICE: {
            "Classify": (Action.INFER, dropin.classify),
            "Regress": (Action.INFER, dropin.regress),
            "Predict": (Action.INFER, dropin.predict),
            "MultiInference": (Action.INFER, dropin.multi_inference),
            "GetModelMetadata": (Action.READ, dropin.get_model_metadata),
        },
        serving.MODEL_SERVICE: {
            "GetModelStatus": (Action.READ, dropin.get_model_status),
            "HandleReloadConfigRequest": (Action.RELOAD, dropin.reload_config),
        },
    }


class Health:
    """`grpc.health.v1`: the gateway as a whole under the empty name, each service under its own, each model under its."""

    def __init__(self, catalog: Catalog, services: Mapping[str, object]) -> None:
        """Takes the catalog to read, and the services that are up while the process is."""
        self._catalog = catalog
        self._models: set[str] = set()
        self._stopping = False
        self._services = tuple(services)
        self.servicer = health.aio.HealthServicer()

    async def update(self, *, is_backend_reachable: bool) -> None:
        """Says what is so now. The whole is ready when the model server can be reached; a model, when a call to it would be answered."""
        if self._stopping:
            return
        await self._set("", is_serving=is_backend_reachable)
        for service in self._services:
            await self._set(service, is_serving=True)
        models = set(self._catalog.published)
        for model in models:
            await self._set(model, is_serving=self._catalog.is_ready(model))
        for gone in self._models - models:
            await self._set(gone, is_serving=False)
        self._models = models

    async def stop(self) -> None:
        """From now on nothing is ready: load balancers send new calls elsewhere."""
        self._stopping = True
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, name: str, *, is_serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.servicer.set(name, status)


def register(server: grpc.aio.Server, pipeline: Pipeline, catalog: Catalog) -> Health:
    """Puts every service on a server; returns the health to keep up to date."""
    table = methods(pipeline)
    for service, rows in table.items():
        handlers = {name: handler(f"/{service}/{name}", action, handle) for name, (action, handle) in rows.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    status = Health(catalog, table)
    health_pb2_grpc.add_HealthServicer_to_server(status.servicer, server)
    names = (*table, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=reflection_pool())
    return status


def reflection_pool() -> descriptor_pool.DescriptorPool:
    """What reflection shows: our files as they are, and the drop-in's under the names that it has on the wire."""
    pool = descriptor_pool.DescriptorPool()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in added:
            return
        added.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        if proto.package == _OUR_PACKAGE:
            proto = _renamed(proto)
        pool.Add(proto)

    for module in (inference_pb2, catalog_pb2, error_reason_pb2, prediction_pb2, health_pb2, reflection_pb2):
        add(module.DESCRIPTOR)
    return pool


def _renamed(proto: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """A file of `tfserving.v1` under the package `tensorflow.serving`."""
    proto.package = _WIRE_PACKAGE

    def rename(name: str) -> str:
        return name.replace(f".{_OUR_PACKAGE}.", f".{_WIRE_PACKAGE}.", 1)

    def visit(message: descriptor_pb2.DescriptorProto) -> None:
        for field in message.field:
            if field.type_name:
                field.type_name = rename(field.type_name)
        for nested in message.nested_type:
            visit(nested)

    for message in proto.message_type:
        visit(message)
    for service in proto.service:
        for method in service.method:
            method.input_type, method.output_type = rename(method.input_type), rename(method.output_type)
    return proto
