#!/usr/bin/env bash
# The studies of the README, from nothing to its table; resumable at any time. On two cores all but Table 5's
# diversity, which was not run yet, took two and a quarter hours.
#   [FLICKR8K=folder] runs/study.sh [out]
# What each world trains runs beside the other, one core each; without FLICKR8K photographs are left out.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/out/study}
racm3=${RACM3:-.venv/bin/racm3}
results=${RESULTS:-docs/results}
export OMP_NUM_THREADS=1

# study BUDGET WORLD TABLE...: measure, then report.
study() {
  local options=(--budget "$1" --world "$2" --out "$out" --tables "${@:3}")
  if test "$2" = photographs; then options+=(--data "$FLICKR8K"); fi
  "$racm3" study run "${options[@]}" > "$out/$2-$1.out" 2>&1 || { tail "$out/$2-$1.out"; return 1; }
  "$racm3" study report "${options[@]}" --results "$results"
}

mkdir -p "$out"
study 2h sample table2 table5-relevance table5-alpha table5-modality table5-diversity & beside=$!
if test -n "${FLICKR8K:-}"; then
  study 2h photographs table2 table3 table4 table6 table5-relevance table5-alpha
fi
wait "$beside"
study trained sample table2 table3 table4 table6 figure8 guidance documents memory
if test -z "${RESULTS:-}"; then .venv/bin/python runs/readme.py; fi
