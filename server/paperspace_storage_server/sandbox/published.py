"""How published.openapi.yaml spells the API: bare arrays, privateNetworkId, notes, no machine events."""

from collections.abc import Mapping

from .fields import Fields, Query
from .operations import Answer, Call, Operation, instant
from .rules import LARGEST_DRIVE, LONGEST_NAME, REGIONS, ProviderSettings
from .store import Drive, Provider, Snapshot, Window

HAS_EVENTS = False
DESCRIPTION: str | None = None
_TYPES = ("s3", "gcs", "azure-blob")
_LONGEST_NOTE = 2000


def _drive(drive: Drive) -> Mapping[str, object]:
    return {
        "id": drive.id,
        "name": drive.name,
        "size": drive.size,
        "region": drive.region,
        "privateNetworkId": drive.network,
        "dtCreated": instant(drive.created),
    }


def _snapshot(snapshot: Snapshot) -> Mapping[str, object]:
    note = {} if snapshot.note is None else {"note": snapshot.note}
    return {
        "id": snapshot.id,
        "machineId": snapshot.machine,
        "name": snapshot.name,
        **note,
        "storageSize": snapshot.storage_bytes,
        "dtCreated": instant(snapshot.created),
    }


def _provider(provider: Provider) -> Mapping[str, object]:
    place = {"bucket": provider.bucket, "region": provider.region}
    return {
        "id": provider.id,
        "name": provider.name,
        "type": provider.type,
        **{name: value for name, value in place.items() if value is not None},
        "dtCreated": instant(provider.created),
    }


def _list_drives(call: Call) -> Answer:
    return Answer(200, [_drive(drive) for drive in call.team.drives(Window())])


def _create_drive(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.text("name", LONGEST_NAME)
        size = fields.whole("size", 1, LARGEST_DRIVE)
        region = fields.choice("region", REGIONS)
        network = fields.text("privateNetworkId")
    return Answer(201, _drive(call.team.create_drive(name=name, size=size, region=region, network=network)))


def _get_drive(call: Call) -> Answer:
    return Answer(200, _drive(call.team.drive(call.id)))


def _update_drive(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.optional_text("name", LONGEST_NAME)
        size = fields.optional_whole("size", 1, LARGEST_DRIVE)
    return Answer(200, _drive(call.team.update_drive(call.id, name=name, size=size)))


def _delete_drive(call: Call) -> Answer:
    call.team.delete_drive(call.id)
    return Answer(204, None)


def _list_snapshots(call: Call) -> Answer:
    with Query(call.query) as query:
        machine, after = query.text("machineId"), query.text("after")
        limit = query.whole("limit", 1, 10**18)
    return Answer(200, [_snapshot(snapshot) for snapshot in call.team.snapshots_after(after, limit, machine)])


def _create_snapshot(call: Call) -> Answer:
    with Fields(call.body) as fields:
        machine = fields.text("machineId")
        name = fields.text("name", LONGEST_NAME)
        note = fields.optional_text("note", _LONGEST_NOTE, blank=True)
    snapshot, _ = call.team.create_snapshot(machine=machine, name=name, note=note)
    return Answer(201, _snapshot(snapshot))


def _get_snapshot(call: Call) -> Answer:
    return Answer(200, _snapshot(call.team.snapshot(call.id)))


def _update_snapshot(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.optional_text("name", LONGEST_NAME)
        note = fields.optional_text("note", _LONGEST_NOTE, blank=True)
    return Answer(200, _snapshot(call.team.update_snapshot(call.id, name=name, note=note)))


def _delete_snapshot(call: Call) -> Answer:
    call.team.delete_snapshot(call.id)
    return Answer(204, None)


def _restore_snapshot(call: Call) -> Answer:
    call.team.restore_snapshot(call.id)
    return Answer(200, {})


def _settings(body: object) -> ProviderSettings:
    with Fields(body) as fields:
        settings: ProviderSettings = {
            "name": fields.text("name", LONGEST_NAME),
            "type": fields.choice("type", _TYPES),
            "bucket": fields.optional_text("bucket"),
            "region": fields.optional_text("region"),
            "access_key": fields.optional_text("accessKey"),
            "secret_key": fields.optional_text("secretKey"),
        }
    return settings


def _list_providers(call: Call) -> Answer:
    return Answer(200, [_provider(provider) for provider in call.team.providers(Window())])


def _create_provider(call: Call) -> Answer:
    return Answer(201, _provider(call.team.create_provider(_settings(call.body))))


def _get_provider(call: Call) -> Answer:
    return Answer(200, _provider(call.team.provider(call.id)))


def _replace_provider(call: Call) -> Answer:
    return Answer(200, _provider(call.team.replace_provider(call.id, _settings(call.body))))


def _delete_provider(call: Call) -> Answer:
    call.team.delete_provider(call.id)
    return Answer(204, None)


def _utilization(call: Call) -> Answer:
    used = call.team.utilization()
    body = {
        "teamId": used.team,
        "datasets": used.datasets,
        "models": used.models,
        "notebooks": used.notebooks,
        "sharedStorage": used.shared,
    }
    return Answer(200, body)


OPERATIONS = (
    Operation("GET", "/shared-drives", _list_drives),
    Operation("POST", "/shared-drives", _create_drive, takes_body=True),
    Operation("GET", "/shared-drives/{id}", _get_drive),
    Operation("PUT", "/shared-drives/{id}", _update_drive, takes_body=True),
    Operation("DELETE", "/shared-drives/{id}", _delete_drive),
    Operation("GET", "/snapshots", _list_snapshots),
    Operation("POST", "/snapshots", _create_snapshot, takes_body=True),
    Operation("GET", "/snapshots/{id}", _get_snapshot),
    Operation("PUT", "/snapshots/{id}", _update_snapshot, takes_body=True),
    Operation("DELETE", "/snapshots/{id}", _delete_snapshot),
    Operation("POST", "/snapshots/{id}/restore", _restore_snapshot),
    Operation("GET", "/storage-providers/utilization", _utilization),
    Operation("GET", "/storage-providers", _list_providers),
    Operation("POST", "/storage-providers", _create_provider, takes_body=True),
    Operation("GET", "/storage-providers/{id}", _get_provider),
    Operation("PUT", "/storage-providers/{id}", _replace_provider, takes_body=True),
    Operation("DELETE", "/storage-providers/{id}", _delete_provider),
)
