"""Through a real Triton with the real vLLM backend and the model that `make run` serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest

from demo_model.dataset import items
from demo_model.phrases import Side
from testkit.ensemble import Answer, Ensemble, provenance
from testkit.triton import TEST_MODEL, TritonProcess
from tests.model_repository.adversarial import answers

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm"), pytest.mark.timeout(300)]
WINDOW = 100
CONSIGNA = "Explica què és la fotosíntesi."
NO_END = ("output_truncated", "degenerate_feedback")
"""What a model that was trained on short texts makes of the oddest ones now and then."""


def grade_all(url: str, texts: Sequence[str], attempt: int = 1) -> list[Answer]:
    """One answer for each text, in their order; some requests are in flight at a time."""
    found: dict[int, Answer] = {}
    with Ensemble.at(url) as ensemble:
        for number, text in enumerate(texts):
            if number >= WINDOW:
                answer = ensemble.receive()
                found[int(answer.id)] = answer
            ensemble.send(text, consigna=CONSIGNA, request_id=str(number), attempt=attempt)
        while len(found) < len(texts):
            answer = ensemble.receive()
            assert int(answer.id) not in found, "a second answer for one item"
            found[int(answer.id)] = answer
        assert ensemble.silent
    return [found[number] for number in range(len(texts))]


def test_adversarial_answers_get_one_result_each(vllm_triton: TritonProcess) -> None:
    """300 adversarial answers, but for the far too long: each gets one of the right shape and its flags."""
    made = [one for one in answers() if not one.kind.startswith("long")]
    graded = grade_all(vllm_triton.grpc_url, [one.text for one in made])
    for one, answer in zip(made, graded, strict=True):
        assert not answer.error, (one.kind, answer.error)
        assert answer["nota"] in range(6) or answer["error_code"] in NO_END, one.kind
        assert (answer["nota"] == -1) == bool(answer["error"])
        assert ("control_tokens" in answer.flags) == (one.in_words is not None or one.kind == "nested token")
        assert ("truncated" in answer.flags) == (answer["share_kept"] < 1)
        assert one.kind != "order" or "instruction_like" in answer.flags
        assert answer["num_input_tokens"] <= 824
        if answer["nota"] >= 0:
            probabilities = answer.outputs["mark_probabilities"]
            assert probabilities.sum() == pytest.approx(1, abs=1e-5)
            assert answer["confidence"] == pytest.approx(probabilities[answer["nota"]])


def test_answers_that_are_far_too_long_are_refused(vllm_triton: TritonProcess) -> None:
    """Where less than half could be read there is no mark; a little too long is truncated, and said to be."""
    with Ensemble.at(vllm_triton.grpc_url) as ensemble:
        for text in {one.text for one in answers() if one.kind.startswith("long")}:
            assert "[prompt_too_long]" in ensemble.ask(text).error
        cut = ensemble.ask(" ".join(f"{number}: les plantes fan menjar amb la llum." for number in range(90)))
    assert cut.flags[0] == "truncated"
    assert 0.5 <= cut["share_kept"] < 1


def test_a_feedback_without_an_end_ends_at_the_next_attempt(vllm_triton: TritonProcess) -> None:
    """What was cut off at the first attempt is whole at the second, whose feedback is bounded."""
    made = [f"{'a' * length} {number}" for number, length in enumerate(range(400, 900, 25))]
    first = grade_all(vllm_triton.grpc_url, made)
    cut = [t for t, answer in zip(made, first, strict=True) if answer["error_code"] == "output_truncated"]
    assert cut, "no text that makes this model go on without an end"
    for answer in grade_all(vllm_triton.grpc_url, cut, attempt=2):
        assert answer["nota"] >= 0 or answer["error_code"] == "degenerate_feedback"


def test_disarmed_tokens_weigh_no_more_than_their_words(vllm_triton: TritonProcess) -> None:
    """At least 95 % of the marks are those of the same texts with the tokens written out as words."""
    made = [one for one in answers(400, seed=6) if one.in_words is not None]
    tokens = grade_all(vllm_triton.grpc_url, [one.text for one in made])
    words = grade_all(vllm_triton.grpc_url, [one.in_words or "" for one in made])
    same = sum(one["nota"] == other["nota"] for one, other in zip(tokens, words, strict=True))
    assert same >= 0.95 * len(made), f"{same} of {len(made)}"


def test_the_same_again(vllm_triton: TritonProcess) -> None:
    """An answer alone gives the same mark and feedback each time; its seed comes from its content."""
    text = next(iter(items(Side.HELD_OUT, 1))).respuesta
    with Ensemble.at(vllm_triton.grpc_url) as ensemble:
        first, second = ensemble.ask(text, request_id="1"), ensemble.ask(text)
    assert (first["nota"], first["feedback"]) == (second["nota"], second["feedback"])


def test_provenance_pins_the_model(vllm_triton: TritonProcess) -> None:
    """The weights' hash and the engine's arguments are told."""
    told = provenance(vllm_triton.grpc_url)
    assert told["model"]["name"] == Path(TEST_MODEL).resolve().name
    assert told["model"]["weights"].startswith("sha256:")
    assert told["engine"]["dtype"] == "bfloat16"
    assert told["tokenizer"]["name"] == told["model"]["name"]


@pytest.fixture(scope="module")
def strict_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A server that refuses long texts, asks for no log-probabilities and has a prompt of its own."""
    folder = tmp_path_factory.mktemp("strict")
    template = folder / "prompt.txt"
    template.write_text(
        "<start_of_turn>user\n{curso}. {consigna}\n{respuesta}<end_of_turn>\n<start_of_turn>model\n",
        encoding="utf-8",
    )
    settings = {
        "ON_TOO_LONG": "reject",
        "CONFIDENCE": "false",
        "PROMPT_TEMPLATE": str(template),
    }
    server = TritonProcess.vllm(folder, settings)
    server.start()
    yield server
    server.stop()


def test_settings_reach_the_models(strict_triton: TritonProcess) -> None:
    """Long texts are refused, no confidence is told, and the template is ours."""
    numbers = count()
    with Ensemble.at(strict_triton.grpc_url) as ensemble:
        refused = ensemble.ask("molt llarg " * 2000, request_id=str(next(numbers)))
        assert "[prompt_too_long]" in refused.error
        for text in ("Les plantes fan aliment amb la llum.", "No ho sé."):
            answer = ensemble.ask(text, request_id=str(next(numbers)))
            # A prompt that it wasn't trained on: any mark will do.
            assert answer["nota"] in range(6), answer["error"]
            assert answer["confidence"] == -1
            assert answer.flags == []
            assert answer["num_input_tokens"] < 60


def test_a_setting_that_makes_no_sense_stops_the_start(tmp_path: Path) -> None:
    """One line says which, before anything is loaded."""
    server = TritonProcess.vllm(tmp_path, {"ON_TOO_LONG": "shorten"})
    with pytest.raises(RuntimeError, match="ON_TOO_LONG"):
        server.start()
    assert server.stop() == 2
