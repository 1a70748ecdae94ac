"""The baseline: a bare grpc.aio server that passes the bytes of `Predict` on, and does nothing else.

python -m benchmarks.hop --backend 127.0.0.1:8500 [--certificate server.pem --private-key server-key.pem]
"""

import argparse
import asyncio
from pathlib import Path

import grpc
import grpc.aio

METHOD = "/tensorflow.serving.PredictionService/Predict"


async def serve(backend: str, credentials: grpc.ServerCredentials | None) -> None:
    """Passes calls on until the process is ended. Its first line on standard output says where it listens."""
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    channel = grpc.aio.insecure_channel(backend, options=options)
    forward: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)

    async def predict(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return await forward(request, timeout=context.time_remaining())

    server = grpc.aio.server(options=options)
    service, name = METHOD.removeprefix("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: grpc.unary_unary_rpc_method_handler(predict)}),))
    port = server.add_secure_port("127.0.0.1:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"hop listening on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hop")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--private-key", type=Path)
    arguments = parser.parse_args()
    credentials = None
    if arguments.certificate:
        credentials = grpc.ssl_server_credentials([(arguments.private_key.read_bytes(), arguments.certificate.read_bytes())])
    asyncio.run(serve(arguments.backend, credentials))


if __name__ == "__main__":
    main()
