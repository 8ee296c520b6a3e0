"""Prove that the libraries work here without any network: `python /srv/smoke/huggingface.py`.

A tokenizer is built from sentences that are made here, a small transformer with random weights is
trained on them, then adapted with LoRA; on a GPU when there is one, else on the CPU.
"""

# ruff: noqa: T201 - what it prints is what it is run for

import os
import tempfile
import time
from importlib.metadata import version

os.environ["HF_HUB_OFFLINE"] = "1"

import datasets
import evaluate
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

STEPS, BATCH = 60, 16
SPECIAL = {f"{name}_token": f"<{name}>" for name in ("unk", "pad", "eos")}
WHO = ("the scholar", "a reviewer", "the small model", "my neighbour")
DOES = ("trains", "checks", "explains", "stops")
WHAT = ("a network", "the run", "every result", "two lines")
SENTENCES = [f"{who} {does} {what} ." for who in WHO for does in DOES for what in WHAT]
# The same words in another order: what the trained model is then adapted to.
TURNED = [f"{what} {does} {who} ." for who in WHO for does in DOES for what in WHAT]


class Agreement(evaluate.Metric):
    """The share of predictions that are right: a metric without a download."""

    def _info(self) -> evaluate.MetricInfo:
        number = datasets.Value("int64")
        features = datasets.Features({"predictions": number, "references": number})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        pairs = zip(predictions, references, strict=True)
        return {"agreement": sum(a == b for a, b in pairs) / len(references)}


def built_tokenizer() -> PreTrainedTokenizerFast:
    """Build a tokenizer from the sentences."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    teacher = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(SPECIAL.values()), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, teacher)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL)


def small_model(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """Return a transformer with random weights."""
    torch.manual_seed(0)
    end = tokenizer.eos_token_id
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=32,
            n_embd=64,
            n_layer=2,
            n_head=4,
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def rows_of(sentences: list[str], tokenizer: PreTrainedTokenizerFast) -> datasets.Dataset:
    """Return the sentences as numbers, through the cache of the datasets library."""

    def encoded(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        padded = tokenizer(rows["text"], padding="max_length", max_length=16, truncation=True)
        seen = padded["attention_mask"]
        labels = [
            [one if there else -100 for one, there in zip(ids, mask, strict=True)]
            for ids, mask in zip(padded["input_ids"], seen, strict=True)
        ]
        return {"input_ids": padded["input_ids"], "attention_mask": seen, "labels": labels}

    texts = datasets.Dataset.from_dict({"text": sentences})
    return texts.map(encoded, batched=True, remove_columns=["text"])


def trained(model: torch.nn.Module, rows: datasets.Dataset, folder: str) -> tuple[float, float]:
    """Train through Trainer and accelerate; return the loss of the first steps and of the last."""
    asked = TrainingArguments(
        output_dir=folder, max_steps=STEPS, per_device_train_batch_size=BATCH, learning_rate=5e-3,
        logging_steps=10, save_strategy="no", report_to=[], disable_tqdm=True, seed=0,
        dataloader_pin_memory=torch.cuda.is_available(),
    )  # fmt: skip
    trainer = Trainer(model=model, args=asked, train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return losses[0], losses[-1]


def agreement(model: torch.nn.Module, rows: datasets.Dataset) -> float:
    """Return the share of parts of words that the model foretells from those before."""
    where = next(model.parameters()).device
    ids = torch.tensor(rows["input_ids"][:], device=where)
    labels = torch.tensor(rows["labels"][:], device=where)
    with torch.no_grad():
        foretold = model(input_ids=ids, attention_mask=(labels >= 0).long()).logits.argmax(-1)
    counted = labels[:, 1:] >= 0
    return float(Agreement().compute(
        predictions=foretold[:, :-1][counted].tolist(), references=labels[:, 1:][counted].tolist()
    )["agreement"])  # fmt: skip


def main() -> None:
    """Build, train, adapt, save and load."""
    logging.set_verbosity_error()
    for library in (datasets, logging):
        library.disable_progress_bar()
    names = ("transformers", "datasets", "accelerate", "tokenizers", "evaluate", "peft")
    print(", ".join(f"{name} {version(name)}" for name in names))
    tokenizer = built_tokenizer()
    line = SENTENCES[5]
    assert (
        tokenizer.decode(tokenizer(line)["input_ids"], clean_up_tokenization_spaces=False) == line
    )
    rows = rows_of(SENTENCES, tokenizer)
    model = small_model(tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        first, last = trained(model, rows, folder)
        where = next(model.parameters()).device.type
        share = agreement(model, rows)
        print(f"transformer on {where}, {STEPS} steps in {time.monotonic() - began:.1f} s: "
              f"loss {first:.3f} -> {last:.3f}, {share:.0%} foretold")  # fmt: skip
        assert last < first / 2, "the transformer learnt nothing"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        again = GPT2LMHeadModel.from_pretrained(folder)
        assert PreTrainedTokenizerFast.from_pretrained(folder)(line) == tokenizer(line)
        lora = LoraConfig(
            r=4, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM"
        )
        adapted = get_peft_model(again, lora)
        small, whole = adapted.get_nb_trainable_parameters()
        first, last = trained(adapted, rows_of(TURNED, tokenizer), folder)
        print(f"LoRA, {small} of {whole} numbers trained: loss {first:.3f} -> {last:.3f}")
        assert last < first / 2, "LoRA changed nothing"
    print("huggingface: ok")


if __name__ == "__main__":
    main()
