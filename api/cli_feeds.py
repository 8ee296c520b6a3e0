"""Commands for calendar addresses: make one for somebody, list, revoke."""

from typing import Annotated
from uuid import UUID, uuid4

import typer

from api.cli_settings import CliSettings, open_books
from api.cli_words import JsonOption, by_me, say
from api.printing import panel, table
from quota.feeds import Feed, feeds_of, make_feed, revoke_feed

app = typer.Typer(add_completion=False, no_args_is_help=True)

Owner = Annotated[str, typer.Argument(help="User name.", show_default=False)]


@app.command()
def make(
    name: Owner,
    section: Annotated[str, typer.Argument(help="Whose calendar.", show_default=False)],
    feed_id: Annotated[UUID | None, typer.Option("--id", help="Repeating it is safe.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Make an address that a calendar program can subscribe to; it is shown this once."""
    with open_books(CliSettings()) as books:
        made, secret = make_feed(books, feed_id or uuid4(), name, section, by=by_me())
    path = None if secret is None else f"/services/gpulab/feeds/{secret}.ics"
    said = "It was made before; its address cannot be shown again." if path is None else path
    hint = f"Append this to the lab's address. To revoke it: gpulab feed revoke {made.id}"
    say([panel(said), hint], {**_facts(made), "path": path}, as_json=json)


@app.command("list")
def list_feeds(name: Owner, *, json: JsonOption = False) -> None:
    """List a person's calendar addresses; their secrets are not kept."""
    with open_books(CliSettings()) as books:
        found = feeds_of(books, name)
    rows = [(str(one.id), one.section, f"{one.made_at:%Y-%m-%d %H:%M}Z",
             "" if one.revoked_at is None else f"{one.revoked_at:%Y-%m-%d %H:%M}Z")
            for one in found]  # fmt: skip
    say([table(("id", "section", "made", "revoked"), rows)],
        {"feeds": [_facts(one) for one in found]}, as_json=json)  # fmt: skip


@app.command()
def revoke(
    feed_id: Annotated[UUID, typer.Argument(help="As `list` shows it.", show_default=False)],
    *,
    json: JsonOption = False,
) -> None:
    """Let an address lead nowhere from now on."""
    with open_books(CliSettings()) as books:
        ended = revoke_feed(books, feed_id, by=by_me())
    say([f"The calendar address of {ended.owner} for {ended.section} leads nowhere now."],
        _facts(ended), as_json=json)  # fmt: skip


def _facts(one: Feed) -> dict[str, str | None]:
    return {
        "id": str(one.id), "owner": one.owner, "section": one.section,
        "made_at": one.made_at.isoformat(),
        "revoked_at": None if one.revoked_at is None else one.revoked_at.isoformat(),
    }  # fmt: skip
