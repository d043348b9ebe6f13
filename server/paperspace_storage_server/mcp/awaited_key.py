"""Asking a person to hand in their team's key on a page of this server: URL elicitation, as each era words it.

2026 era: the question is the call's result, and the call comes again with the answer. 2025-11-25: error -32042, after
which the client may call again. An accept says that the person has opened the page, not that the key is there.
"""

from __future__ import annotations

import secrets
from typing import Final

from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult, InputResponses
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from paperspace_storage_server.calls.service import AwaitedKey
from paperspace_storage_server.mcp.caller import Context

MESSAGE: Final = (
    "This server has no Paperspace API key for you yet. Open the page, sign in there as the same person as here, and "
    "hand in your team's key. It goes to this server alone: neither this client nor the model sees it."
)
_REPLY: Final = "connect"
_SINCE: Final = "2025-11-25"  # the first revision that has URL elicitation
_SHARE: Final = 0.8  # of a call's budget for waiting; the rest is the call's


async def ask_for(
    context: Context, awaited: AwaitedKey, responses: InputResponses | None, budget: float
) -> InputRequiredResult | None:
    """The question, where it has to be put first; None where the call can go on, or where its client cannot be asked:
    then its failure says where to go.

    Raises:
        UrlElicitationRequiredError: the question of the older era.
    """
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        reply = (responses or {}).get(_REPLY)
        if isinstance(reply, ElicitResult):
            if reply.action == "accept":
                await awaited.comes(budget * _SHARE)
            return None
        if not _declared(context):
            return None
        params = ElicitRequestURLParams(message=MESSAGE, url=awaited.link())
        return InputRequiredResult(input_requests={_REPLY: ElicitRequest(params=params)})
    if context.protocol_version >= _SINCE and _declared(context):
        id = secrets.token_urlsafe(16)
        raise UrlElicitationRequiredError(
            [ElicitRequestURLParams(message=MESSAGE, url=awaited.link(), elicitation_id=id)],
            "This server has no Paperspace API key for you yet",
        )
    return None


def _declared(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and elicitation.url is not None
