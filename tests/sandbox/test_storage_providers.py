"""Storage providers and utilization."""

from typing import Any

import pytest

from .calls import Api
from .claims import proves

PATH = "/storage-providers"
S3: dict[str, Any] = {"accessKey": "AK", "bucket": "b", "secretAccessKey": "SK"}
LIVE: dict[str, Any] = {"name": "new", "storageProviderType": "s3", "s3Config": S3}
REPLACEMENT: dict[str, Any] = {"name": "new", "isTeamDefault": False, "s3Config": S3}
FULL: dict[str, Any] = {
    **S3,
    "endpoint": "https://objects.example.com:9000/s3",
    "region": "eu",
    "retainData": True,
    "signatureVersion": "v4",
}
BARE: dict[str, Any] = {**S3, "endpoint": None, "region": None, "retainData": False, "signatureVersion": None}


@proves("P1")
@pytest.mark.parametrize("kind", ["s3", "gcs", "azure-blob"])
def test_published_takes_three_types_and_shows_no_key(published: Api, kind: str) -> None:
    body = {"name": "new", "type": kind, "bucket": "b", "region": "r"}
    created = published.post(PATH, {**body, "accessKey": "AK", "secretKey": "SK"})
    assert created.status == 201
    assert created.body == {**body, "id": created.body["id"], "dtCreated": "2026-02-02T02:40:00.000Z"}
    assert published.get(f"{PATH}/{created.body['id']}").body == created.body
    assert published.items(PATH)[0] == created.body
    assert published.delete(f"{PATH}/{created.body['id']}").status == 204
    assert published.get(f"{PATH}/{created.body['id']}").code == (404, "NOT_FOUND")


@proves("P1")
@pytest.mark.parametrize("change", [{"type": "nfs"}, {"type": None}, {"bucket": None}, {"accessKey": 7}])
def test_published_refuses_what_its_schema_does_not_allow(published: Api, change: dict[str, Any]) -> None:
    assert published.post(PATH, {"name": "new", "type": "s3", **change}).code == (400, "BAD_REQUEST")


@proves("P2")
def test_live_answers_with_the_keys(live: Api) -> None:
    created = live.post(PATH, {**LIVE, "s3Config": FULL, "isTeamDefault": False})
    provider = {"id": created.body["id"], "name": "new", "isManaged": False, "isTeamDefault": False, "s3Config": FULL}
    assert (created.status, created.body) == (200, provider)
    assert live.get(f"{PATH}/{provider['id']}").body == provider
    assert live.items(PATH)[0] == provider
    deleted = live.delete(f"{PATH}/{provider['id']}")
    assert (deleted.status, deleted.body) == (200, {"id": provider["id"]})
    assert live.get(f"{PATH}/{provider['id']}").code == (404, "NOT_FOUND")


@proves("P2")
def test_the_sample_providers_keys_are_plainly_not_real(live: Api) -> None:
    (sample,) = live.items(PATH)
    assert sample["name"] == "team-artifacts"
    assert sample["s3Config"]["accessKey"].startswith("SANDBOX")
    assert sample["s3Config"]["secretAccessKey"].startswith("sandbox/not/real/")


@proves("P2")
@pytest.mark.parametrize(
    ("change", "issues"),
    [
        ({"storageProviderType": "gcs"}, ["storageProviderType must be one of s3"]),
        ({"s3Config": None}, ["s3Config must not be null"]),
        ({"s3Config": []}, ["s3Config must be a JSON object"]),
        ({"s3Config": {**S3, "bucket": 7}}, ["s3Config.bucket must be a string"]),
        ({"s3Config": {"bucket": "b"}}, ["s3Config.accessKey is required", "s3Config.secretAccessKey is required"]),
        ({"s3Config": {**S3, "secretKey": "x"}}, ["s3Config.secretKey is not a field of this request"]),
        ({"isTeamDefault": None}, ["isTeamDefault must be true or false"]),
        ({"s3Config": {**S3, "retainData": 1}}, ["s3Config.retainData must be true or false"]),
    ],
)
def test_live_refuses_what_its_schema_does_not_allow(live: Api, change: dict[str, Any], issues: list[str]) -> None:
    answer = live.post(PATH, {**LIVE, **change})
    assert (answer.code, answer.issues) == ((400, "BAD_REQUEST"), issues)


@proves("P3")
def test_live_replaces_a_provider_whole(live: Api) -> None:
    path = f"{PATH}/{live.post(PATH, {**LIVE, 's3Config': FULL}).body['id']}"
    replaced = live.put(path, {**REPLACEMENT, "name": "newer"}).body
    assert (replaced["name"], replaced["s3Config"]) == ("newer", BARE)
    for missing in REPLACEMENT:
        partial = {name: value for name, value in REPLACEMENT.items() if name != missing}
        assert live.put(path, partial).issues == [f"{missing} is required"]
    assert live.get(path).body == replaced


@proves("P4")
def test_published_empties_what_an_update_leaves_out(published: Api) -> None:
    (sample,) = published.items(PATH)
    replaced = published.put(f"{PATH}/{sample['id']}", {"name": "renamed", "type": "gcs"}).body
    assert replaced == {"id": sample["id"], "name": "renamed", "type": "gcs", "dtCreated": sample["dtCreated"]}


@proves("P5")
def test_a_providers_name_is_taken_once(api: Api) -> None:
    new = {"name": "new", "type": "s3"} if api.dialect == "published" else LIVE
    whole = {"name": "new", "type": "s3"} if api.dialect == "published" else REPLACEMENT
    path = f"{PATH}/{api.post(PATH, new).body['id']}"
    assert api.post(PATH, new).code == (409, "CONFLICT")
    assert api.put(path, {**whole, "name": "team-artifacts"}).code == (409, "CONFLICT")
    assert api.put(path, whole).status == 200


@proves("P6")
def test_the_newest_claim_to_be_the_default_wins(live: Api) -> None:
    live.post(PATH, {**LIVE, "isTeamDefault": True})
    assert [(row["name"], row["isTeamDefault"]) for row in live.items(PATH)] == [
        ("new", True),
        ("team-artifacts", False),
    ]
    sample = live.items(PATH)[1]
    live.put(f"{PATH}/{sample['id']}", {**REPLACEMENT, "name": "team-artifacts", "isTeamDefault": True})
    assert [row["isTeamDefault"] for row in live.items(PATH)] == [False, True]


@proves("P8")
@pytest.mark.parametrize("endpoint", ["objects", "ftp://x", "https://", "https://[", "http://a b", "javascript:1", ""])
def test_an_endpoint_must_be_an_address(live: Api, endpoint: str) -> None:
    answer = live.post(PATH, {**LIVE, "s3Config": {**S3, "endpoint": endpoint}})
    assert answer.code == (400, "BAD_REQUEST")
    assert len(answer.issues) == 1


@proves("U1", "U3")
def test_published_counts_bytes_as_integers(published: Api) -> None:
    used = published.get(f"{PATH}/utilization").body
    assert used == {
        "teamId": used["teamId"],
        "datasets": 312_400_000_000,
        "models": 148_750_000_000,
        "notebooks": 27_310_000_000,
        "sharedStorage": 4_000_000_000_000,
    }
    home = published.items("/shared-drives")[0]
    published.put(f"/shared-drives/{home['id']}", {"size": 750})
    assert published.get(f"{PATH}/utilization").body == {**used, "sharedStorage": 4_500_000_000_000}
    published.delete(f"/shared-drives/{home['id']}")
    assert published.get(f"{PATH}/utilization").body == {**used, "sharedStorage": 3_750_000_000_000}


@proves("U2", "U4", "U3")
def test_live_counts_bytes_as_decimal_strings_that_add_up(live: Api) -> None:
    assert live.get(f"{PATH}/utilization").body == {
        "datasetUsage": "312400000000",
        "modelUsage": "148750000000",
        "notebookWorkspaceUsage": "27310000000",
        "sharedStorageUsage": "4000000000000",
        "totalUsage": "4488460000000",
        "totalFreeStorage": "5000000000000",
        "remainingFreeStorage": "511540000000",
    }
    home = live.items("/shared-drives")[0]
    body = {"name": "huge", "size": 1_000_000, "region": home["region"], "networkId": home["networkId"]}
    assert live.post("/shared-drives", body).status == 200
    used = live.get(f"{PATH}/utilization").body
    assert (used["totalUsage"], used["remainingFreeStorage"]) == ("1004488460000000", "0")
