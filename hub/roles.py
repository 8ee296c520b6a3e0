"""Who may do what, made from lab.yaml: the least that works, and no more than is used."""

from typing import Any

from quota.lab import Lab

SERVICE = "gpulab"
METRICS = "gpulab-metrics"
METRICS_TOKEN = "metrics_token"  # noqa: S105 - the name of a file
ADMIN_SCOPE = "custom:gpulab:admin"
ACCESS_SCOPE = f"access:services!service={SERVICE}"

CULLER = "idle-culler"
SESSIONS_SCOPE = "custom:gpulab:sessions"

CUSTOM_SCOPES = {
    ADMIN_SCOPE: {"description": "Give GPU-hours, and see everybody's."},
    SESSIONS_SCOPE: {"description": "See which sessions run, and whether they have a GPU."},
}

# Everybody may use the service with their own JupyterHub token; what they see there is their own.
USER_SCOPES = frozenset({ACCESS_SCOPE})

_SEES_ACTIVITY = ("list:users", "read:servers", "read:users:activity")

# The token of a running session is readable by everything in it, so it can do three things only.
# By the last one the service's session listener knows it, which is all that takes it there.
SESSION_SCOPES = ("users:activity!user", "access:servers!server", ACCESS_SCOPE)


def roles(lab: Lab) -> list[dict[str, Any]]:
    """Make the hub's roles; at each start the hub makes the members exactly these.

    Organizers are no administrators of JupyterHub: they cannot open other people's servers.
    """
    return [
        {
            "name": "gpulab-organizer",
            "description": "Gives GPU-hours in the lab",
            "scopes": [ADMIN_SCOPE],
            "users": sorted(lab.organizers),
        },
        {
            "name": "gpulab-service",
            "description": "The lab's worker stops sessions whose hours are used up, sees when "
            "they were last used and tells of those that train in silence; it lets the TAs in "
            "who are attached; Prometheus, with the same token, reads the hub's metrics",
            # `shares` holds `access:servers`: the hub lets nobody share what they cannot open.
            "scopes": [
                "delete:servers",
                *_SEES_ACTIVITY,
                "read:metrics",
                "users:activity",
                "shares",
            ],
            "services": [SERVICE],
        },
        {
            "name": "gpulab-idle-culler",
            "description": "Stops sessions without a GPU that nobody uses",
            "scopes": ["delete:servers", *_SEES_ACTIVITY, ACCESS_SCOPE, SESSIONS_SCOPE],
            "services": [CULLER],
        },
    ]


def metrics_role() -> dict[str, Any]:
    """Make the role of a Prometheus that has a token of its own."""
    return {
        "name": METRICS,
        "description": "Prometheus reads the hub's metrics",
        "scopes": ["read:metrics"],
        "services": [METRICS],
    }


def people(lab: Lab) -> set[str]:
    """List everybody whom lab.yaml names."""
    tas = {ta for section in lab.sections.values() for ta in section.tas}
    return {*lab.roster, *tas, *lab.organizers}
