#!/usr/bin/env bash
# Training on a lent GPU machine without our environment: python3 must hold torch, tokenizers,
# safetensors, einops, jaxtyping, snowballstemmer, filelock, numpy and Pillow.
#   OUT=/empty/folder PACK=folder [RUN=runs/out/gpu] [MINUTES=9] [DEVICE=cuda] runs/gpu.sh
# trains what was packed elsewhere (`racm3 study pack`, `racm3 train sample --stage pack`), all of it
# side by side. Back home join the pieces in the folder that `pack` named, or in the sample system's run:
#   cat OUT/runs.tgz.* | tar xz -C out/study/sample/gpu/runs
#   OUT=/empty/folder RECIPE=sample_gpu [AFTER=sample] [RUN=...] [MINUTES=9] [DEVICE=cuda] runs/gpu.sh
# makes a whole sample system, or with AFTER takes a finished one further: OUT/system.tgz.*
# RUN keeps checkpoints: call again with the same RUN and it goes on where it was. OUT gets what
# should come back, in pieces small enough to carry.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:?say where results go}
run=${RUN:-runs/out/gpu}
python=${PYTHON:-python3}
minutes=${MINUTES:-9}m
mkdir -p "$run" "$out"
export PYTHONPATH=$PWD/src PYTHONUNBUFFERED=1
if test -n "${PACK:-}"; then
  timeout --kill-after=20s "$minutes" \
    "$python" -m racm3.recipes.away train "$PACK" "$run" --device "${DEVICE:-cuda}" \
    || test $? -eq 124
  "$python" -m racm3.recipes.away halve "$run" "$run.halved"
  run=$run.halved what=runs found=.
else
  RUN=$run timeout --kill-after=20s "$minutes" "$python" - <<'PY' || test $? -eq 124
import os
from pathlib import Path

from racm3.recipes.further import build_of

recipe, run = os.environ.get("RECIPE", "sample_gpu"), Path(os.environ["RUN"])
build_of(recipe, run, after=os.environ.get("AFTER"), on=os.environ.get("DEVICE", "cuda")).system()
PY
  what=system found=$(cd "$run" && find . -name log.jsonl; find . -maxdepth 1 -name system)
fi
tar cz -C "$run" $found | split -b 15m - "$out/$what.tgz."
ls -l "$out"
