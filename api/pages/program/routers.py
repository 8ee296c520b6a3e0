"""All routers of the organizers' pages, and what is larger or takes longer than other pages."""

from api.bulk import BULK_ANSWER_WITHIN_S, BULK_LIMIT_BYTES
from api.pages.program import (
    audit,
    bulk,
    edits,
    gpus,
    grants,
    inbox,
    overview,
    people,
    person,
    plan,
    report,
    sections,
    sessions,
    settings,
)

ROUTERS = (
    overview.router, inbox.router, people.router, person.router, grants.router, bulk.router,
    plan.router, edits.router, sections.router, sessions.router, gpus.router, audit.router,
    report.router, settings.router,
)  # fmt: skip

LARGE_FORMS = dict.fromkeys((bulk.BULK_PAGE, sections.ROSTER_PAGE), BULK_LIMIT_BYTES)
LONG_FORMS = dict.fromkeys((bulk.BULK_PAGE, sections.ROSTER_PAGE), BULK_ANSWER_WITHIN_S)
