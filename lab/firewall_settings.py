"""What `python -m lab.firewall` reads, and what that means for the sessions' network."""

from dataclasses import dataclass

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lab.egress import Openings, networks_in
from lab.network import SessionNetwork, find_network


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldNetwork:
    """A network on which the hub is a container; nobody has to ask the engine about it."""

    name: str
    bridge: str
    has_ipv6: bool = False


class FirewallSettings(BaseSettings):
    """What `python -m lab.firewall` reads."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    docker_network: str = Field(default="gpulab", description="Docker network of the sessions.")
    hub_port: int = Field(default=8081, ge=1, le=65535, description="The hub's own port.")
    session_listener_port: int = Field(
        default=8091, ge=1, le=65535, description="Where sessions reach the service."
    )
    sessions_reach: str = Field(
        default="", description="Private addresses or networks that sessions may reach all the "
        "same, with commas between them.",
    )  # fmt: skip
    session_callers: str = Field(
        default="", description="Addresses of hub and proxy on the sessions' network, where they "
        "are containers, with commas between them; the first is the hub.",
    )  # fmt: skip
    session_listener_at: str = Field(
        default="", description="Address of the service on the sessions' network, where it is a "
        "container.",
    )  # fmt: skip
    session_bridge: str = Field(
        default="", max_length=15, validate_default=True,
        description="The bridge of the sessions' network, where the engine cannot be asked for "
        "it; needs `GPULAB_SESSION_CALLERS`.",
    )  # fmt: skip

    @field_validator("sessions_reach", "session_callers", "session_listener_at")
    @classmethod
    def _are_addresses(cls, text: str) -> str:
        networks_in(text)
        return text

    @field_validator("session_bridge")
    @classmethod
    def _has_a_hub(cls, bridge: str, info: ValidationInfo) -> str:
        # Without its address, the hub's port would be this machine's, which is not known then.
        if bridge and not networks_in(info.data.get("session_callers", "")):
            raise ValueError("name the hub's address in GPULAB_SESSION_CALLERS")
        return bridge


def place_of(settings: FirewallSettings) -> SessionNetwork | ToldNetwork:
    """Return the network that is meant, by what is told or by the engine.

    Raises:
        CannotStart: the engine knows none.

    """
    if settings.session_bridge:
        return ToldNetwork(name=settings.docker_network, bridge=settings.session_bridge)
    return find_network(settings.docker_network)


def openings_of(
    settings: FirewallSettings,
    network: SessionNetwork | ToldNetwork,
    resolvers: tuple[str, ...],
) -> Openings:
    """Say what is open: hub and service in containers, or both on this machine."""
    callers = networks_in(settings.session_callers)
    service = networks_in(settings.session_listener_at)
    here = () if callers or isinstance(network, ToldNetwork) else (network.gateway,)
    doors = (
        *((one, settings.hub_port) for one in callers[:1] or here),
        *((one, settings.session_listener_port) for one in service or here),
    )
    return Openings(doors=doors, resolvers=resolvers, callers=callers, asking=callers[:1],
                    answering=service, also=networks_in(settings.sessions_reach))  # fmt: skip
