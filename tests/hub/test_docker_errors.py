"""What the engine says, and what the person who waits reads."""

import pytest
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from hub.docker_errors import could_not_start

IMAGE = "gpulab/base:latest"


def said(status: int, text: str, kind: type[APIError] = APIError) -> APIError:
    reply = requests.Response()
    reply.status_code = status
    return kind("error", response=reply, explanation=text)


# The engine's own words, of several versions.
@pytest.mark.parametrize(
    ("error", "reason", "sentence"),
    [
        (said(404, "No such image: gpulab/base:latest", ImageNotFound),
         "image_missing", f"The image {IMAGE} is not on this machine"),
        (said(404, "manifest for x:1 not found: manifest unknown", NotFound),
         "image_missing", "could not be fetched"),
        (said(500, "Get https://r.example/v2/: dial tcp: lookup r.example: no such host"),
         "image_missing", "could not be fetched"),
        (said(404, "", ImageNotFound), "image_missing", "is not on this machine"),
        (said(500, "mkdir /var/lib/docker/overlay2/ab: no space left on device"),
         "disk_full", "is full"),
        (said(500, "failed to copy files: write /x: disk quota exceeded"), "disk_full", "is full"),
        (said(409, 'Conflict. The container name "/gpulab-1" is already in use by container "2".'),
         "name_taken", "Try again"),
        (said(500, 'could not select device driver "" with capabilities: [[gpu]]'),
         "gpu_missing", "NVIDIA container toolkit is missing"),
        (said(500, "nvidia-container-cli: initialization error: nvml error: driver not loaded"),
         "gpu_missing", "Nothing was charged"),
        (said(500, "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=GPU-1"),
         "gpu_missing", "NVIDIA container toolkit"),
        (said(404, "network gpulab not found", NotFound), "network_missing", "network"),
        (said(500, "fork/exec /usr/bin/runc: cannot allocate memory"), "no_memory", "no memory"),
        (said(403, "the lab's gate refuses this: its network has to be gpulab"),
         "gate", "its network has to be gpulab. Tell an organizer"),
        (said(500, "something that nobody knows"), "docker", "something that nobody knows"),
        (DockerException("Error while fetching server API version"), "engine_away", "not answer"),
        (requests.ConnectionError("Connection refused"), "engine_away", "not answer"),
        (requests.ReadTimeout("read timed out"), "engine_away", "Try again"),
        (FileNotFoundError(2, "No such file or directory"), "engine_away", "not answer"),
    ],
)  # fmt: skip
def test_the_engines_words_become_a_sentence_with_a_next_step(
    error: Exception, reason: str, sentence: str
) -> None:
    refused = could_not_start(error, IMAGE)
    assert refused.reason == reason
    assert sentence in refused.jupyterhub_message
    assert refused.status_code == 503
    assert "/var/lib" not in refused.jupyterhub_message, "the hub's log has the rest"


def test_a_long_answer_is_cut() -> None:
    assert len(could_not_start(said(500, "x" * 9000), IMAGE).jupyterhub_message) <= 500
