"""The five tools for storage providers: the object stores behind datasets, models and notebooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from paperspace_storage_tools.arguments import (
    Arguments,
    Confirm,
    Endpoint,
    Flag,
    Identifier,
    Name,
    Order,
    Paging,
    Secret,
    Word,
)
from paperspace_storage_tools.models import Deleted, Page, ProviderType, StorageProvider
from paperspace_storage_tools.ports import AtStake, Call, Credentials, NewProvider, Query
from paperspace_storage_tools.tool import Tool


def _check_provider_id(value: str) -> str:
    # /storage-providers/utilization is another operation: as an id it would read or hit that path.
    if value.casefold() == "utilization":
        raise ValueError("a provider's id; for the utilization call get_storage_utilization")
    return value


ProviderId = Annotated[Identifier, AfterValidator(_check_provider_id)]


class ListStorageProviders(Paging):
    order: Order | None = None


class CreateStorageProvider(Arguments):
    name: Name
    type: ProviderType
    bucket: Word | None = None
    region: Word | None = None
    endpoint: Endpoint | None = None
    is_team_default: Flag | None = None
    credential_profile: Word | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None

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
    return await call.storage.providers.list(Query(after=arguments.after, limit=arguments.limit, order=arguments.order))


async def create_storage_provider(call: Call, arguments: CreateStorageProvider) -> StorageProvider:
    return await call.storage.providers.create(_new(call, arguments))


async def get_storage_provider(call: Call, arguments: ProviderById) -> StorageProvider:
    return await call.storage.providers.get(arguments.id)


async def update_storage_provider(call: Call, arguments: UpdateStorageProvider) -> StorageProvider:
    new = _new(call, arguments)
    if call.protects:
        call.refuse_protected(_at_stake(await call.storage.providers.get(arguments.id), arguments.id), "replaced")
    return await call.storage.providers.update(arguments.id, new)


async def delete_storage_provider(call: Call, arguments: DeleteStorageProvider) -> Deleted:
    async def look() -> AtStake:
        return _at_stake(await call.storage.providers.get(arguments.id), arguments.id)

    await call.allow("delete", look, confirm=arguments.confirm)
    await call.storage.providers.delete(arguments.id)
    return Deleted(id=arguments.id)


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


def _at_stake(provider: StorageProvider, asked: str) -> AtStake:
    facts = (
        provider.type,
        f"bucket {provider.bucket}" if provider.bucket else None,
        "the team's default" if provider.is_team_default else None,
        f"created {provider.dt_created}" if provider.dt_created else None,
    )
    return AtStake(
        kind="storage provider",
        id=provider.id,
        name=provider.name or "",
        facts=tuple(fact for fact in facts if fact),
        also=(asked,) if asked != provider.id else (),
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
