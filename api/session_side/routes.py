"""What a running session may ask and do: its own facts, and what harms nobody but its scholar."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request, Response

from api.session_side import bridge
from api.session_side import schemas as out
from api.session_side.caller import SessionDep
from api.session_side.deeds import SessionDeeds
from api.session_side.place import PREFIX

router = APIRouter(prefix=PREFIX, tags=["session"])


async def get_deeds(request: Request) -> SessionDeeds:
    """Hand over what can be done."""
    deeds: SessionDeeds = request.app.state.deeds
    return deeds


DeedsDep = Annotated[SessionDeeds, Depends(get_deeds)]


@router.get("/facts")
def get_facts(session: SessionDep, deeds: DeedsDep) -> out.FactsOut:
    """See what the session runs on, what it costs, when it ends, who is there."""
    return deeds.facts(session)


@router.get("/why")
def get_why(session: SessionDep, deeds: DeedsDep) -> out.WhyOut:
    """See why there are so many hours: lines that sum to the balance."""
    return bridge.why_out(deeds.why(session))


@router.put("/help/{request_id}")
def put_hand(
    request_id: UUID, body: out.HandIn, session: SessionDep, deeds: DeedsDep
) -> out.HelpFacts:
    """Ask the TAs of the scholar's section for help; repeating the call asks once."""
    return bridge.hand_out(*deeds.raise_hand(session, request_id, body.message, body.path or ""))


@router.put("/help/{request_id}/withdraw")
def put_withdrawal(request_id: UUID, session: SessionDep, deeds: DeedsDep) -> out.HelpFacts:
    """Take the scholar's own request for help back."""
    return bridge.hand_out(deeds.withdraw(session, request_id), None)


@router.put("/keep")
def put_keep(session: SessionDep, deeds: DeedsDep) -> out.KeptOut:
    """Keep the session's idle GPU for a while longer, unless somebody waits for one."""
    return out.KeptOut(kept_until=deeds.keep(session))


@router.put("/done", status_code=202)
def put_done(session: SessionDep, deeds: DeedsDep) -> out.DoneOut:
    """End the session: its GPU goes to others, its files are kept."""
    return out.DoneOut(state=deeds.end(session))


@router.put("/attachments/{attachment_id}/end", status_code=204)
def put_end_of_visit(attachment_id: UUID, session: SessionDep, deeds: DeedsDep) -> Response:
    """End a TA's visit in this session at once."""
    deeds.end_visit(session, attachment_id)
    return Response(status_code=204)


@router.put("/labs/{lab}/passed")
def put_passed(
    lab: Annotated[out.LabName, Path()], session: SessionDep, deeds: DeedsDep
) -> out.PassedOut:
    """Note that the scholar has passed a lab; the first time counts."""
    passed = deeds.pass_lab(session, lab)
    return out.PassedOut(lab=passed.name, passed_at=passed.passed_at)
