"""Running sessions, for the program that stops those that nobody uses."""

from fastapi import APIRouter

from api.auth import CallerDep, require_scope
from api.deps import BooksDep
from api.schemas import RunningOut, RunningSessions
from quota.idling import Idling

router = APIRouter(prefix="/v1", tags=["sessions"])

SESSIONS_SCOPE = "custom:gpulab:sessions"


@router.get("/sessions")
def list_sessions(caller: CallerDep, books: BooksDep) -> RunningSessions:
    """See which sessions run, and whether one without a GPU may be stopped when it is idle."""
    require_scope(caller, SESSIONS_SCOPE)
    running = Idling(books).running()
    return RunningSessions(
        cpu_idle_s=books.lab.idle.cpu_min * 60,
        sessions=[
            RunningOut(account=one.session.account, server_name=one.session.server_name,
                       has_gpu=one.session.gpu_uuid is not None,
                       state=None if one.state is None else one.state.state)
            for one in running
        ],
    )  # fmt: skip
