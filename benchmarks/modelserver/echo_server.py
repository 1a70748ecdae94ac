"""What the transport costs: a synchronous grpc.server that answers `Predict` with the request's own bytes.

python -m benchmarks.modelserver.echo_server
"""

from concurrent.futures import ThreadPoolExecutor

import grpc

from benchmarks.modelserver.servers import METHOD


def main() -> None:
    """Runs the command. Its first line on standard output says where it listens."""
    server = grpc.server(ThreadPoolExecutor(1), options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)))
    service, name = METHOD.removeprefix("/").split("/")
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {name: grpc.unary_unary_rpc_method_handler(lambda request, _: request)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"echo listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
