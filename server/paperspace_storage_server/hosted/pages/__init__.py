"""The pages of `/connect` as HTML. Every value that goes into one is escaped here, and none of them holds a script."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from paperspace_storage_server.hosted.connect_keys import KEPT, ConnectedKey

_FOLDER = Path(__file__).parent


class Html(str):
    """Text that is HTML already; any other is escaped where it is put into a page."""

    __slots__ = ()


NOTHING = Html("")


def connect_page(
    *,
    action: str,
    csrf: str,
    shown: str,
    present: ConnectedKey | None,
    policy: str,
    needs_none: str | None,
    problem: str | None,
) -> Html:
    """The form, with what is kept at present; `problem` is what was wrong with the key that has just been sent.

    For who `needs_none`, for that reason, there is no form to hand one in.
    """
    forms = {"action": action, "csrf": csrf}
    if present is None:
        kept = Html("<p>You have handed in no key.</p>")
    else:
        kept = _filled(
            "kept.html",
            team=present.team or "whose name the API does not say",
            since=_day(present.since),
            until=_day(present.until),
            **forms,
        )
    if needs_none is not None:
        form = Html(f"<p>{escape(needs_none)}</p>")
    else:
        form = _filled(
            "form.html",
            purpose="Hand in a key" if present is None else "Replace it",
            days=str(round(KEPT / 86_400)),
            policy=policy,
            error=Html(f'<span class="error" id="key-error">{escape(problem)}</span>') if problem else NOTHING,
            described="key-hint key-error" if problem else "key-hint",
            invalid=Html(' aria-invalid="true"') if problem else NOTHING,
            **forms,
        )
    summary = _filled("summary.html", problem=problem) if problem else NOTHING
    content = _filled("connect.html", summary=summary, shown=shown, present=kept, form=form, **forms)
    title = "Connect a Paperspace team"
    return _page(f"Error: {title}" if problem else title, content)


def notice_page(heading: str, said: str, onward: tuple[str, str] | None = None) -> Html:
    """One thing to say; `onward` is an address of ours and what its link says."""
    link = NOTHING
    if onward is not None:
        link = Html(f'<p><a href="{escape(onward[0])}">{escape(onward[1])}</a></p>')
    return _page(heading, _filled("notice.html", heading=heading, said=said, onward=link))


@cache
def content_policy() -> str:
    """What a browser may do with a page: show it with our style, and send its form back. Nothing else."""
    digest = base64.b64encode(hashlib.sha256(_read("style.css").encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _page(title: str, content: Html) -> Html:
    return _filled("layout.html", title=title, style=Html(_read("style.css")), content=content)


def _filled(name: str, **values: str) -> Html:
    safe = {key: value if isinstance(value, Html) else escape(value) for key, value in values.items()}
    return Html(Template(_read(name)).substitute(safe))


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
