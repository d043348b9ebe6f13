"""Shared drives in both dialects."""

import pytest

from .calls import Api
from .claims import proves

NETWORK = {"published": "privateNetworkId", "live": "networkId"}


def _fresh(api: Api, **changes: object) -> dict[str, object]:
    home = api.items("/shared-drives")[0]
    network = NETWORK[api.dialect]
    return {"name": "new", "size": 100, "region": home["region"], network: home[network], **changes}


@proves("D1")
def test_published_speaks_in_bare_drives(published: Api) -> None:
    body = _fresh(published)
    created = published.post("/shared-drives", body)
    assert created.status == 201
    assert created.body == {**body, "id": created.body["id"], "dtCreated": "2026-02-02T02:40:00.000Z"}
    assert published.get("/shared-drives").body[0] == created.body
    assert published.get(f"/shared-drives/{created.body['id']}").body == created.body
    deleted = published.delete(f"/shared-drives/{created.body['id']}")
    assert (deleted.status, deleted.body) == (204, None)


@proves("D2")
def test_live_adds_what_it_takes_to_mount_a_drive(live: Api) -> None:
    body = _fresh(live)
    created = live.post("/shared-drives", body)
    assert created.status == 200
    rest = {name: created.body[name] for name in ("id", "mountPoint", "username", "password")}
    assert created.body == {**body, **rest, "dtCreated": "2026-02-02T02:40:00.000Z", "dtDeleted": None}
    assert rest["mountPoint"].endswith(rest["id"])
    assert live.get("/shared-drives").body["items"][0] == created.body
    deleted = live.delete(f"/shared-drives/{created.body['id']}")
    assert (deleted.status, deleted.body) == (200, {"id": created.body["id"]})


@proves("D2")
def test_every_drive_has_its_own_password(live: Api) -> None:
    live.post("/shared-drives", _fresh(live))
    passwords = [drive["password"] for drive in live.items("/shared-drives")]
    assert len(set(passwords)) == len(passwords) == 6


@proves("D3")
def test_published_lists_every_drive_newest_first(published: Api) -> None:
    names = [drive["name"] for drive in published.items("/shared-drives", limit=1, after="nothing")]
    assert names == ["team-home", "render-cache", "model-checkpoints", "eu-archive", "datasets"]


@proves("D4")
@pytest.mark.parametrize("size", [0, -1, 1.5, 1_000_001, 10**40, 1e308, True, "10", None, []])
def test_a_size_must_be_a_positive_whole_number(api: Api, size: object) -> None:
    answer = api.post("/shared-drives", _fresh(api, size=size))
    assert answer.code == (400, "BAD_REQUEST")
    assert len(answer.issues) == 1


@proves("D4")
@pytest.mark.parametrize("size", [1, 1_000_000, 250.0])
def test_a_size_may_be_anything_between(api: Api, size: float) -> None:
    assert api.post("/shared-drives", _fresh(api, size=size)).body["size"] == size


@proves("D5")
@pytest.mark.parametrize("region", ["", "NY2", "us-east-1", 7, None, []])
def test_an_unknown_region_is_refused(api: Api, region: object) -> None:
    assert api.post("/shared-drives", _fresh(api, region=region)).code == (400, "BAD_REQUEST")


@proves("D6")
def test_a_network_must_be_known_and_near(api: Api) -> None:
    field = NETWORK[api.dialect]
    assert api.post("/shared-drives", _fresh(api, **{field: "nenothing00"})).code == (404, "NOT_FOUND")
    assert api.post("/shared-drives", _fresh(api, region="ams1")).code == (400, "BAD_REQUEST")


@proves("D7")
def test_a_name_is_taken_once_in_a_region(api: Api) -> None:
    home, cache = api.items("/shared-drives")[:2]
    field = NETWORK[api.dialect]
    assert api.post("/shared-drives", _fresh(api, name="team-home")).code == (409, "CONFLICT")
    elsewhere = _fresh(api, name="team-home", region=cache["region"], **{field: cache[field]})
    assert api.post("/shared-drives", elsewhere).status in (200, 201)
    assert api.put(f"/shared-drives/{home['id']}", {"name": "datasets"}).code == (409, "CONFLICT")
    assert api.put(f"/shared-drives/{home['id']}", {"name": "team-home"}).status == 200


@proves("D7", "D11")
def test_a_deleted_drive_gives_its_name_back(api: Api) -> None:
    home = api.items("/shared-drives")[0]
    api.delete(f"/shared-drives/{home['id']}")
    assert "team-home" not in [drive["name"] for drive in api.items("/shared-drives")]
    assert api.get(f"/shared-drives/{home['id']}").code == (404, "NOT_FOUND")
    assert api.put(f"/shared-drives/{home['id']}", {"name": "x"}).code == (404, "NOT_FOUND")
    assert api.delete(f"/shared-drives/{home['id']}").code == (404, "NOT_FOUND")


@proves("D7")
def test_a_name_is_free_again_after_a_delete(api: Api) -> None:
    body = _fresh(api, name="team-home")
    api.delete(f"/shared-drives/{api.items('/shared-drives')[0]['id']}")
    assert api.post("/shared-drives", body).status in (200, 201)


@proves("D8", "D9")
def test_published_renames_and_grows_but_never_shrinks(published: Api) -> None:
    home = published.items("/shared-drives")[0]
    path = f"/shared-drives/{home['id']}"
    assert published.put(path, {"name": "home", "size": 300}).body == {**home, "name": "home", "size": 300}
    assert published.put(path, {"size": 300}).status == 200
    assert published.put(path, {"name": "x", "size": 299}).code == (400, "BAD_REQUEST")
    assert published.get(path).body == {**home, "name": "home", "size": 300}


@proves("D8")
def test_live_renames_only(live: Api) -> None:
    home = live.items("/shared-drives")[0]
    path = f"/shared-drives/{home['id']}"
    assert live.put(path, {"name": "home"}).body == {**home, "name": "home"}
    answer = live.put(path, {"name": "x", "size": 300})
    assert (answer.code, answer.issues) == ((400, "BAD_REQUEST"), ["size is not a field of this request"])
    assert live.get(path).body == {**home, "name": "home"}


@proves("D10")
def test_an_empty_update_changes_nothing(api: Api) -> None:
    for path in ("/shared-drives", "/snapshots"):
        row = api.items(path)[0]
        assert api.put(f"{path}/{row['id']}", {}).body == row
