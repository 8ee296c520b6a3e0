"""The command that tries a channel."""

from typing import Annotated

import typer

from api.channels import AppriseNotifier, Message
from api.cli_settings import CliSettings
from api.cli_words import JsonOption, say
from api.printing import steps
from api.starting import FOUND_WRONG
from quota.lab_file import load_lab


def notify(
    test: Annotated[str, typer.Option(help="The channel to try.", show_default=False)],
    to: Annotated[
        str | None, typer.Option(help="Who gets it, where a channel is for single persons.")
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Send a test message to a channel of lab.yaml, and say what became of it."""
    settings = CliSettings()
    lab = load_lab(settings.lab_file)
    channel = lab.channels.get(test)
    if channel is None:
        there = ", ".join(sorted(lab.channels)) or "none"
        raise typer.BadParameter(f"lab.yaml has no such channel; it has: {there}",
                                 param_hint="--test")  # fmt: skip
    if channel.to_person == (to is None):
        what = "needs --to NAME" if channel.to_person else "is a room, it has no --to"
        raise typer.BadParameter(f"the channel {test} {what}", param_hint="--to")
    if to is not None and not lab.knows(to):
        raise typer.BadParameter("the lab knows nobody of this name", param_hint="--to")
    message = Message(channel=channel, person=to or "", title=f"{lab.name}: a test",
                      body="This is a test. If you can read it, the channel works.")  # fmt: skip
    with steps("Sending"):
        delivery = AppriseNotifier(settings.secrets).send(message)
    facts = {"channel": test, "result": delivery.result, "why": delivery.why}
    said = f"Sent to {channel.title}. Whether it has arrived shows there."
    if delivery.result != "sent":
        said = f"Not sent to {channel.title}: {delivery.why}."
    say([said], facts, as_json=json)
    if delivery.result != "sent":
        raise typer.Exit(FOUND_WRONG)
