"""Run in the server's environment: prepares answers as Triton does, and encodes the prompts as vLLM does.

Reads one JSON object ``{"model", "max_tokens", "texts"}``, writes a list of objects with the prompt, its
three texts, normalised and not, its token ids, those of the bare template, the tokens counted, the flags, and
the ids of all control tokens.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from transformers import AutoTokenizer

from tests.model_repository.beside import beside

preparing, template, tokenizer = beside("preparing"), beside("template"), beside("tokenizer")


def main() -> None:
    asked = json.load(sys.stdin)
    theirs = AutoTokenizer.from_pretrained(asked["model"])
    ours = tokenizer.PromptTokenizer.load(asked["model"])
    original = template.Template.read(template.ORIGINAL)
    limits = {"max_tokens": asked["max_tokens"], "reject_too_long": False, "min_share_kept": 0.0}
    preparer = preparing.Preparer(original, ours, **limits)
    as_given = preparing.Preparer(original, ours, **limits, normalise_text=False)
    told: list[dict[str, Any]] = []
    for curso, consigna, respuesta in asked["texts"]:
        try:
            prepared = preparer.prepare(curso, consigna, respuesta)
        except preparing.RefusedError as error:
            told.append({"refused": error.code})
            continue
        ids = theirs(prepared.prompt).input_ids
        told.append(
            {
                "prompt": prepared.prompt,
                "texts": prepared.texts,
                "as_given": as_given.prepare(curso, consigna, respuesta).texts,
                "flags": prepared.flags,
                "share_kept": prepared.share_kept,
                "ids": ids,
                "counted": len(ours.encode(prepared.prompt).ids),
                "control": [number for number in ids if number in theirs.all_special_ids],
                "known": sorted(ours.control_tokens) == sorted(theirs.all_special_ids),
            }
        )
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
