"""Scholars' programs with the real PyTorch and Hugging Face libraries, in their image, offline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.datasets import about, add
from hub.process_spawner import SESSION_PART
from tests.engine import Engine, throwaway_engine

pytestmark = [pytest.mark.docker, pytest.mark.long, pytest.mark.timeout(600)]

IMAGE = "gpulab/huggingface:latest"
LINK = Path(__file__).parents[2] / "images" / "huggingface" / "link_models.py"
WITHIN_S = 550

# Each run is a child of its own, forked after the libraries are loaded: that takes longest.
_HEAD = """
import json, os, signal, sys, traceback
import torch
import torch._dynamo  # what an optimizer loads at its first step
torch.set_num_threads(1)

def ran(*work):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with open("/tmp/said", "w") as sys.stdout:
                work[0](*work[1:])
            status = 0
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return ended, open("/tmp/said").read()
"""

# The same training: never stopped; and stopped in three ways, with and without workers.
_TORCH = """
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
import gpulab_session

def train(path, result, stop_at=None, number=None, workers=0):
    torch.manual_seed(5)
    data = TensorDataset(torch.randn(64, 8), torch.randint(0, 3, (64,)))
    model = nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    rate = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    loader = DataLoader(data, batch_size=8, shuffle=True, num_workers=workers)
    loop = gpulab_session.torch_loop(
        loader, path, epochs=4, model=model, optimizer=optimizer, rate=rate
    )
    for inputs, labels in loop:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        rate.step()
        if loop.step + 1 == stop_at:
            os.kill(os.getpid(), number)
    assert loop.is_done and loop.step == 32, loop.step
    torch.save(model.state_dict(), result)

ended = [ran(train, "/tmp/whole.pt", "/tmp/expected")[0]]
for workers in (0, 2):
    path = f"/tmp/run-{workers}.pt"
    for stop_at, number in ((3, signal.SIGTERM), (8, signal.SIGHUP), (21, signal.SIGINT)):
        status, said = ran(train, path, "/tmp/none", stop_at, number, workers)
        assert f"after step {stop_at}" in said, said
        ended.append(status)
    ended.append(ran(train, path, f"/tmp/resumed-{workers}", None, None, workers)[0])
expected = torch.load("/tmp/expected")
same = [all(torch.equal(one, expected[name]) for name, one in torch.load(file).items())
        for file in ("/tmp/resumed-0", "/tmp/resumed-2")]
print(json.dumps({"ended": ended, "same": same, "early": os.path.exists("/tmp/none")}))
"""

# A transformer with random weights: it is told to stop and goes on; or its minutes are over.
_TRAINER = """
import accelerate
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments
from gpulab_session.trainer import GpulabCallback, last_checkpoint

class Told(TrainerCallback):
    def on_step_begin(self, args, state, control, **more):
        if state.global_step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

def train(folder, minutes=None, *callbacks):
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=16, n_embd=16, n_layer=1, n_head=1, n_positions=8,
                        bos_token_id=0, eos_token_id=1)
    rows = [{"input_ids": [one % 16] * 8, "labels": [one % 16] * 8} for one in range(64)]
    args = TrainingArguments(folder, max_steps=12, per_device_train_batch_size=4, use_cpu=True,
                             report_to=[], save_strategy="no", disable_tqdm=True)
    trainer = Trainer(GPT2LMHeadModel(config), args, train_dataset=rows,
                      callbacks=[*callbacks, GpulabCallback(minutes)])
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    torch.save([trainer.state.global_step, trainer.model.state_dict()], folder + ".result")

assert ran(train, "/tmp/whole")[0] == 0
status, said = ran(train, "/tmp/told", None, Told())
saved = last_checkpoint("/tmp/told")
assert ran(train, "/tmp/told")[0] == 0
assert ran(train, "/tmp/short", 1e-6)[0] == 0
(_, whole), (resumed_to, resumed) = torch.load("/tmp/whole.result"), torch.load("/tmp/told.result")
print(json.dumps({
    "told": status, "said": "after step 7" in said, "saved": saved, "resumed to": resumed_to,
    "same": all(torch.equal(one, resumed[name]) for name, one in whole.items()),
    "short": [torch.load("/tmp/short.result")[0], last_checkpoint("/tmp/short")],
    "none": last_checkpoint("/tmp/whole"),
}))
"""

_BUILD = """
import os, sys
from pathlib import Path
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
version = "1" * 40
shared = Path("/shared/models/models--lab--tiny")
place = shared / "snapshots" / version
place.mkdir(parents=True)
(shared / "refs").mkdir()
(shared / "refs" / "main").write_text(version)
words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(place)
config = GPT2Config(vocab_size=8, n_embd=8, n_layer=1, n_head=1, n_positions=8, bos_token_id=0,
                    eos_token_id=1)
GPT2LMHeadModel(config).save_pretrained(place)
os.system("chmod -R a+rX /shared/models")
print("true")
"""

_USE = """
import json, os, socket, subprocess

class Asked(BaseException):
    pass

def ask(*arguments, **more):
    raise Asked

socket.getaddrinfo = ask
from huggingface_hub import constants
from transformers import AutoModelForCausalLM, AutoTokenizer
words = AutoTokenizer.from_pretrained("lab/tiny")("a b a")["input_ids"]
model = AutoModelForCausalLM.from_pretrained("lab/tiny")
listed = subprocess.run(["python", "-m", "gpulab_session.command", "datasets", "--json"],
                        capture_output=True, text=True, check=True).stdout
folder = json.loads(listed)[0]["folder"]
try:
    open(folder + "/train.csv", "a")
except OSError as error:
    refused = error.strerror
constants.HF_HUB_OFFLINE = False
try:
    AutoTokenizer.from_pretrained("lab/tiny")
    control = "it asks nobody at all"
except Asked:
    control = "asked"
print(json.dumps({"words": words, "layers": model.config.n_layer, "control": control,
                  "told": os.environ.get("HF_HUB_OFFLINE"), "folder": folder, "write": refused}))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as one:
        if not one.client.images(IMAGE):
            pytest.skip(f"the image {IMAGE} is not here: scripts/build-image.sh huggingface")
        yield one


def run(
    engine: Engine, tmp_path: Path, program: str, binds: dict[Path, tuple[str, str]] | None = None,
    **more: Any,
) -> Any:  # fmt: skip
    """Run a program in the image without network; return the JSON that it prints at last."""
    script = tmp_path / "script.py"
    script.write_text(program)
    tmp_path.chmod(0o755)
    mounts = {script: ("/script.py", "ro"), SESSION_PART: ("/srv/part", "ro"), **(binds or {})}
    host = engine.client.create_host_config(
        network_mode="none", cap_drop=["ALL"],
        tmpfs={"/tmp": "mode=1777", "/home/scholar": "mode=0755,uid=1000"},
        binds={str(one): {"bind": at, "mode": mode} for one, (at, mode) in mounts.items()},
    )  # fmt: skip
    made = engine.client.create_container(
        IMAGE, ["python", "/script.py"], host_config=host, labels={"gpulab.hub": engine.hub_id},
        entrypoint=["tini", "-g", "--", "python", "-I", "-S", "/srv/link_models.py"],
        environment={"PYTHONPATH": "/srv/part", "TOKENIZERS_PARALLELISM": "false",
                     **more.get("environment", {})},
    )  # fmt: skip
    engine.client.start(made["Id"])
    status = engine.client.wait(made["Id"], timeout=WITHIN_S)["StatusCode"]
    said = engine.client.logs(made["Id"]).decode()
    assert status == 0, said
    return json.loads(said.splitlines()[-1])


def test_a_real_training_that_went_on_ends_as_one_that_never_stopped(
    engine: Engine, tmp_path: Path
) -> None:
    """The same weights to the last bit: shuffled batches, dropout, a schedule, and workers."""
    assert run(engine, tmp_path, _HEAD + _TORCH) == {
        "ended": [0, -15, -1, 130, 0, -15, -1, 130, 0], "same": [True, True], "early": False,
    }  # fmt: skip


def test_the_real_trainer_saves_before_the_end_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    assert run(engine, tmp_path, _HEAD + _TRAINER) == {
        "told": -15, "said": True, "saved": "/tmp/told/checkpoint-7", "resumed to": 12,
        "same": True, "short": [1, "/tmp/short/checkpoint-1"], "none": None,
    }  # fmt: skip


def test_the_first_use_of_a_shared_model_needs_no_network(engine: Engine, tmp_path: Path) -> None:
    """Nobody's name is looked up; without the variable it would be."""
    models, shared, new = tmp_path / "models", tmp_path / "datasets", tmp_path / "new"
    for folder in (models, shared, new):
        folder.mkdir()
    models.chmod(0o777)
    (new / "train.csv").write_text("1,2\n")
    what = about(name="digits", version="1", licence="CC0-1.0", source="made for this test")
    add(new, shared, what, lambda _count: None)
    # The mount says it, whatever the permissions say.
    (shared / "digits" / "1" / "train.csv").chmod(0o666)
    assert run(engine, tmp_path, _BUILD, {models: ("/shared/models", "rw")})
    found = run(
        engine, tmp_path, _USE,
        {models: ("/shared/models", "ro"), shared: ("/shared/datasets", "ro"),
         LINK: ("/srv/link_models.py", "ro")},
        environment={"GPULAB_MODELS": "/shared/models", "GPULAB_DATASETS": "/shared/datasets"},
    )  # fmt: skip
    assert found == {
        "words": [0, 1, 0], "layers": 1, "control": "asked", "told": "1",
        "folder": "/shared/datasets/digits/1", "write": "Read-only file system",
    }  # fmt: skip
