#!/usr/bin/env bash
# Everything that wants a GPU: tests, benchmarks of training and of inference, 8 minutes of training of each system.
# What was seen is added to a dated report in benchmarks/results, with the step strips beside it.
#
#   [CONFIGS="nted_256 dptn_256"] [AGAINST=REV] bash benchmarks/gpu.sh [--quick] [tests] [steps] [inference] [training]
#
# Without names of parts all of them, one after the other. CONFIGS, where time is lent in short pieces: only these;
# training takes those of 256x176. AGAINST: a revision that takes the steps by turns with this one.
# --quick: all but the tests with the demo's configs, few steps and 0.2 minutes of training, to see on any machine that it
# runs; no report is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
device=$("$python" -c "
import torch
print(torch.cuda.get_device_name().replace(' ', '_') if torch.cuda.is_available() else 'cpu')")
out=benchmarks/results/${device}_$(date +%F)
work=$(mktemp -d)
trap 'cat "$out.md" 2> /dev/null || true; rm -rf "$work"' EXIT

steps=10 minutes=8 size=256-176 people=250
timed=(nted_256 nted_512 dptn_256) trained=(nted_256 dptn_256)
parts=(tests steps inference training) settings=("" trainer.deterministic=false trainer.compile=true
    "trainer.compile=true trainer.deterministic=false")
drawing=("" --bf16 "--bf16 --compile default" "--bf16 --compile reduce-overhead")
if [[ ${1:-} == --quick ]]; then
    shift
    out=$work/quick steps=1 minutes=0.2 size=128-88 people=8
    timed=(demo_nted demo_dptn) trained=(demo_nted demo_dptn)
    parts=(steps inference training) settings=("") drawing=("")
fi
for name in ${CONFIGS:-}; do
    [[ -f config/$name.yaml ]] || { echo "no config/$name.yaml" >&2 && exit 2; }
done
# shellcheck disable=SC2206
[[ ${CONFIGS:-} ]] && timed=($CONFIGS) trained=($CONFIGS)

# A command in the report: its words, and what it prints.
report() {
    printf '\n`%s`\n\n```\n' "python ${*:2}"
    "$@" 2>&1 | tail -40 || echo "failed"
    echo '```'
}

tests() {
    report "$python" -m pytest -q
}

# Settings are several words or none.
# shellcheck disable=SC2086
steps() {
    for name in "${timed[@]}"; do
        for keys in "${settings[@]}"; do
            report "$python" -m benchmarks.train_step --config "config/$name.yaml" --steps "$steps" ${AGAINST:+--against "$AGAINST"} $keys
        done
    done
}

# shellcheck disable=SC2086
inference() {
    for name in "${timed[@]}"; do
        for flags in "${drawing[@]}"; do
            report "$python" -m benchmarks.inference --config "config/$name.yaml" $flags
        done
    done
}

training() {
    "$python" -m scripts.make_synthetic --output "$work/raw" --people "$people" --size 512-352 >&2
    "$python" -m scripts.prepare_data --root "$work/raw" --output "$work/raw" --size "$size" >&2
    mkdir -p "$out"
    for name in "${trained[@]}"; do
        train "$name" || printf '\n%s failed\n' "$name"
    done
}

train() {
    "$python" train.py --config "config/$1.yaml" --name "$1" --checkpoints_dir "$work" \
        "data.root=$work/raw" objective.perceptual_net=random "trainer.max_minutes=$minutes" trainer.sample_every=200 >&2 &&
        strip=("$work/$1"/samples/steps_*.png) &&
        "$python" -c "
import sys
from PIL import Image
picture = Image.open(sys.argv[1]).convert('RGB')
picture.thumbnail((1600, 1600))
picture.save(sys.argv[2], quality=80)" "${strip[-1]}" "$out/$1.jpg" &&
        printf '\n%s after %s minutes: %s\n' "$1" "$minutes" "$(tail -1 "$work/$1/log.jsonl")"
}

mkdir -p "$(dirname "$out")"
[[ $# -gt 0 ]] && parts=("$@")
for part in "${parts[@]}"; do
    case $part in
    tests | steps | inference | training) ;;
    *)
        echo "no part $part; there are: tests steps inference training" >&2
        exit 2
        ;;
    esac
done
for part in "${parts[@]}"; do
    echo "$part" >&2
    {
        printf '\n## %s, %s UTC, commit %s\n' "$part" "$(date -u '+%F %H:%M')" "$(git rev-parse --short HEAD || echo unknown)"
        "$part"
    } >> "$out.md"
done
