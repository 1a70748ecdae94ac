"""What the flags do to a real process: TLS, a socket, tags, operations, batches, the form of replies."""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc

from local.process import Process
from tfserving.v1 import config_pb2

ROOT = Path(__file__).parents[2]
READY = re.compile(r"Running gRPC ModelServer at .*:(\d+) ")

State = get_model_status_pb2.ModelVersionStatus.State
AVAILABLE, END = State.AVAILABLE, State.END

Publish = Callable[..., Path]
Wait = Callable[..., None]
Start = Callable[..., Any]


class Certificate:
    """A key and a certificate that signs itself, good for both sides of a connection."""

    def __init__(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(hours=1))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.chain = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def ops_of(folder: Path) -> set[str]:
    """The operations of a model's graph and its functions."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graphs = [meta.graph_def for meta in saved.meta_graphs]
    nodes = [node for graph in graphs for part in (graph.node, *(function.node_def for function in graph.library.function)) for node in part]
    return {node.op for node in nodes}


class Secure:
    """A server that asks for a certificate, and listens on a socket as well."""

    def __init__(self, folder: Path, publish: Publish) -> None:
        self.certificate = Certificate("server")
        self.caller = Certificate("caller")
        self.socket_path = folder / "socket"
        publish("half_plus_two", folder / "m", 1)
        publish("half_plus_two", folder / "batched", 1)
        (folder / "batched" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 3 }", encoding="utf-8")
        publish("counter", folder / "refused", 1)
        publish("half_plus_two", folder / "wrong", 1)
        (folder / "wrong" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }", encoding="utf-8")
        entries = "".join(
            f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }}' for name in ("m", "batched", "refused", "wrong")
        )
        (folder / "models.config").write_text(f"model_config_list {{ {entries} }}", encoding="utf-8")
        ssl = config_pb2.SSLConfig(
            server_key=self.certificate.key.decode(),
            server_cert=self.certificate.chain.decode(),
            custom_ca=self.caller.chain.decode(),
            client_verify=True,
        )
        (folder / "ssl").write_text(text_format.MessageToString(ssl), encoding="utf-8")
        graph = publish("half_plus_two", folder / "ops", 1)
        (folder / "allowed_ops").write_text("\n".join(sorted(ops_of(graph))), encoding="utf-8")
        self.process = Process(
            "modelserver",
            [
                "--port=0", f"--model_config_file={folder / 'models.config'}", f"--ssl_config_file={folder / 'ssl'}",
                f"--grpc_socket_path={self.socket_path}", f"--allowed_ops_file={folder / 'allowed_ops'}", "--max_num_load_retries=0",
                "--enable_batching", "--enable_per_model_batching_parameters", "--enable_serialization_as_tensor_content",
                "--enable_grpc_healthcheck_service=false",
                "--grpc_channel_arguments=grpc.max_receive_message_length=1000,grpc.max_metadata_size=16384",
            ],
            folder=ROOT, log_file=folder / "log", ready=READY,
        )  # fmt: skip

    def channel(self, *, by_socket: bool = False, caller: Certificate | None = None) -> grpc.Channel:
        mine = (None, None) if caller is None else (caller.key, caller.chain)
        credentials = grpc.ssl_channel_credentials(self.certificate.chain, *mine)
        options = (("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost"))
        return grpc.secure_channel(f"unix:{self.socket_path}" if by_socket else f"localhost:{self.process.port}", credentials, options)

    def predict(self, model: str, *values: float, wait_for_ready: bool = True, **options: Any) -> predict_pb2.PredictResponse:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        tensor = request.inputs["x"]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add(size=len(values))
        tensor.float_val.extend(values)
        with self.channel(**options) as channel:
            stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            return stub.Predict(request, timeout=20, wait_for_ready=wait_for_ready)

    def status(self, model: str) -> tuple[int, str] | None:
        """Where the version stands, and why it failed."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        with self.channel(caller=self.caller) as channel:
            stub: Any = model_service_pb2_grpc.ModelServiceStub(channel)
            try:
                (row,) = stub.GetModelStatus(request, timeout=20, wait_for_ready=True).model_version_status
            except grpc.RpcError:
                return None
        return row.state, row.status.error_message


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, publish: Publish, wait_until: Wait) -> Iterator[Secure]:
    server = Secure(tmp_path_factory.mktemp("flags"), publish)
    try:
        for model in ("m", "batched", "refused", "wrong"):
            wait_until(lambda model=model: (server.status(model) or (0, ""))[0] in {AVAILABLE, END})
        yield server
        assert server.process.stop() == 0
    finally:
        if server.process.poll() is None:
            server.process.kill()


@pytest.mark.parametrize("by_socket", [False, True], ids=["port", "socket"])
def test_a_caller_with_a_certificate_is_answered(server: Secure, by_socket: bool) -> None:
    reply = server.predict("m", 2.0, by_socket=by_socket, caller=server.caller)

    assert np.frombuffer(reply.outputs["y"].tensor_content, np.float32).tolist() == [3.0]
    assert not reply.outputs["y"].float_val


@pytest.mark.parametrize("by_socket", [False, True], ids=["port", "socket"])
def test_a_caller_without_a_certificate_isnt(server: Secure, by_socket: bool) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict("m", 2.0, by_socket=by_socket, wait_for_ready=False)

    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_a_caller_that_another_authority_vouches_for_isnt(server: Secure) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict("m", 2.0, caller=Certificate("stranger"), wait_for_ready=False)

    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNAVAILABLE


def test_health_that_is_switched_off_is_unimplemented(server: Secure) -> None:
    with server.channel(caller=server.caller) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=20)

    error: Any = caught.value
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


def test_a_version_is_batched_by_its_own_file_and_another_not_at_all(server: Secure) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict("batched", *[2.0] * 4, caller=server.caller)

    error: Any = caught.value
    assert error.details() == "Task size 4 is larger than maximum input batch size 3"
    # More rows than a batch has by default, and more bytes than the channel's arguments allow.
    assert server.predict("m", *[2.0] * 2000, caller=server.caller).outputs["y"].tensor_shape.dim[0].size == 2000


def test_a_version_whose_batching_cant_be_read_isnt_loaded(server: Secure) -> None:
    status = server.status("wrong")

    assert status is not None
    assert status[0] == END
    assert "max_batch_size is 0" in status[1]


def test_a_model_with_an_operation_that_isnt_allowed_isnt_loaded(server: Secure) -> None:
    status = server.status("refused")

    assert status is not None
    assert status[0] == END
    assert status[1] == "The model has operations that are not allowed here: AssignAddVariableOp"


def test_a_certificate_that_is_none_stops_the_start_with_its_flag(start: Start, tmp_path: Path) -> None:
    (tmp_path / "ssl").write_text('server_key: "k" server_cert: "c"', encoding="utf-8")

    with pytest.raises(RuntimeError, match="--ssl_config_file"):
        start(f"--model_base_path={tmp_path}", f"--ssl_config_file={tmp_path / 'ssl'}")
