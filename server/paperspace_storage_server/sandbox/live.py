"""How live.openapi.yaml spells the API: pages, {data, event}, machine events, s3Config, decimal strings."""

from collections.abc import Mapping

from .fields import Fields, Query
from .operations import Answer, Call, Operation, instant
from .pages import page, window
from .refusals import not_found
from .rules import LARGEST_DRIVE, LONGEST_NAME, REGIONS, ProviderSettings, TeamRules
from .store import Drive, Event, Machine, Network, Provider, Snapshot

HAS_EVENTS = True
DESCRIPTION: str | None = "live.openapi.json"
"""What `openapi.json` below the base answers: a file of this package, made from the description (see its test)."""

_BY_NAME = ("dtCreated", "name")
_FAILURE = "The sandbox let this event fail, because of the snapshot's name."


def _drive(drive: Drive) -> Mapping[str, object]:
    return {
        "id": drive.id,
        "name": drive.name,
        "size": drive.size,
        "region": drive.region,
        "networkId": drive.network,
        "mountPoint": drive.mount_point,
        "username": drive.username,
        "password": drive.password,
        "dtCreated": instant(drive.created),
        "dtDeleted": None,
    }


def _snapshot(snapshot: Snapshot) -> Mapping[str, object]:
    return {
        "id": snapshot.id,
        "machineId": snapshot.machine,
        "name": snapshot.name,
        "isAutoSnapshot": snapshot.is_auto,
    }


def _event(team: TeamRules, event: Event) -> Mapping[str, object]:
    state = team.state(event)
    ended = state in ("done", "error")
    return {
        "id": event.id,
        "name": event.name,
        "state": state,
        "machineId": event.machine,
        "error": _FAILURE if state == "error" else None,
        "dtCreated": instant(event.created),
        "dtStarted": None if state == "new" else instant(event.starts),
        "dtFinished": instant(event.finishes) if ended else None,
    }


def _snapshot_with_event(team: TeamRules, happened: tuple[Snapshot, Event]) -> Answer:
    snapshot, event = happened
    return Answer(200, {"data": _snapshot(snapshot), "event": _event(team, event)})


def _machine(machine: Machine) -> Mapping[str, object]:
    return {
        "id": machine.id,
        "name": machine.name,
        "state": machine.state,
        "region": machine.region,
        "machineType": machine.type,
        "networkId": machine.network or None,
        "os": "Ubuntu 22.04",
        "autoSnapshotEnabled": machine.auto_every is not None,
        "autoSnapshotFrequency": machine.auto_every,
        "autoSnapshotSaveCount": machine.auto_kept or None,
        "restorePointEnabled": False,
        "restorePointSnapshotId": None,
        "storageUsed": machine.disk_bytes,
        "storageTotal": machine.disk_size,
        "dtCreated": instant(machine.created),
    }


def _network(network: Network) -> Mapping[str, object]:
    return {
        "id": network.id,
        "name": network.name,
        "region": network.region,
        "network": network.address,
        "netmask": "255.255.0.0",
        "dtCreated": instant(network.created),
    }


def _provider(provider: Provider) -> Mapping[str, object]:
    return {
        "id": provider.id,
        "name": provider.name,
        "isManaged": False,
        "isTeamDefault": provider.is_team_default,
        "s3Config": {
            "accessKey": provider.access_key or "",
            "bucket": provider.bucket or "",
            "endpoint": provider.endpoint,
            "region": provider.region,
            "retainData": provider.retain_data,
            "secretAccessKey": provider.secret_key or "",
            "signatureVersion": provider.signature_version,
        },
    }


def _list_drives(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query, _BY_NAME)
        name, region = query.text("name"), query.text("region")
    return Answer(200, page(call.team.drives(part, name, region), part, _drive))


def _create_drive(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.text("name", LONGEST_NAME)
        size = fields.whole("size", 1, LARGEST_DRIVE)
        region = fields.choice("region", REGIONS)
        network = fields.text("networkId")
    return Answer(200, _drive(call.team.create_drive(name=name, size=size, region=region, network=network)))


def _get_drive(call: Call) -> Answer:
    return Answer(200, _drive(call.team.drive(call.id)))


def _update_drive(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.optional_text("name", LONGEST_NAME)
    return Answer(200, _drive(call.team.update_drive(call.id, name=name)))


def _delete_drive(call: Call) -> Answer:
    return Answer(200, {"id": call.team.delete_drive(call.id).id})


def _list_snapshots(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query, _BY_NAME)
        machine = query.text("machineId")
    return Answer(200, page(call.team.snapshots(part, machine), part, _snapshot))


def _create_snapshot(call: Call) -> Answer:
    with Fields(call.body) as fields:
        machine = fields.text("machineId")
        name = fields.text("name", LONGEST_NAME)
    return _snapshot_with_event(call.team, call.team.create_snapshot(machine=machine, name=name))


def _get_snapshot(call: Call) -> Answer:
    return Answer(200, _snapshot(call.team.snapshot(call.id)))


def _update_snapshot(call: Call) -> Answer:
    with Fields(call.body) as fields:
        name = fields.optional_text("name", LONGEST_NAME)
    return Answer(200, _snapshot(call.team.update_snapshot(call.id, name=name)))


def _delete_snapshot(call: Call) -> Answer:
    return _snapshot_with_event(call.team, call.team.delete_snapshot(call.id))


def _restore_snapshot(call: Call) -> Answer:
    with Fields(call.body) as fields:
        save_first = fields.optional_flag("createSnapshotBeforeRestore")
    return _snapshot_with_event(call.team, call.team.restore_snapshot(call.id, save_first=save_first))


def _list_events(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query)
        machine = query.text("machineId")
    return Answer(200, page(call.team.events(part, machine), part, lambda event: _event(call.team, event)))


def _get_event(call: Call) -> Answer:
    return Answer(200, _event(call.team, call.team.event(call.id)))


def _list_machines(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query, ("dtCreated", "name", "state"))
        name, region = query.text("name"), query.text("region")
    return Answer(200, page(call.team.machines(part, name, region), part, _machine))


def _list_networks(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query, _BY_NAME)
        name, region = query.text("name"), query.text("region")
    return Answer(200, page(call.team.networks(part, name, region), part, _network))


def _session(call: Call) -> Answer:
    team = call.team.team
    return Answer(200, {"team": {"id": team.id, "namespace": f"sandbox-{team.id[-4:]}", "isPrivate": True}})


def _read_provider(fields: Fields) -> ProviderSettings:
    s3 = fields.section("s3Config")
    return {
        "name": fields.text("name", LONGEST_NAME),
        "access_key": s3.text("accessKey"),
        "bucket": s3.text("bucket"),
        "endpoint": s3.nullable_address("endpoint"),
        "region": s3.nullable_text("region"),
        "retain_data": s3.optional_flag("retainData", null=True),
        "secret_key": s3.text("secretAccessKey"),
        "signature_version": s3.nullable_text("signatureVersion"),
    }


def _s3_provider(call: Call) -> Provider:
    """A provider of a type that this dialect cannot tell is not there."""
    provider = call.team.provider(call.id)
    if provider.type != "s3":
        raise not_found("Storage provider")
    return provider


def _list_providers(call: Call) -> Answer:
    with Query(call.query) as query:
        part = window(query)
    return Answer(200, page(call.team.providers(part, "s3"), part, _provider))


def _create_provider(call: Call) -> Answer:
    with Fields(call.body) as fields:
        fields.choice("storageProviderType", ("s3",))
        settings = _read_provider(fields)
        settings["is_team_default"] = fields.optional_flag("isTeamDefault")
    return Answer(200, _provider(call.team.create_provider(settings)))


def _get_provider(call: Call) -> Answer:
    return Answer(200, _provider(_s3_provider(call)))


def _replace_provider(call: Call) -> Answer:
    with Fields(call.body) as fields:
        settings = _read_provider(fields)
        settings["is_team_default"] = fields.flag("isTeamDefault")
    return Answer(200, _provider(call.team.replace_provider(_s3_provider(call).id, settings)))


def _delete_provider(call: Call) -> Answer:
    return Answer(200, {"id": call.team.delete_provider(_s3_provider(call).id).id})


def _utilization(call: Call) -> Answer:
    used = call.team.utilization()
    body = {
        "datasetUsage": str(used.datasets),
        "modelUsage": str(used.models),
        "notebookWorkspaceUsage": str(used.notebooks),
        "sharedStorageUsage": str(used.shared),
        "totalUsage": str(used.total),
        "totalFreeStorage": str(used.free),
        "remainingFreeStorage": str(used.remaining),
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
    Operation("POST", "/snapshots/{id}/restore", _restore_snapshot, takes_body=True),
    Operation("GET", "/machine-events", _list_events),
    Operation("GET", "/machine-events/{id}", _get_event),
    Operation("GET", "/machines", _list_machines),
    Operation("GET", "/private-networks", _list_networks),
    Operation("GET", "/auth/session", _session),
    Operation("GET", "/storage-providers/utilization", _utilization),
    Operation("GET", "/storage-providers", _list_providers),
    Operation("POST", "/storage-providers", _create_provider, takes_body=True),
    Operation("GET", "/storage-providers/{id}", _get_provider),
    Operation("PUT", "/storage-providers/{id}", _replace_provider, takes_body=True),
    Operation("DELETE", "/storage-providers/{id}", _delete_provider),
)
