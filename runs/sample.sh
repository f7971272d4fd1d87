#!/usr/bin/env bash
# The sample system from nothing to measured: about four hours on two cores, resumable at any time.
#   runs/sample.sh [sample_cpu|sample_gpu|tiny] [folder]
# What ships took further courses and a better decoder, an hour and a half, an hour, an hour and a quarter, and three and a half hours:
#   AFTER=runs/out/sample_cpu/system runs/sample.sh further_cpu [folder]
#   AFTER=runs/out/further_cpu/system runs/sample.sh course_cpu [folder]
#   AFTER=runs/out/course_cpu/system runs/sample.sh decoder_cpu [folder]
#   AFTER=runs/out/decoder_cpu/system runs/sample.sh contrast_cpu [folder]
#   AFTER=runs/out/contrast_cpu/system runs/sample.sh dyed_cpu [folder]
# then a course on a card (`racm3 train sample --recipe matching_gpu --stage pack`, runs/gpu.sh), a quarter of an hour here, and an average:
#   AFTER=runs/out/dyed_cpu/system runs/sample.sh matching_gpu [folder]
#   AFTER=runs/out/matching_gpu/system runs/sample.sh ordered_cpu [folder]
#   racm3 average runs/out/dyed_cpu/system runs/out/ordered_cpu/system runs/out/ordered
# and nearly three hours, where bf16 is multiplied, of labels beside everything else:
#   AFTER=runs/out/ordered runs/sample.sh labelled_cpu [folder]
#   AFTER=runs/out/labelled_cpu/system runs/sample.sh answering_cpu [folder]
#   racm3 average runs/out/ordered runs/out/answering_cpu/system runs/out/answered --share 0.7
#   AFTER=runs/out/answered runs/sample.sh settled_cpu [folder]
#   AFTER=runs/out/settled_cpu/system runs/sample.sh captioning_cpu [folder]
#   racm3 average runs/out/ordered runs/out/captioning_cpu/system runs/out/captioned --share 0.7
#   AFTER=runs/out/captioned runs/sample.sh recalling_cpu [folder]
#   racm3 average runs/out/ordered runs/out/recalling_cpu/system runs/out/recalled --share 0.7
# and half an hour of the retriever's CLIP, which tells words that it never met:
#   THREADS=2 AFTER=runs/out/recalled runs/sample.sh words_cpu [folder]
# half an hour of what people ask and no lesson had shown:
#   AFTER=runs/out/words_cpu/system runs/sample.sh asking_cpu [folder]
#   racm3 average runs/out/words_cpu/system runs/out/asking_cpu/system runs/out/asked --share 0.7
# an hour and a half of how people say it, the same course three times:
#   AFTER=runs/out/asked runs/sample.sh phrasing_cpu [folder]
#   AFTER=runs/out/phrasing_cpu/system runs/sample.sh phrasing_cpu runs/out/phrasing_again
#   AFTER=runs/out/phrasing_again/system runs/sample.sh phrasing_cpu runs/out/phrased
# an hour of texts that begin with a space, the same course twice:
#   AFTER=runs/out/phrased/system runs/sample.sh spaced_cpu
#   AFTER=runs/out/spaced_cpu/system runs/sample.sh spaced_cpu runs/out/spaced
# half an hour of words that say of two things what they mostly say of grounds, and as long over everything
# with names in capitals:
#   AFTER=runs/out/spaced/system runs/sample.sh spoken_cpu [folder]
#   AFTER=runs/out/spoken_cpu/system runs/sample.sh spelt_cpu [folder]
# half an hour of names that are spelt of all ids:
#   AFTER=runs/out/spelt_cpu/system runs/sample.sh lettered_cpu [folder]
# an hour of all basic colours, for one thing and for each of two:
#   AFTER=runs/out/lettered_cpu/system runs/sample.sh coloured_cpu [folder]
# three quarters of an hour of three things and four in a picture, and as long over everything, with their names:
#   AFTER=runs/out/coloured_cpu/system runs/sample.sh gathering_cpu [folder]
#   AFTER=runs/out/gathering_cpu/system runs/sample.sh listing_cpu [folder]
# and last ten minutes of the retriever's CLIP, which finds what the system drew itself:
#   AFTER=runs/out/listing_cpu/system runs/sample.sh seeing_cpu [folder]
# Courses number their material by how many there were before. Some learnt from another one's, as recipes say: copy its
# folder `prepared-N` under the number that the run expects, and it is taken.
# `recalling_cpu` learnt from the first that `racm3 train sample --recipe comparing_gpu --after runs/out/ordered --out runs/out/comparing_gpu --stage prepared` makes.
# COUNT scenes a row are measured at the end, 50 where nothing is said and with 0 none at all.
# Stages that need nothing of each other run side by side, one core each.
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=${1:-sample_cpu}
out=${2:-runs/out/$recipe}
count=${COUNT:-50}
racm3=${RACM3:-.venv/bin/racm3}

after=(${AFTER:+--after "$AFTER"})

stage() {
  OMP_NUM_THREADS=${THREADS:-1} "$racm3" train sample --recipe "$recipe" --out "$out" "${after[@]}" --stage "$1"
}
together() {
  mkdir -p "$out"
  stage "$1" > "$out/$1.out" 2>&1 & local one=$!
  stage "$2" > "$out/$2.out" 2>&1 & local other=$!
  wait "$one" || { tail "$out/$1.out"; exit 1; }
  wait "$other" || { tail "$out/$2.out"; exit 1; }
}

together tokenizer clip
THREADS=2 stage prepared
together racm3 cm3
stage system
measure() {
  OMP_NUM_THREADS=1 "$racm3" evaluate sample --system "$out/system" --out "$out/results" --count "$count"
}
if test "$count" -gt 0; then
  measure > /dev/null & other=$!  # two processes share the work
  measure
  wait "$other"
fi
