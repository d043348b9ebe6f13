"""The page on which a person hands in their team's key: who may see it, what a form may do, how a browser treats it.

Pure ASGI, before the gate: it takes no bearer token, only its own cookies. Knows no MCP and no tool. A key goes from
the form to whoever tries it and then into the store; it is in no page, no log and no answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from paperspace_storage_server.hosted.connect_keys import ConnectedKeys, wrong_with
from paperspace_storage_server.hosted.connect_links import LONGEST, PARAMETER, LinkIsOver, Links, NotTheirLink
from paperspace_storage_server.hosted.connect_rate import Rate
from paperspace_storage_server.hosted.connect_sessions import LASTS as SESSION_LASTS
from paperspace_storage_server.hosted.connect_sessions import Session, Sessions
from paperspace_storage_server.hosted.identity import Identity, NotReady
from paperspace_storage_server.hosted.pages import Html, connect_page, content_policy, notice_page
from paperspace_storage_server.hosted.signing_in import LASTS as SIGN_IN_LASTS
from paperspace_storage_server.hosted.signing_in import NotSignedIn, SigningIn
from paperspace_storage_server.state.store import Store, key_of
from paperspace_storage_tools.errors import AuditUnwritable, StoreUnavailable
from paperspace_storage_tools.text import clean

logger = logging.getLogger(__name__)

TRIES: Final = 10, 3600.0
"""Keys that one person may have tried, and the seconds: nobody sorts stolen keys here."""
LARGEST: Final = 8192  # bytes of a form
_BARE: Final = "/connect"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": content_policy(),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not "no-referrer": a browser would then send `Origin: null` with our own forms. Nobody else is told of us.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

TryKey: TypeAlias = Callable[[SecretStr], Awaitable[str]]
"""The name of a key's team, empty where the API does not say it, after asking for something harmless with it.

Raises: `KeyNotGood`.
"""
NeedsNone: TypeAlias = Callable[[Identity], "str | None"]
"""Why somebody needs no key of their own, for them to read; None where they do. Raises: `NotReady`."""


Recorded: TypeAlias = Callable[[str, str], AbstractContextManager[None]]
"""A line of the audit file around what a person does: `connect` or `disconnect`, and who it is.

Raises: `AuditUnwritable`: then it must not be done.
"""


class KeyNotGood(Exception):
    """The API does not take the key, or could not be asked; `why` is for the person, and clean."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Address:
    """Where the page is: below the public URL of the server."""

    public_url: str

    @property
    def page(self) -> str:
        return f"{self.public_url.rstrip('/')}{_BARE}"

    @property
    def callback(self) -> str:
        return f"{self.page}/callback"

    @property
    def path(self) -> str:
        return urlsplit(self.page).path

    @property
    def secure(self) -> bool:
        """Whether browsers come over https: plain http is for loopback only, and has no `__Host-` cookies."""
        return self.public_url.startswith("https:")

    @property
    def origin(self) -> str:
        """As browsers write it: without the port that goes without saying."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{_without_default(parts.netloc.lower(), parts.scheme)}"

    def is_asked_as(self, host: str) -> bool:
        """Whether a `Host` header is ours: no other name, that may lead here too, has our cookies."""
        scheme, _, authority = self.origin.partition("://")
        return _without_default(host.lower(), scheme) == authority

    def cookie(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name


@dataclass(frozen=True, slots=True)
class Connecting:
    """All that the page needs. `policy` says in a sentence what a key that is handed in may be used for."""

    address: Address
    signing_in: SigningIn
    sessions: Sessions
    links: Links
    keys: ConnectedKeys
    try_key: TryKey
    needs_none: NeedsNone
    recorded: Recorded
    store: Store
    policy: str


class ConnectPage:
    """ASGI: the page and where the issuer sends browsers back to; all else goes on to `app`."""

    def __init__(self, app: ASGIApp, connecting: Connecting, rate: Rate | None = None) -> None:
        self._app = app
        self._its = connecting
        self._rate = rate or Rate()
        address = connecting.address
        self._path, self._callback = address.path, urlsplit(address.callback).path
        self._bare = _BARE if urlsplit(address.public_url).path != _BARE else None
        self._session_cookie, self._sign_in_cookie = address.cookie("connect"), address.cookie("connect-sign-in")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in (self._path, self._callback, self._bare):
            await self._app(scope, receive, send)
            return
        response = await self._answer(Request(scope, receive))
        response.headers.update(_HEADERS)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not self._its.address.is_asked_as(request.headers.get("host", "")):
            return _notice(421, "Wrong address", "This page is not served under this name.")
        if not self._rate.take(request.client.host if request.client else ""):
            response = _notice(429, "Too many requests", "Wait a minute, then load this page again.")
            response.headers["Retry-After"] = "60"
            return response
        try:
            return await self._routed(request)
        except StoreUnavailable:
            return self._again(503, "Not available", "Keys cannot be read or kept at the moment. Nothing was changed.")
        except AuditUnwritable:
            return self._again(503, "Not available", "This cannot be recorded at the moment. Nothing was changed.")
        except NotReady:
            return self._again(503, "Not available", "Nobody can sign in at the moment. Nothing was changed.")

    async def _routed(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        if path == self._path and method == "POST":
            return await self._act(request)
        if method not in ("GET", "HEAD"):
            response = _notice(405, "Not like this", "This page is loaded, and its forms are sent.")
            response.headers["Allow"] = "GET, HEAD, POST" if path == self._path else "GET, HEAD"
            return response
        if path == self._callback:
            return await self._come_back(request)
        if path != self._path:
            return RedirectResponse(self._its.address.page, 308)
        return await self._show(request)

    async def _show(self, request: Request) -> Response:
        """The page of whoever is signed in; everybody else is sent to sign in first."""
        carried = request.query_params.get(PARAMETER)
        if carried is not None and len(carried) > LONGEST:
            return self._no_link()
        session = await self._its.sessions.of(request.cookies.get(self._session_cookie, ""))
        if session is None:
            url, cookie = self._its.signing_in.begin(carried)
            response: Response = RedirectResponse(url, 303)
            self._set(response, self._sign_in_cookie, cookie, SIGN_IN_LASTS)
            return response
        if carried is not None:
            return await self._spent(carried, session.person) or RedirectResponse(self._its.address.page, 303)
        return await self._form(session)

    async def _come_back(self, request: Request) -> Response:
        """From the issuer: a session of its own for whoever has signed in, never one that was there before."""
        cookie = request.cookies.get(self._sign_in_cookie, "")
        try:
            signed_in = await self._its.signing_in.finish(cookie, request.query_params)
        except NotSignedIn as error:
            return self._again(403, "You are not signed in", error.why)
        identity, person = signed_in.identity, signed_in.identity.key
        if signed_in.carried is not None and (refused := await self._spent(signed_in.carried, person)) is not None:
            self._set(refused, self._sign_in_cookie, "", 0)
            return refused
        session = await self._its.sessions.begin(person, signed_in.shown, self._its.needs_none(identity))
        response = RedirectResponse(self._its.address.page, 303)
        self._set(response, self._sign_in_cookie, "", 0)
        self._set(response, self._session_cookie, session.id, SESSION_LASTS)
        return response

    async def _spent(self, carried: str, person: str) -> Response | None:
        """None where the link was made for this person and is opened for the first time."""
        try:
            await self._its.links.spend(carried, person)
        except NotTheirLink:
            return self._no_link()
        except LinkIsOver:
            return self._again(
                410,
                "This link is over",
                "It can be opened once, and for a quarter of an hour. If your own agent has given it to you, go on.",
                "Go on to your own page",
            )
        return None

    async def _act(self, request: Request) -> Response:
        """A form of ours. What it asks is done for the person of the session, whatever it says."""
        if request.headers.get("origin") != self._its.address.origin or (
            request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
        ):
            return self._again(403, "Not from this page", "The form was sent by another page. Nothing was changed.")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            return _notice(415, "Not like this", "Use the form on this page.")
        form = await _form_of(request)
        if form is None:
            return self._again(413, "Too much", "That is more than a key. Nothing was kept.")
        session = await self._its.sessions.of(request.cookies.get(self._session_cookie, ""))
        if session is None or not session.sent(form.get("csrf", "")):
            return self._again(403, "You are not signed in", "Nothing was changed: you signed in too long ago.")
        match form.get("action"):
            case "connect":
                return await self._connect(session, form.get("key", ""))
            case "remove":
                with self._its.recorded("disconnect", session.person):
                    await self._its.keys.remove(session.person)
                    await self._its.sessions.end_all(session.person)
                logger.info("%s has removed their key", clean(session.person))
                return await self._over(session, "The key is removed", "Your agent can no longer use it, from now on.")
            case "sign-out":
                return await self._over(session, "You are signed out", "What you handed in is kept.")
            case _:
                return self._again(400, "Not like this", "Use the form on this page.")

    async def _connect(self, session: Session, pasted: str) -> Response:
        if session.needs_none is not None:
            return await self._form(session)
        if (problem := wrong_with(pasted)) is not None:
            return await self._form(session, problem)
        wait = await self._its.store.draw(key_of("connect tries", session.person), *TRIES)
        if wait > 0:
            return await self._form(session, "You have tried too many keys. Try again in an hour.")
        key = SecretStr(pasted)
        try:
            team = await self._its.try_key(key)
        except KeyNotGood as error:
            return await self._form(session, error.why)
        with self._its.recorded("connect", session.person):
            await self._its.keys.keep(session.person, key, team)
        logger.info("%s has handed in a key", clean(session.person))
        return RedirectResponse(self._its.address.page, 303)

    async def _form(self, session: Session, problem: str | None = None) -> Response:
        present = await self._its.keys.of(session.person)
        page = connect_page(
            action=self._path,
            csrf=session.csrf,
            shown=session.shown,
            present=present,
            policy=self._its.policy,
            needs_none=session.needs_none,
            problem=problem,
        )
        return HTMLResponse(page, 422 if problem else 200)

    async def _over(self, session: Session, heading: str, said: str) -> Response:
        """The session has ended with what was asked."""
        await self._its.sessions.end(session)
        response = self._again(200, heading, said, "Sign in again")
        self._set(response, self._session_cookie, "", 0)
        return response

    def _no_link(self) -> Response:
        return self._again(
            403,
            "This link is not yours",
            "It was made for another person than the one who signed in. If somebody else gave it to you, hand in "
            "nothing: ask them what it is for.",
            "Go to your own page",
        )

    def _again(self, status: int, heading: str, said: str, link: str = "Start again") -> Response:
        return _notice(status, heading, said, (self._path, link))

    def _set(self, response: Response, name: str, value: str, seconds: float) -> None:
        response.set_cookie(
            name, value, max_age=int(seconds), path="/", secure=self._its.address.secure, httponly=True, samesite="lax"
        )


async def _form_of(request: Request) -> Mapping[str, str] | None:
    """The fields of a form, the first of each name; None where it is too large."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _notice(status: int, heading: str, said: str, onward: tuple[str, str] | None = None) -> Response:
    page: Html = notice_page(heading, said, onward)
    return HTMLResponse(page, status)


def _without_default(authority: str, scheme: str) -> str:
    return authority.removesuffix(":443" if scheme == "https" else ":80")
