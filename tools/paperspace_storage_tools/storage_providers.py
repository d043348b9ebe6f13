"""The five tools for storage providers: the object stores behind datasets, models and notebooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from paperspace_storage_tools.arguments import (
    LARGEST_PAGE,
    Arguments,
    Confirm,
    Endpoint,
    Flag,
    Identifier,
    Name,
    NameFilter,
    Order,
    Paging,
    Profile,
    Secret,
    Word,
)
from paperspace_storage_tools.errors import Malformed
from paperspace_storage_tools.globs import matcher
from paperspace_storage_tools.models import Deleted, Page, ProviderType, StorageProvider
from paperspace_storage_tools.ports import AtStake, Call, Credentials, Look, NewProvider, Query
from paperspace_storage_tools.text import in_quotes
from paperspace_storage_tools.tool import Tool
from paperspace_storage_tools.walk import page_of

_MOST_PAGES = 25  # that are read to find the team's default


def _check_provider_id(value: str) -> str:
    # /storage-providers/utilization is another operation: as an id it would read or hit that path.
    if value.casefold() == "utilization":
        raise ValueError("a provider's id; for the utilization call get_storage_utilization")
    return value


ProviderId = Annotated[Identifier, AfterValidator(_check_provider_id)]


class ListStorageProviders(Paging):
    name: NameFilter | None = None
    order: Order | None = None


class CreateStorageProvider(Arguments):
    name: Name
    type: ProviderType
    bucket: Word | None = None
    region: Word | None = None
    endpoint: Endpoint | None = None
    is_team_default: Flag | None = None
    credential_profile: Profile | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    confirm: Confirm | None = None

    @model_validator(mode="after")
    def _one_source_of_credentials(self) -> CreateStorageProvider:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("give accessKey and secretKey together, or neither")
        if self.credential_profile is not None and self.access_key is not None:
            raise ValueError("give credentialProfile, or accessKey with secretKey, not both")
        return self


class ProviderById(Arguments):
    id: ProviderId


class UpdateStorageProvider(CreateStorageProvider):
    id: ProviderId


class DeleteStorageProvider(ProviderById):
    confirm: Confirm | None = None


async def list_storage_providers(call: Call, arguments: ListStorageProviders) -> Page[StorageProvider]:
    named = matcher(arguments.name) if arguments.name is not None else None
    return await page_of(
        call,
        lambda after, limit: call.storage.providers.list(Query(after=after, limit=limit, order=arguments.order)),
        after=arguments.after,
        limit=arguments.limit,
        keep=(lambda provider: named(provider.name)) if named is not None else None,
        count=True,
    )


async def create_storage_provider(call: Call, arguments: CreateStorageProvider) -> StorageProvider:
    new = _new(call, arguments)
    if arguments.is_team_default:
        await call.storage.providers.check_new(new)
        if (default := await _team_default(call)) is not None:
            await call.allow("displace", _look(call, default.id, default), confirm=arguments.confirm)
    return await call.storage.providers.create(new)


async def get_storage_provider(call: Call, arguments: ProviderById) -> StorageProvider:
    return await call.storage.providers.get(arguments.id)


async def update_storage_provider(call: Call, arguments: UpdateStorageProvider) -> StorageProvider:
    """A full replacement. New keys alone need no confirmation; another place, or another team default, does.

    Where both change at once, the default that loses its place is what is confirmed: the provider's own change of
    place is then among the facts.
    """
    new = _new(call, arguments)
    await call.storage.providers.check_new(new)
    present = await call.storage.providers.get(arguments.id)
    call.refuse_protected(_at_stake(present), "replaced")
    changes = _changes_of_place(present, arguments)
    if arguments.is_team_default and not present.is_team_default:
        default = await _team_default(call)
        if default is not None and default.id != present.id:
            facts = [f"its place goes to provider {present.id}", *changes]
            await call.allow("displace", _look(call, default.id, default, *facts), confirm=arguments.confirm)
        else:
            facts = ["becomes the team's default", *changes]
            await call.allow("redirect", _look(call, present.id, present, *facts), confirm=arguments.confirm)
    elif changes:
        await call.allow("redirect", _look(call, present.id, present, *changes), confirm=arguments.confirm)
    updated = await call.storage.providers.update(arguments.id, new, present)
    if arguments.credential_profile is not None:
        call.notice(f"Its keys are now those of credential profile {in_quotes(arguments.credential_profile)}.")
    return updated


async def delete_storage_provider(call: Call, arguments: DeleteStorageProvider) -> Deleted:
    provider = await call.allow("delete", _look(call, arguments.id), confirm=arguments.confirm)
    await call.storage.providers.delete(arguments.id)
    return Deleted(id=arguments.id, name=provider.name or None)


def _changes_of_place(present: StorageProvider, arguments: UpdateStorageProvider) -> list[str]:
    """What of a provider's place would change, as facts. What is left out is taken away: a PUT replaces everything."""
    places = (
        ("type", present.type, arguments.type),
        ("bucket", present.bucket, arguments.bucket),
        ("region", present.region, arguments.region),
        ("endpoint", present.endpoint, arguments.endpoint),
    )
    return [
        f"{field} would be {in_quotes(new) if new else 'unset'} (is {in_quotes(old) if old else 'unset'})"
        for field, old, new in places
        if (old or None) != (new or None)
    ]


async def _team_default(call: Call) -> StorageProvider | None:
    """The provider that is the team's default now; None where none is.

    Raises:
        Failure: it cannot be known, so nothing that would displace it may be sent.
    """
    after: str | None = None
    for _ in range(_MOST_PAGES):
        page = await call.storage.providers.list(Query(after=after, limit=LARGEST_PAGE))
        for provider in page.items:
            if provider.is_team_default:
                return provider
        after = page.next_page
        if after is None:
            return None
    raise Malformed("its list of storage providers does not end")


def _look(call: Call, id: str, seen: StorageProvider | None = None, *more: str) -> Look:
    """Looks at what is at stake, the first time at what was `seen`."""
    first = [seen] if seen is not None else []

    async def look() -> AtStake:
        return _at_stake(first.pop() if first else await call.storage.providers.get(id), *more)

    return look


def _new(call: Call, arguments: CreateStorageProvider) -> NewProvider:
    credentials: Credentials | None = None
    if arguments.credential_profile is not None:
        credentials = call.credentials(
            arguments.credential_profile, endpoint=arguments.endpoint, bucket=arguments.bucket
        )
    elif arguments.access_key is not None and arguments.secret_key is not None:
        credentials = Credentials(arguments.access_key, arguments.secret_key)
    return NewProvider(
        name=arguments.name,
        type=arguments.type,
        bucket=arguments.bucket,
        region=arguments.region,
        endpoint=arguments.endpoint,
        is_team_default=arguments.is_team_default,
        credentials=credentials,
    )


def _at_stake(provider: StorageProvider, *more: str) -> AtStake:
    facts = (
        *more,
        provider.type,
        f"bucket {in_quotes(provider.bucket)}" if provider.bucket else None,
        "the team's default" if provider.is_team_default else None,
        f"created {provider.dt_created}" if provider.dt_created else None,
    )
    return AtStake(
        kind="storage provider",
        id=provider.id,
        name=provider.name or "",
        facts=tuple(fact for fact in facts if fact),
        unsaid="the name" if provider.name is None else "",
    )


LIST_STORAGE_PROVIDERS = Tool(
    name="list_storage_providers",
    title="List storage providers",
    description="Find the team's object stores.",
    kind="read",
    toolset="storage-providers",
    arguments=ListStorageProviders,
    result=Page[StorageProvider],
    run=list_storage_providers,
    repeatable=True,
)
CREATE_STORAGE_PROVIDER = Tool(
    name="create_storage_provider",
    title="Create storage provider",
    description="Register an object store. Prefer credentialProfile: keys in arguments end up in logs.",
    kind="write",
    toolset="storage-providers",
    arguments=CreateStorageProvider,
    result=StorageProvider,
    run=create_storage_provider,
    brief=True,
)
GET_STORAGE_PROVIDER = Tool(
    name="get_storage_provider",
    title="Get storage provider",
    description="One provider by id, without its keys.",
    kind="read",
    toolset="storage-providers",
    arguments=ProviderById,
    result=StorageProvider,
    run=get_storage_provider,
    repeatable=True,
    brief=True,
)
UPDATE_STORAGE_PROVIDER = Tool(
    name="update_storage_provider",
    title="Replace storage provider",
    description="Replace a whole provider: repeat all that is to stay, credentials too.",
    kind="write",
    toolset="storage-providers",
    arguments=UpdateStorageProvider,
    result=StorageProvider,
    run=update_storage_provider,
    overwrites=True,
    repeatable=True,
    brief=True,
)
DELETE_STORAGE_PROVIDER = Tool(
    name="delete_storage_provider",
    title="Delete storage provider",
    description="Disconnect an object store from the team; the bucket itself stays.",
    kind="destructive",
    toolset="storage-providers",
    arguments=DeleteStorageProvider,
    result=Deleted,
    run=delete_storage_provider,
    overwrites=True,
    repeatable=True,
)
