#!/usr/bin/env bash
# The sample system from nothing to measured: one to two hours on two cores, resumable at any time.
#   runs/sample.sh [sample_cpu|sample_gpu|tiny] [folder]
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=${1:-sample_cpu}
out=${2:-runs/out/$recipe}
.venv/bin/racm3 train sample --recipe "$recipe" --out "$out"
.venv/bin/racm3 evaluate sample --system "$out/system" --out "$out/results" --count 50
