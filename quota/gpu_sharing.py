"""How sessions share GPUs, and what people have to know about it. Pure."""

from collections.abc import Iterable, Iterator

from quota.lab_gpus import GpuPolicy, Sharing
from quota.placement import GpuUse

_FOR_SCHOLARS: dict[str, str] = {
    "plain": "Up to {most} sessions share a GPU: each is slower while others compute, and a GPU "
    "that breaks down stops them all.",
    "mps": "Sessions share a GPU by MPS: a program that crashes on the GPU stops all sessions on "
    "it. Save your work often.",
}
_ADVICE = (
    "The GPU memory of a flavor is advice: PyTorch keeps to it by itself, other programs may take "
    "memory that others need."
)
_HELD = "Each session is held to the GPU memory of its flavor."
_NO_MIG = (
    "lab.yaml has MIG for {uuid}, which is not in MIG mode: one session at a time uses it",
    "make its instances, or change how it is shared",
)
_MPS_TEXT = (
    "with MPS a fault of one session stops all on its GPU, and nobody can tell which of them "
    "uses it, so idle ones keep it"
)
_MPS = (_MPS_TEXT, "use plain sharing, or MIG where scholars have to be kept apart")
_MPS_IN_CONTAINERS = (
    "sessions in containers do not reach the machine's MPS server and run without it",
    "use plain sharing, exclusive or MIG",
)
_NOT_HERE = ("lab.yaml says how {uuid} is shared, which is not here", "nvidia-smi -L lists UUIDs")


def sharing_in_force(policy: GpuPolicy, uuid: str, kind: str) -> Sharing:
    """Tell how a GPU is shared. An instance of MIG is one, whatever was written of its GPU.

    A GPU that was to be in MIG mode and is not is exclusive: who wanted scholars apart gets that.
    """
    if kind == "mig":
        return "mig"
    wanted = policy.sharing_on(uuid)
    return "exclusive" if wanted == "mig" else wanted


def notes_for_scholars(gpus: Iterable[GpuUse], most: int) -> tuple[str, ...]:
    """Say what scholars should know before they choose a share of a GPU."""
    real = [gpu for gpu in gpus if gpu.in_service and gpu.kind != "virtual"]
    modes = {gpu.sharing for gpu in real}
    notes = [text.format(most=most) for mode, text in _FOR_SCHOLARS.items() if mode in modes]
    shared = [gpu for gpu in real if gpu.sharing in _FOR_SCHOLARS]
    if shared:
        notes.append(_HELD if all(gpu.holds_memory for gpu in shared) else _ADVICE)
    return tuple(notes)


def warnings_for_operators(
    policy: GpuPolicy, devices: Iterable[tuple[str, str, str]], *, in_containers: bool
) -> Iterator[tuple[str, str]]:
    """Say what is wrong or dangerous in how GPUs are shared, each with its remedy.

    `devices` are the uuid, kind and parent of each.
    """
    found = list(devices)
    known = {uuid for uuid, _, _ in found} | {parent for _, _, parent in found}
    for uuid, kind, _ in found:
        if kind == "gpu" and policy.sharing_on(uuid) == "mig":
            yield _NO_MIG[0].format(uuid=uuid), _NO_MIG[1]
    if "mps" in {sharing_in_force(policy, uuid, kind) for uuid, kind, _ in found}:
        yield _MPS
        if in_containers:
            yield _MPS_IN_CONTAINERS
    for uuid in policy.sharing_of:
        if uuid not in known:
            yield _NOT_HERE[0].format(uuid=uuid), _NOT_HERE[1]
