#!/usr/bin/env bash
# Renew the locks from the .in files: `make lock`. Needs uv, and an index with the CPU build of torch.
set -euo pipefail
cd "$(dirname "$0")"
options=(--python-version 3.11 --no-header --no-annotate --no-emit-find-links --no-emit-index-url --quiet "$@")

# Of tritonclient[all] the benchmark program and the CUDA shared memory are not wanted: neither has a use
# in a process without a GPU, and the program's wheels fit few systems.
light=(perf-analyzer cuda-bindings cuda-core cuda-pathfinder cuda-python)
uv pip compile api.in --universal "${light[@]/#/--no-emit-package=}" "${options[@]}" -o api.lock
uv pip compile dev.in --universal "${light[@]/#/--no-emit-package=}" --constraint api.lock "${options[@]}" -o dev.lock

uv pip compile fuzz.in --universal "${options[@]}" -o fuzz.lock

# Not wanted: torchvision, torchaudio and torchcodec, whose registry builds are CUDA ones that break
# `import vllm`; triton, the compiler, which needs a GPU; opencv, which needs NumPy 2.
unwanted=(torchvision torchaudio torchcodec triton opencv-python-headless)
uv pip compile server.in --override server.overrides.txt "${unwanted[@]/#/--no-emit-package=}" "${options[@]}" \
    -o server.lock
# They are left out on purpose, so the list of them at the end says nothing.
sed -i '/^#/d' ./*.lock
