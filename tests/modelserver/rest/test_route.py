"""Which call a URL means: the cases of TensorFlow Serving's model_servers/http_rest_api_util_test.cc, and of its http_rest_api_handler_test.cc."""

import pytest

from modelserver.errors import ServingError
from modelserver.rest.route import find, is_api

ESCAPED, PLAIN = "name%21%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D", "name!#$%&'()*+,/:;=?@[]"

FOUND = [
    ("GET", "/v1/models/m", ("status", "m", None, "")),
    ("GET", f"/v1/models/{ESCAPED}", ("status", PLAIN, None, "")),
    ("GET", "/v1/models/m/versions/99", ("status", "m", 99, "")),
    ("GET", f"/v1/models/m/labels/{ESCAPED}", ("status", "m", None, PLAIN)),
    ("GET", "/v1/models/m/metadata", ("metadata", "m", None, "")),
    ("GET", f"/v1/models/{ESCAPED}/labels/{ESCAPED}/metadata", ("metadata", PLAIN, None, PLAIN)),
    ("GET", "/v1/models/m?a=b", ("status", "m?a=b", None, "")),
    ("GET", "/v1/models/metadata", ("status", "metadata", None, "")),
    ("GET", "/v1/models/m/METADATA", ("status", "m", None, "")),
    ("POST", "/v1/models/m:predict", ("predict", "m", None, "")),
    ("POST", "/V1/Models/m/Versions/007:classify", ("classify", "m", 7, "")),
    ("POST", f"/v1/models/{ESCAPED}/labels/{ESCAPED}:regress", ("regress", PLAIN, None, PLAIN)),
    ("POST", "/v1/models/m%zz:predict", ("predict", "m%zz", None, "")),
    ("POST", "/v1/models/%00%ff:predict", ("predict", "\0\ufffd", None, "")),
    ("GET", f"/v1/models/m/versions/{'0' * 5000}1", ("status", "m", 1, "")),
]

MALFORMED = [
    ("GET", "/v1/foo"),
    ("GET", "/v1/models/"),
    ("GET", "/v1/models/m:predict"),
    ("GET", "/v1/models/m/version/50:predict"),
    ("GET", "/v1/models/debug/model_name"),
    ("POST", "/v1/foo"),
    ("POST", "/v1/models"),
    ("POST", "/v1/models/m"),
    ("POST", "/v1/models/m:PREDICT"),
    ("POST", "/v1/models/m:predict?a=b"),
    ("POST", "/v1/models/m/versions/string:predict"),
    ("POST", "/v1/models/m/versions/\u0661:predict"),
    ("POST", "/v1/models/m/metadata"),
    ("POST", "/v1/models/m/label/a:regress"),
    ("POST", "/v1/models/m/versions/50/labels/a:regress"),
    ("PUT", "/v1/models/m:predict"),
    ("HEAD", "/v1/models/m"),
]


@pytest.mark.parametrize(("method", "path", "expected"), FOUND, ids=[f"{method} {path[:60]}" for method, path, _ in FOUND])
def test_what_is_found(method: str, path: str, expected: tuple[str, str, int | None, str]) -> None:
    route = find(method, path)

    version = route.spec.version.value if route.spec.HasField("version") else None
    assert (route.call, route.spec.name, version, route.spec.version_label) == expected


@pytest.mark.parametrize(("method", "path"), MALFORMED)
def test_what_is_malformed(method: str, path: str) -> None:
    with pytest.raises(ServingError) as caught:
        find(method, path)

    assert caught.value.message == f"Malformed request: {method} {path}"


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/versions/1", "/v1/models/labels/a/metadata"])
def test_a_look_at_no_model(path: str) -> None:
    with pytest.raises(ServingError, match=r"^Missing model name in request\.$"):
        find("GET", path)


@pytest.mark.parametrize("digits", ["18446744073709551615", "9223372036854775808", "9" * 5000])
def test_a_version_beyond_64_bits(digits: str) -> None:
    with pytest.raises(ServingError, match=f"^Failed to convert version: {digits} to numeric.$"):
        find("POST", f"/v1/models/m/versions/{digits}:regress")


@pytest.mark.parametrize(("path", "expected"), [("/v1/models", True), ("/V1/", True), ("/v1", False), ("/v2/models", False), ("/x/v1/", False)])
def test_what_is_the_apis(path: str, expected: bool) -> None:
    assert is_api(path) is expected
