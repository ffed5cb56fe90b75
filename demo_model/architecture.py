"""The one place that says what our small Gemma 2 looks like, and how a checkpoint directory is written."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from transformers import Gemma2Config, Gemma2ForCausalLM, GenerationConfig

from demo_model.tokens import BOS, END_OF_TURN, EOS, PAD, token_id

MAX_POSITIONS: Final = 4096
HEAD_DIM: Final = 32  # the smallest that vLLM's CPU attention takes


def gemma2_config(
    *, vocab_size: int, hidden: int, layers: int, heads: int, kv_heads: int, mlp: int
) -> Gemma2Config:
    """Return a Gemma 2 configuration with Gemma's soft-capping, sliding window and tied embeddings.

    `hidden` and `mlp` are widths in units, `vocab_size` in tokens; a head is `HEAD_DIM` wide.
    """
    return Gemma2Config(
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=HEAD_DIM,
        query_pre_attn_scalar=HEAD_DIM,
        max_position_embeddings=MAX_POSITIONS,
        sliding_window=MAX_POSITIONS,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        tie_word_embeddings=True,
        pad_token_id=token_id(PAD),
        eos_token_id=token_id(EOS),
        bos_token_id=token_id(BOS),
    )


def parameter_count(model: Gemma2ForCausalLM) -> int:
    """Return the number of weights, the tied embedding counted once."""
    return sum(weight.numel() for weight in model.parameters())


def save(model: Gemma2ForCausalLM, out_dir: Path, notice: str) -> None:
    """Write the model in bf16 with its configuration, and NOTICE.txt with the one sentence `notice`.

    Generation ends at <end_of_turn>, where Gemma ends its turn, as well as at <eos>.
    """
    model.generation_config = GenerationConfig(
        bos_token_id=token_id(BOS),
        pad_token_id=token_id(PAD),
        eos_token_id=[token_id(EOS), token_id(END_OF_TURN)],
    )
    model.bfloat16().save_pretrained(out_dir)
    (out_dir / "NOTICE.txt").write_text(notice + "\n", encoding="utf-8")
