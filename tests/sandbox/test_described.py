"""Every operation of both files answers, and any input is answered as the files allow.

`Api.call` has the OpenAPI file judge each answer, here and in every other test.
"""

import json
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet

from paperspace_storage_server.sandbox import live, published

from .calls import SEEN, Api, Clock, Dialect, description, open_api
from .described import read

PLACES = [
    (dialect, method, path)
    for dialect in ("published", "live")
    for method, path in sorted(description(dialect).operations())
]
BOUNDED = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example],
)
GOOD: dict[tuple[Dialect, str], dict[str, Any]] = {
    ("published", "/storage-providers"): {"name": "new", "type": "gcs"},
    ("live", "/storage-providers"): {
        "name": "new",
        "storageProviderType": "s3",
        "s3Config": {"accessKey": "a", "bucket": "b", "secretAccessKey": "c"},
    },
    ("published", "/storage-providers/{id}"): {"name": "new", "type": "s3"},
    ("live", "/storage-providers/{id}"): {
        "name": "new",
        "isTeamDefault": True,
        "s3Config": {"accessKey": "a", "bucket": "b", "secretAccessKey": "c"},
    },
    ("published", "/shared-drives/{id}"): {"name": "new", "size": 5000},
    ("live", "/shared-drives/{id}"): {"name": "new"},
    ("published", "/snapshots/{id}"): {"name": "new", "note": "n"},
    ("live", "/snapshots/{id}"): {"name": "new"},
    ("published", "/snapshots/{id}/restore"): {},
    ("live", "/snapshots/{id}/restore"): {"createSnapshotBeforeRestore": True},
}


def _good(api: Api, path: str) -> dict[str, Any]:
    if path == "/shared-drives":
        drive = api.items(path)[0]
        network = "privateNetworkId" if api.dialect == "published" else "networkId"
        return {"name": "new", "size": 1, "region": drive["region"], network: drive[network]}
    if path == "/snapshots":
        return {"machineId": api.items(path)[0]["machineId"], "name": "new"}
    return GOOD[api.dialect, path]


def _known(api: Api, path: str) -> list[str]:
    return [row["id"] for row in api.items("/" + path.split("/")[1])] if "{id}" in path else [""]


@pytest.mark.parametrize(("dialect", "spelled"), [("published", published), ("live", live)])
def test_what_is_served_is_what_is_described_and_no_more(dialect: Dialect, spelled: ModuleType) -> None:
    served = {(one.method, one.path) for one in spelled.OPERATIONS}
    assert served == description(dialect).operations(), f"tests/data/{dialect}.openapi.yaml"


@pytest.mark.parametrize(("dialect", "method", "path"), PLACES)
def test_every_operation_succeeds_and_fails_as_described(dialect: Dialect, method: str, path: str) -> None:
    api = open_api(dialect, Clock())
    real = path.replace("{id}", _known(api, path)[0])
    body = json.dumps(_good(api, path)).encode() if method in ("POST", "PUT") else b""
    assert api.with_key(None).call(method, real, body).code == (401, "UNAUTHORIZED")
    answer = api.call(method, real, body)
    api.app.state.close()
    responses: dict[str, Any] = description(dialect).paths[path][method.lower()]["responses"]
    assert str(answer.status) in responses
    assert (dialect, method, path, answer.status) in SEEN


@pytest.mark.parametrize(("dialect", "method", "path"), PLACES)
def test_any_input_made_from_the_description_gets_a_described_answer(dialect: Dialect, method: str, path: str) -> None:
    api = open_api(dialect, Clock())
    # Fuzzing removes rows; ids of rows that are gone are welcome too.
    known = _known(api, path)
    loose: Any = schemathesis.openapi.from_dict(read(dialect))
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    cases = [loose[path][method].as_strategy(generation_mode=mode) for mode in modes]

    @BOUNDED
    @given(case=st.one_of(cases), known_id=st.sampled_from([None, *known]))
    def answer(case: Any, known_id: str | None) -> None:
        parameters: dict[str, Any] = dict(case.path_parameters or {})
        segment = str(known_id or parameters.get("id", ""))
        body = b"" if isinstance(case.body, NotSet) else json.dumps(case.body, default=str).encode()
        query = urlencode(dict(case.query or {}), doseq=True, errors="replace")
        real = path.replace("{id}", quote(segment, safe="", errors="replace"))
        api.call(method, real, body, query)

    answer()
    api.app.state.close()


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=9)
_FIELDS = st.sampled_from(
    [
        "name",
        "size",
        "region",
        "networkId",
        "privateNetworkId",
        "machineId",
        "note",
        "type",
        "s3Config",
        "isTeamDefault",
        "storageProviderType",
        "accessKey",
        "bucket",
        "endpoint",
        "createSnapshotBeforeRestore",
    ]
)
_BODIES = st.recursive(
    _LEAVES, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(_FIELDS, deeper, max_size=5), max_leaves=8
)


@pytest.mark.parametrize("dialect", ["published", "live"])
def test_any_input_at_all_gets_an_answer(dialect: Dialect) -> None:
    api = open_api(dialect, Clock())
    ids = [row["id"] for path in ("/shared-drives", "/snapshots", "/storage-providers") for row in api.items(path)]
    segments = st.sampled_from([*ids, "utilization"]) | st.binary(max_size=9).map(quote)

    @settings(BOUNDED, max_examples=300)
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
        path=st.sampled_from(sorted({path.partition("/{")[0] for _, _, path in PLACES})),
        rest=st.lists(segments | st.just("restore"), max_size=2),
        body=st.binary(max_size=20) | _BODIES.map(lambda value: json.dumps(value).encode()),
        query=st.text(st.characters(codec="utf-8"), max_size=9).map(quote).map("after={0}&limit={0}".format),
    )
    def answer(method: str, path: str, rest: list[str], body: bytes, query: str) -> None:
        status = api.call(method, "/".join([path, *rest]), body, query).status
        assert status < 500

    answer()
    api.app.state.close()
