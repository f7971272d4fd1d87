#!/usr/bin/env bash
# The sample system on a lent GPU machine without our environment: python3 must hold torch,
# tokenizers, safetensors, einops, jaxtyping, snowballstemmer, numpy and Pillow.
#   OUT=/empty/folder [RUN=runs/out/gpu] [MINUTES=9] [RECIPE=sample_gpu] [AFTER=sample] [DEVICE=cuda] runs/gpu.sh
# With AFTER a recipe goes on from a finished system, such as RECIPE=course_cpu from the shipped one.
# RUN keeps checkpoints: call again with the same RUN and it goes on where it was. OUT gets what
# should come back: logs always, and the finished system in pieces small enough to carry. Join them:
#   cat OUT/system.tgz.* | tar xz
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:?say where results go}
run=${RUN:-runs/out/gpu}
mkdir -p "$run" "$out"
export PYTHONPATH=$PWD/src PYTHONUNBUFFERED=1
RUN=$run timeout --kill-after=20s "${MINUTES:-9}m" "${PYTHON:-python3}" - <<'PY' || test $? -eq 124
import os
from pathlib import Path

from racm3.recipes.further import build_of

recipe, run = os.environ.get("RECIPE", "sample_gpu"), Path(os.environ["RUN"])
build_of(recipe, run, after=os.environ.get("AFTER"), on=os.environ.get("DEVICE", "cuda")).system()
PY
tar cz -C "$run" --exclude='step-*' --exclude=final $(cd "$run" && find . -name log.jsonl) > "$out/logs.tgz"
if test -d "$run/system"; then
  tar cz -C "$run" system | split -b 15m - "$out/system.tgz."
fi
ls -l "$out"
