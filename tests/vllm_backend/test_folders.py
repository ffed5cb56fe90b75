"""A model, a run's folder and an environment in folders with spaces and accents."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.ensemble import provenance
from testkit.triton import ROOT, SERVER_PYTHON, TEST_MODEL, TritonProcess
from triton_common.probe import Probe

RESOLVE = """
import os, pathlib, sys
sys.path.insert(0, sys.argv[1])
from real_paths import keep_links_in_real_paths
keep_links_in_real_paths()
for path in sys.argv[2:]:
    print(pathlib.Path(path).resolve(), os.path.realpath(path))
"""


@pytest.mark.vllm
@pytest.mark.xdist_group("vllm")
def test_a_model_with_an_odd_name_is_served_from_a_folder_with_one(tmp_path: Path) -> None:
    """The real engine loads it and marks; where a mark comes from is told with the folder's own name."""
    model = tmp_path / "Màster TFM" / "el model à"
    shutil.copytree(TEST_MODEL, model)
    server = TritonProcess.vllm(tmp_path / "Màster TFM" / "run", {"MODEL_NAME": str(model)})
    server.start()
    try:
        Probe(server.http_port, 60).ask()
        assert provenance(server.grpc_url)["model"]["name"] == "el model à"
    finally:
        server.stop()


def test_libraries_are_not_led_from_a_link_to_what_they_cannot_spell(tmp_path: Path) -> None:
    """In an interpreter that knows ASCII alone, as Triton embeds it, other links are followed as ever."""
    for name, link in (("Màster", "odd"), ("plain", "even")):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / link).symlink_to(tmp_path / name)
    links = [str(tmp_path / link / "below") for link in ("odd", "even")]
    shown = subprocess.run(
        [
            SERVER_PYTHON,
            "-I",
            "-X",
            "utf8=0",
            "-c",
            RESOLVE,
            ROOT / "triton_cpu" / "backends" / "vllm",
            *links,
        ],
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    odd, even = shown.stdout.decode("ascii").splitlines()
    assert odd.split() == [links[0]] * 2
    assert even.split() == [str(tmp_path / "plain" / "below")] * 2
