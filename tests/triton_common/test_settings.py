"""The model's settings become vLLM's arguments; what makes no sense is refused with one line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from testkit.triton import ROOT, SERVER_PYTHON
from triton_common.repository import SOURCE, lay_out
from triton_common.server import Ports
from triton_common.settings import ModelSettings, SettingsError


def test_defaults_are_the_requirements() -> None:
    """Without any variable the production model is served as the requirements say."""
    args = ModelSettings.from_env({}).engine_args("cuda")
    assert args == {
        "model": "carlosvillu/gemma2-9b-teacher-eval-nota-feedback",
        "max_model_len": 1024,
        "tensor_parallel_size": 1,
        "dtype": "bfloat16",
        "enable_prefix_caching": True,
        "block_size": 16,
        "max_num_seqs": 128,
        "gpu_memory_utilization": 0.9,
        "compilation_config": {"mode": 3},
    }


def test_every_variable_reaches_model_json() -> None:
    """Each variable changes its argument; extra arguments are added last."""
    args = ModelSettings.from_env(
        {
            "MODEL_NAME": "other/model", "MODEL_REVISION": "abc", "GPU_MEMORY_UTILIZATION": "0.5",
            "MAX_MODEL_LEN": "2048", "TENSOR_PARALLEL_SIZE": "2", "DTYPE": "auto",
            "ENABLE_PREFIX_CACHING": "false", "BLOCK_SIZE": "32", "MAX_NUM_SEQS": "64",
            "COMPILATION_LEVEL": "3", "EXTRA_ENGINE_ARGS": '{"quantization": "fp8"}',
        }
    ).engine_args("cuda")  # fmt: skip
    assert args == {
        "model": "other/model", "revision": "abc", "gpu_memory_utilization": 0.5, "max_model_len": 2048,
        "tensor_parallel_size": 2, "dtype": "auto", "enable_prefix_caching": False, "block_size": 32,
        "max_num_seqs": 64, "compilation_config": {"mode": 3}, "quantization": "fp8",
    }  # fmt: skip


# What vLLM's own code asks of the two, before September 2026 and since.
KEEPS_CUDA_GRAPHS = """
import json, sys
from vllm.config import CompilationConfig, CompilationMode, CUDAGraphMode
for given in json.loads(sys.argv[1]):
    config = CompilationConfig(**given)
    graphs = config.cudagraph_mode or CUDAGraphMode.FULL_AND_PIECEWISE
    assert graphs != CUDAGraphMode.NONE, given
    assert config.mode == CompilationMode.VLLM_COMPILE or not graphs.requires_piecewise_compilation(), given
print("kept", end="")
"""


@pytest.mark.vllm
def test_every_compilation_level_keeps_cuda_graphs() -> None:
    """vLLM takes what each level becomes, and finds nothing in it for which it would drop CUDA graphs."""
    configs = [
        ModelSettings.from_env({"COMPILATION_LEVEL": str(level)}).engine_args("cuda")["compilation_config"]
        for level in range(4)
    ]
    ended = subprocess.run(
        [SERVER_PYTHON, "-c", KEEPS_CUDA_GRAPHS, json.dumps(configs)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout.endswith("kept"), ended.stdout + ended.stderr


def test_cpu_reads_prompts_whole() -> None:
    """On the CPU no prompt may be read in pieces, however long the model's context is."""
    args = ModelSettings.from_env({"MAX_MODEL_LEN": "8192"}).engine_args("cpu")
    assert args["enable_chunked_prefill"] is False
    assert args["max_num_batched_tokens"] >= 8192


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GPU_MEMORY_UTILIZATION", "1.5"),
        ("MAX_MODEL_LEN", "many"),
        ("DTYPE", "float16"),
        ("ENABLE_PREFIX_CACHING", "perhaps"),
        ("MAX_NUM_SEQS", "0"),
        ("EXTRA_ENGINE_ARGS", "[1]"),
    ],
)
def test_nonsense_is_refused_with_one_line(name: str, value: str) -> None:
    """The error is one line that names the variable and its value."""
    with pytest.raises(SettingsError) as caught:
        ModelSettings.from_env({name: value})
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert value in str(caught.value)


@pytest.mark.parametrize("value", ["0", "65536", "http", "-1"])
def test_port_out_of_range_is_refused(value: str) -> None:
    """A port that is none is refused by name."""
    with pytest.raises(SettingsError, match="TRITON_HTTP_PORT"):
        Ports.from_env({"TRITON_HTTP_PORT": value})


def test_repository_is_laid_out_with_rendered_model_json(tmp_path: Path) -> None:
    """The copy holds all four models and the rendered arguments, and replaces an older copy."""
    target = tmp_path / "repository"
    (target / "stale").mkdir(parents=True)
    lay_out(target, {"model": "m"})
    assert {path.name for path in target.iterdir()} == {"evaluate", "preprocess", "gemma2", "postprocess"}
    assert json.loads((target / "gemma2" / "1" / "model.json").read_text()) == {"model": "m"}
    assert not (SOURCE / "gemma2" / "1" / "model.json").exists()


def test_overlay_takes_the_place_of_a_model(tmp_path: Path) -> None:
    """A model of the overlay replaces ours whole: no file of ours is left in it."""
    overlay = tmp_path / "overlay"
    (overlay / "gemma2").mkdir(parents=True)
    (overlay / "gemma2" / "config.pbtxt").write_text('name: "gemma2"')
    target = lay_out(tmp_path / "repository", None, overlay=overlay)
    assert [path.name for path in (target / "gemma2").iterdir()] == ["config.pbtxt"]
    assert (target / "preprocess" / "1" / "model.py").exists()


def test_what_is_laid_out_stands_by_itself(tmp_path: Path) -> None:
    """Nothing in it is a link: it can be served from anywhere."""
    target = lay_out(tmp_path / "repository", None)
    assert (target / "postprocess" / "1" / "notes.py").is_file()
    assert not [path for path in target.rglob("*") if path.is_symlink()]
