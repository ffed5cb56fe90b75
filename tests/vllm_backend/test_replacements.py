"""The stack without replacements of vLLM's functions: they are a matter of speed alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testkit.ensemble import Ensemble
from testkit.triton import TEST_MODEL, TritonProcess
from tests.vllm_backend.client import Response, ask

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]

PROMPT = "Alumne de 3r ESO respon que la pluja ve dels núvols, i que els núvols venen del mar quan fa sol."
PARAMETERS = {
    "temperature": 0.8, "top_p": 0.9, "seed": 7, "max_tokens": 12, "logprobs": 2, "ignore_eos": True,
    "structured_outputs": '{"grammar": "root ::= [a-z ]*"}',
}  # fmt: skip
OUTPUTS = {"return_logprobs": True, "return_cumulative_logprob": True, "return_finish_reason": True}


class OtherVersion(TritonProcess):
    """A server whose backend was written for another vLLM."""

    @property
    def command(self) -> list[str]:
        return [
            word if word != "triton_cpu.serve" else "tests.vllm_backend.other_version"
            for word in super().command
        ]


def plain_server(kind: str, run_dir: Path) -> TritonProcess:
    if kind == "setting":
        return TritonProcess.vllm(run_dir, {"CPU_REPLACEMENTS": "none"})
    return OtherVersion(run_dir, environment={"MODEL_NAME": str(TEST_MODEL)})


def content(response: Response) -> tuple[object, ...]:
    assert not response.error, response.error
    outputs = response.outputs
    return (
        response.text,
        outputs["logprobs"][0],
        outputs["cumulative_logprob"][0],
        outputs["finish_reason"][0],
    )


@pytest.mark.parametrize(("kind", "warnings"), [("setting", 0), ("version", 1)])
def test_plain_vllm_answers_alike(
    kind: str, warnings: int, vllm_triton: TritonProcess, tmp_path: Path
) -> None:
    """Switched off, or written for another vLLM (one warning says so): the same answers and marks."""
    server = plain_server(kind, tmp_path)
    server.start()
    try:
        pairs = []
        for url in (vllm_triton.grpc_url, server.grpc_url):
            (response,) = ask(url, PROMPT, PARAMETERS, **OUTPUTS)
            with Ensemble.at(url) as ensemble:
                mark = ensemble.ask("La pluja ve dels núvols, que venen del mar.", request_id="1")
            assert not mark.error
            pairs.append((content(response), mark["nota"], mark["feedback"], mark["confidence"]))
        assert pairs[0] == pairs[1]
        assert json.loads(pairs[0][0][1])  # type: ignore[arg-type]
        log = server.log.read_text(encoding="utf-8", errors="replace")
        assert log.count("vLLM's own functions are used") == warnings
    finally:
        server.stop()


def test_an_unknown_name_stops_the_start(tmp_path: Path) -> None:
    """One line says what the setting may be."""
    server = TritonProcess.vllm(tmp_path, {"CPU_REPLACEMENTS": "sampler"})
    with pytest.raises(RuntimeError, match="CPU_REPLACEMENTS='sampler'"):
        server.start()
    assert server.stop() != 0
