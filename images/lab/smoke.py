"""Prove that the lab's programs are whole, without any network: `python /srv/smoke/lab.py`.

Books are made in a file, the service is started on them and asked, and the hub reads its
configuration to the end. Both images have the same programs, so both are proved alike.
"""

# ruff: noqa: T201 - what it prints is what it is run for

import os
import secrets
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from urllib.request import urlopen

START_S = 60
URL = "http://127.0.0.1:8090/healthz"
SECRETS = ("admission_token", "service_token", "proxy_token", "cookie_secret", "crypt_key")


def surroundings(folder: Path) -> dict[str, str]:
    """Make what the programs read: secrets, a policy, a place for the state."""
    for name in SECRETS:
        (folder / name).write_text(secrets.token_hex(32))
        (folder / name).chmod(0o600)
    policy = files("quota.simulation") / "lab.yaml"
    return {
        **os.environ,
        "GPULAB_STATE_DIR": str(folder),
        "GPULAB_SECRETS_DIR": str(folder),
        "GPULAB_LAB_FILE": str(policy),
        "GPULAB_DATABASE_URL": f"sqlite:///{folder}/books.sqlite",
        "GPULAB_SPAWNER": "docker",
    }


def run(*command: str, environment: dict[str, str]) -> str:
    """Run one of the programs to its end."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def ask_service(environment: dict[str, str]) -> float:
    """Start the service and return after how many seconds it said that it is well."""
    service = subprocess.Popen([sys.executable, "-m", "api.serve"], env=environment)
    began = time.monotonic()
    try:
        while time.monotonic() - began < START_S and service.poll() is None:
            try:
                with urlopen(URL, timeout=2) as answer:
                    assert answer.status == 200
                    return time.monotonic() - began
            except OSError:
                time.sleep(0.1)
    finally:
        service.terminate()
        service.wait(timeout=20)
    sys.exit("the service did not start")


def main() -> None:
    """Make books, start the service, read the hub's configuration."""
    assert os.getuid() != 0, "the lab's programs run as an ordinary user"
    state = Path("/srv/gpulab/state")
    (state / "written").write_text("a volume at this place can be written")
    with tempfile.TemporaryDirectory() as name:
        environment = surroundings(Path(name))
        run("gpulab", "migrate", environment=environment)
        print(run("gpulab", "check", environment=environment).strip().splitlines()[-1])
        print(f"service answers after {ask_service(environment):.1f} s")
        hub = ["jupyterhub", "-f", "/srv/gpulab/jupyterhub_config.py", "--show-config"]
        if Path(hub[2]).exists():
            shown = run(*hub, environment=environment)
            assert "spawner_class = <class 'hub." in shown, "the configuration is not the lab's"
            print("the hub reads its configuration")
    print("programs of the lab: ok")


if __name__ == "__main__":
    main()
