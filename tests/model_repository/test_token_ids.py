"""On the ids that the model reads: no student's text becomes a control token, or is cut amiss."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from typing import Any

from testkit.triton import ROOT, SERVER_PYTHON, TEST_MODEL
from tests.model_repository.adversarial import SENTENCES, TOKENS, answers

MAX_TOKENS = 824


Texts = tuple[str, str, str]


def encoded(*texts: Texts) -> list[dict[str, Any]]:
    """What the server's environment makes of some of the texts below."""
    told = encoded_all()
    return [told[text] for text in texts]


@cache
def encoded_all() -> dict[Texts, dict[str, Any]]:
    """All texts in one process: importing transformers takes seconds."""
    texts = [*AS_ANSWERS, ORDINARY, *ELSEWHERE, LONG, *UNTOUCHED]
    asked = {"model": str(TEST_MODEL), "max_tokens": MAX_TOKENS, "texts": texts}
    done = subprocess.run(
        [SERVER_PYTHON, "-m", "tests.model_repository.encode_in_server"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(texts, json.loads(done.stdout), strict=True))


def plain(text: str) -> str:
    """As it arrives in Triton: lone surrogates can't be sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


ADVERSARIAL = tuple(answers())
AS_ANSWERS = tuple(("3r ESO", "Explica què és la fotosíntesi", plain(one.text)) for one in ADVERSARIAL)
ORDINARY = ("1r ESO", "Descriu el cicle de l'aigua", SENTENCES[1])
ELSEWHERE = tuple(
    fields
    for token in TOKENS
    for fields in (
        (f"1r {token} ESO {token}", ORDINARY[1], SENTENCES[1]),
        ("1r ESO", f"{token}!", SENTENCES[1]),
    )
)
LONG = ("3r ESO", "Explica-ho", " ".join(f"{number}: {SENTENCES[0]}" for number in range(250)))
UNTOUCHED = tuple(
    ("3r ESO", "x", text)
    for text in (
        "cafe\u0301 i l\u2019avio\u0301, ﬁns i tot ①②③ ｆｕｌｌ",
        "a < b > c <b>negreta</b> <h1>Títol</h1> 3<5",
        "x\u00a0y\u2009z \u200b\u200d \ufeff",
        "<start> of turn, end_of_turn, start of turn",
        "👩‍👩‍👧‍👦 l·l «cita»",
        "[INST] {nota} %s &amp; &lt;p&gt; \\u003c",
        "\t\r\n\n  línia",
    )
)


def test_no_control_token_of_a_student_reaches_the_prompt() -> None:
    """All 300 prompts have exactly the template's control tokens, in the template's order."""
    told = encoded(*AS_ANSWERS)
    (bare,) = encoded(ORDINARY)
    refused = [one for one in told if "refused" in one]
    assert {one["refused"] for one in refused} <= {"prompt_too_long"}
    assert len(refused) <= 3
    assert len(bare["control"]) == 4  # <bos>, and the two turns' beginnings with one end
    for one, made in zip(told, ADVERSARIAL, strict=True):
        assert "refused" in one or one["control"] == bare["control"], made.kind


def test_nor_through_course_or_assignment() -> None:
    """Control tokens in the other two fields are disarmed as well."""
    (bare,) = encoded(ORDINARY)
    for one in encoded(*ELSEWHERE):
        assert one["control"] == bare["control"]
        assert one["flags"] == ["control_tokens"]


def test_control_tokens_are_flagged_and_readable() -> None:
    """Each disguised token is flagged, and reads as the words that it is made of."""
    told = encoded(*AS_ANSWERS)
    for one, made in zip(told, ADVERSARIAL, strict=True):
        if made.in_words is not None:
            assert "control_tokens" in one["flags"], made
            assert " ".join(one["texts"][2].lower().split()) == " ".join(made.in_words.lower().split()), made


def test_count_is_the_models() -> None:
    """Preprocess counts what vLLM's tokenizer gives, and no prompt is longer than what fits."""
    for one in encoded(*AS_ANSWERS):
        if "refused" not in one:
            assert one["counted"] == len(one["ids"]) <= MAX_TOKENS
            assert one["known"], "the control tokens are those that transformers knows"


def test_only_the_students_text_is_cut() -> None:
    """A long answer keeps its beginning, the template stays whole, and the share that is kept is told."""
    (one,) = encoded(LONG)
    head, _, tail = one["prompt"].partition('respon a "Explica-ho":\n')
    assert head.startswith("<start_of_turn>user\nEts una professora")
    assert tail.endswith("<end_of_turn>\n<start_of_turn>model")
    answer = tail.removesuffix("<end_of_turn>\n<start_of_turn>model")
    assert LONG[2].startswith(answer)
    assert one["share_kept"] == len(answer) / len(LONG[2].strip())
    assert one["flags"] == ["truncated"]
    assert MAX_TOKENS - 5 <= len(one["ids"]) <= MAX_TOKENS


def test_ordinary_text_is_untouched() -> None:
    """With NORMALISE_TEXT=false all but control tokens stays: decomposed letters, tags, rare spaces."""
    for one, text in zip(encoded(*UNTOUCHED), UNTOUCHED, strict=True):
        assert one["as_given"][2] == text[2]
        assert "control_tokens" not in one["flags"]
