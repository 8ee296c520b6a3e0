"""The rules that organizers change while the lab runs: the same four routes for each part."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.cursors import PageDep, read_name, write_cursor
from api.rules import ConditionsDep, RuleDeskDep
from api.schemas import Reason
from api.schemas_office import RuleIn, RuleOut, RulePage

EntryName = Annotated[str, Path(max_length=64)]


def rules_router(part: str) -> APIRouter:
    """Make the routes of one part of the rules."""
    address = part.replace("_", "-")
    router = APIRouter(prefix=f"/v1/{address}", tags=[address])

    @router.get("", name=f"list_{part}")
    def list_entries(desk: RuleDeskDep, page: PageDep) -> RulePage:
        """List the entries that you may see, by name."""
        desk.access.require_person()
        desk.office.books.reload_rules()
        after = read_name(page.cursor) or ""
        names = sorted(
            name for name in getattr(desk.office.books.lab, part)
            if name > after and desk.access.sees_rule(part, name)
        )  # fmt: skip
        shown = names[: page.size]
        more = write_cursor(shown[-1]) if len(names) > len(shown) else None
        return RulePage(entries=[desk.entry(part, name) for name in shown], next=more)

    @router.get("/{name}", name=f"get_{part}")
    def get_entry(name: EntryName, desk: RuleDeskDep) -> RuleOut:
        """See an entry in the notation of lab.yaml, with its ETag."""
        desk.office.books.reload_rules()
        return desk.shown(part, name)

    @router.put("/{name}", name=f"put_{part}")
    def put_entry(
        name: EntryName, body: RuleIn, desk: RuleDeskDep, conditions: ConditionsDep
    ) -> RuleOut:
        """Replace or make an entry; it holds at once, also for sessions that run."""
        desk.change(part, name, body.rule, of=conditions, reason=body.reason)
        return desk.shown(part, name)

    @router.delete("/{name}", name=f"delete_{part}", status_code=204)
    def delete_entry(
        name: EntryName, reason: Annotated[Reason, Query()], desk: RuleDeskDep,
        conditions: ConditionsDep,
    ) -> None:  # fmt: skip
        """Take an entry away."""
        desk.change(part, name, None, of=conditions, reason=reason)

    return router
