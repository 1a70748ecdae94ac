"""`grpc.health.v1`: whether the server as a whole has what it serves."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

# The names that TensorFlow Serving answers for.
_NAMES = ("", "ModelService", "PredictionService")


class Health(health.HealthServicer):
    """Answers for each of TensorFlow Serving's names alike: SERVING once every model has a version that answers."""

    def __init__(self) -> None:
        """Says that nothing is ready yet."""
        super().__init__()
        self.show(is_ready=False)

    def add_to(self, server: grpc.Server) -> None:
        """Puts the service on a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self, server)

    def show(self, *, is_ready: bool) -> None:
        """Says from now on that it serves, or doesn't."""
        for name in _NAMES:
            self.set(name, health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING)

    def Check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> health_pb2.HealthCheckResponse:  # noqa: N802 - gRPC's name
        """The state of one name. NOT_FOUND, in the words of gRPC's C++, for another."""
        if request.service not in _NAMES:
            context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return super().Check(request, context)
