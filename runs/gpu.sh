#!/usr/bin/env bash
# The sample system on a GPU machine without our environment: python3 must hold torch, tokenizers,
# safetensors, einops, jaxtyping and Pillow. Call it again with the same OUT and it goes on.
#   OUT=/some/folder MINUTES=9 runs/gpu.sh
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:?say where results go}
export PYTHONPATH=$PWD/src PYTHONUNBUFFERED=1
timeout "${MINUTES:-9}m" python3 - "$out" <<'PY' || test $? -eq 124
import sys
from pathlib import Path

from racm3.recipes.sample import assemble_sample, build_sample, sample_gpu

run = Path(sys.argv[1])
build_sample(sample_gpu(), run, on="cuda")
assemble_sample(sample_gpu(), run, run / "system")
PY
