"""The fixtures of the contract: a target, a server of each kind, and what holds a case against its answer."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.contract.gateway_differences import difference_for
from tests.contract.models import write, write_corrupt
from tests.contract.reloads import UNLABELLED, A, B, Reloads, eventually, listed
from tests.contract.rest import Rest, RestCase
from tests.contract.servers import IS_REFERENCE, Servers
from tests.contract.wire import Caller, Case


@pytest.fixture(scope="session")
def is_reference() -> bool:
    """Whether TensorFlow Serving itself answers: where ours deliberately differs, a case has both answers."""
    return IS_REFERENCE


def _asked_of(item: pytest.Item) -> Iterator[str]:
    """The servers that a test asks."""
    fixtures = getattr(item, "fixturenames", ())
    for fixture, server in {"caller": "plain", "rest": "plain", "batching": "batching", "reloads": "reload"}.items():
        if fixture in fixtures:
            yield server
    case = item.callspec.params.get("case") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    if isinstance(case, Case):
        yield case.server


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as closing:
        servers = Servers(tmp_path_factory.mktemp("contract"), closing)
        servers.prepare(dict.fromkeys(server for item in request.session.items for server in _asked_of(item)))
        yield servers


@pytest.fixture(scope="session", params=["direct", "gateway"])
def target(request: pytest.FixtureRequest) -> str:
    """Each test that asks for it runs twice: against the server itself, and through the gateway's drop-in API."""
    return request.param


@pytest.fixture
def caller(servers: Servers, target: str) -> Caller:
    """A caller of the plain server."""
    return servers.caller("plain", target)


@pytest.fixture
def hold(servers: Servers, target: str, is_reference: bool) -> Callable[[Case], None]:
    """Makes a case's call and holds the answer against its row; or against the table of the gateway's differences."""

    def hold_one(case: Case) -> None:
        if is_reference and case.reference is not None and case.reference[0] == "UNAVAILABLE":
            pytest.skip(f"it would end the server: {case.why}")
        answer = servers.caller(case.server, target).ask(case.method, case.request, key=case.key, timeout_seconds=case.timeout_seconds)
        difference = difference_for(case.row) if target == "gateway" else None
        if difference is not None:
            assert answer.status == (difference.code, difference.message)
            return
        assert not answer.trailers, "no trailing metadata, and no grpc-status-details-bin"
        if is_reference and case.reference is not None:
            case.hold_to_reference(answer)
        else:
            case.hold(answer)

    return hold_one


@pytest.fixture
def rest(servers: Servers) -> Rest:
    """The plain server's REST API. The gateway has none."""
    return servers.rest()


@pytest.fixture
def hold_rest(rest: Rest) -> Callable[[RestCase], None]:
    """Makes a case's call and holds the answer against its row."""

    def hold_one(case: RestCase) -> None:
        case.hold(rest.ask(case))

    return hold_one


@pytest.fixture(scope="session")
def saved_models(servers: Servers) -> Callable[[str], Any]:
    """Reads the SavedModel of a model by its name; skips where a real TensorFlow Serving has models that this process didn't write."""

    def read(name: str) -> Any:
        from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415

        return saved_model_pb2.SavedModel.FromString((servers.models() / name / "1" / "saved_model.pb").read_bytes())

    return read


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reload")
    write("half_plus_two", folder / "a" / "1")
    for place in ("a/2", "b/1", "moved/3", "late/ready"):
        shutil.copytree(folder / "a" / "1", folder / place)
    write_corrupt(folder / "bad" / "1")
    return folder


@pytest.fixture
def reloads(servers: Any, target: str, root: Path) -> Reloads:
    """The server, set to serve `a` and `b`, labelled."""
    reloads = Reloads(servers.caller("reload", target), root)
    both = {2: "AVAILABLE", 1: "AVAILABLE"}
    # In two steps: a label that comes with its model is refused.
    for request in (listed(UNLABELLED, B), listed(A, B)):
        answer = reloads.reload(request)
        assert answer.code == "OK", answer.status
        eventually(partial(reloads.states, "a", both), both)
    return reloads
