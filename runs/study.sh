#!/usr/bin/env bash
# The studies of the README, from nothing to its table; resumable at any time. Its first four tables
# and its photographs took two and a quarter hours on two cores with one seed; all of it takes longer.
#   [FLICKR8K=folder] [CARD=yes] [JOBS=2] runs/study.sh [out]
# JOBS processes share the work, one core each; without FLICKR8K photographs are left out, without CARD
# what is meant for a GPU (`racm3 study pack` and runs/gpu.sh let another machine train it first).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/out/study}
racm3=${RACM3:-.venv/bin/racm3}
results=${RESULTS:-docs/results}
export OMP_NUM_THREADS=1

# study BUDGET WORLD [OPTION]... --tables TABLE...: measure, then report.
study() {
  local options=(--budget "$1" --world "$2" --out "$out" "${@:3}") workers=() failed=
  if test "$2" = photographs; then options+=(--data "$FLICKR8K"); fi
  for job in $(seq "${JOBS:-2}"); do
    "$racm3" study run "${options[@]}" > "$out/$2-$1-$job.out" 2>&1 & workers+=($!)
  done
  for worker in "${workers[@]}"; do wait "$worker" || failed=yes; done
  if test -n "$failed"; then tail "$out/$2-$1-"*.out; return 1; fi
  "$racm3" study report "${options[@]}" --results "$results"
}

mkdir -p "$out"
study 2h sample --seeds 0 1 --tables table2 table5-relevance table5-alpha table5-modality \
  table5-diversity rotation bm25 decoding
study 20m sample --tables figure9 finetune
study 1h sample --seeds 0 1 2 --tables figure9 table2 table3 table6 table5-relevance table5-alpha table5-modality equal-modality \
  equal-documents table5-diversity
if test -n "${FLICKR8K:-}"; then
  study 2h photographs --tables table2 table3 table4 table6 table5-relevance table5-alpha equal-documents
  study 3h photographs --tables table2 table3 table6 table5-relevance equal-documents
fi
if test -n "${CARD:-}"; then
  study gpu-small sample --seeds 0 1 --tables table2 table3 table6 table5-relevance table5-alpha table5-modality \
    table5-diversity
  if test -n "${FLICKR8K:-}"; then
    study gpu photographs --tables table2 table3 table6 table5-relevance table5-alpha equal-documents
  fi
fi
study trained sample --tables table2 table3 table4 table6 figure8 few-shot-by-picture guidance documents memory decoding
study trained-long sample --tables documents
if test -z "${RESULTS:-}"; then .venv/bin/python runs/readme.py; fi
