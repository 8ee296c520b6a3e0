"""What a spawner knows of the lease that pays for its server; survives a restart of the hub."""

from typing import Any
from uuid import UUID, uuid4

from traitlets import Bool, Float, HasTraits, Int, Unicode

# Kept in the hub's database, so that a restarted hub still knows whose lease a server runs on.
_KEPT = ("lease_id", "flavor_name", "image_name", "gpu_uuid", "gpu_is_virtual")


class Leased(HasTraits):
    """Mixed into a spawner: the pre-spawn hook fills these in, `start` reads them."""

    hub_id = Unicode("main", help="Which hub this is, for the books.").tag(config=True)

    session_api = Unicode("", help="Where sessions reach the service.").tag(config=True)

    lease_id = Unicode("", help="The lease, made and saved before the service is asked for it.")
    flavor_name = Unicode("", help="The flavor of lab.yaml that was chosen.")
    image_name = Unicode("", help="The image of lab.yaml that was chosen.")
    docker_image = Unicode("", help="The Docker reference of that image.")
    root_is_read_only = Bool(default_value=False, help="The image's files cannot be changed.")
    gpu_uuid = Unicode("", help="The GPU or MIG instance that was granted; empty for none.")
    gpu_is_virtual = Bool(default_value=False, help="A declared GPU, with no device behind it.")
    memory_fraction = Float(0.0, help="The part of the GPU's memory to keep to; 0: no advice.")
    emergency_until = Unicode(
        "", help="Started while the books were away: the instant at which it has to have ended."
    )
    cpus = Float(1.0, help="CPU cores of the flavor.")
    ram_mib = Int(2048, help="Memory of the flavor, in MiB.")

    def get_state(self) -> dict[str, Any]:
        """Return what the hub saves of a running server."""
        state: dict[str, Any] = super().get_state()
        state.update({name: getattr(self, name) for name in _KEPT if getattr(self, name)})
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what the hub saved."""
        super().load_state(state)
        for name in _KEPT:
            setattr(self, name, state.get(name, type(self).class_traits()[name].default_value))

    def real_gpu(self) -> str:
        """Return the GPU that the session may really use; empty for none."""
        return "" if self.gpu_is_virtual else str(self.gpu_uuid)

    def lab_variables(self) -> dict[str, str]:
        """Return what a session is told of the lab."""
        own = {"GPULAB_LEASE": self.lease_id, "GPULAB_FLAVOR": self.flavor_name,
               "GPULAB_IMAGE": self.image_name,
               # Else a library starts a thread for each core of the host, for its few of them.
               "OMP_NUM_THREADS": str(max(1, int(self.cpus)))}  # fmt: skip
        return {**own, "GPULAB_SESSION_API": self.session_api} if self.session_api else own

    def gpu_advice(self) -> dict[str, str]:
        """Return what tells PyTorch to keep to the session's part of the GPU's memory.

        Nothing where the driver holds the session to it: both together would count twice.
        """
        if not self.real_gpu() or not 0 < self.memory_fraction < 1:
            return {}
        return {"PYTORCH_ALLOC_CONF": f"per_process_memory_fraction:{self.memory_fraction:.4f}"}

    def sure_lease_id(self) -> str:
        """Return the lease id as a UUID's text; make one where no hook has."""
        # It becomes part of names of folders and containers: nothing but a UUID will do.
        lease_id = str(UUID(self.lease_id) if self.lease_id else uuid4())
        self.lease_id = lease_id
        return lease_id
