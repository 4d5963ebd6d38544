#!/usr/bin/env bash
# Training steps of this revision against another one on this CPU, by turns: about 20 minutes on two quiet cores.
# What was measured is added to a dated report in benchmarks/results.
#
#   [AGAINST=0d7c6eb] bash benchmarks/cpu.sh [--quick] [full] [quarter] [demo] [fp32] [avx2]
#
# Without names of parts all of them, one after the other:
#   full      nted_256 and dptn_256 as they ship, one pair
#   quarter   the same at a quarter of the networks' widths; VGG keeps its own
#   demo      demo_nted and demo_dptn at 64x44 and 128x88
#   fp32      quarter and demo with trainer.precision=fp32
#   avx2      quarter and demo with libraries told to use AVX2 alone, in place of a CPU without bf16 units
# --quick: one turn of the demo's configs at 64x44, to see on any machine that it runs; no report is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
against=${AGAINST:-0d7c6eb}
model=$(grep -m1 '^model name' /proc/cpuinfo | cut -d: -f2 | tr -cs '[:alnum:]\n' '_' | tr '[:upper:]' '[:lower:]')
unit=avx2
for better in avx512_bf16 amx_bf16; do
    if grep -qw "$better" /proc/cpuinfo; then unit=$better; fi
done
out=benchmarks/results/train${model}_${unit}_$(date +%F).md
sizes=("[64,44]" "[128,88]") demo_turns=15 turns=3
parts=(full quarter demo fp32 avx2)
if [[ ${1:-} == --quick ]]; then
    shift
    out=$(mktemp) sizes=("[64,44]") demo_turns=1 turns=1 parts=(demo avx2)
    trap 'cat "$out"; rm -f "$out"' EXIT
fi

nted_quarter=("generator.channels=[128,128,128,64,32]" "discriminator.channels=[128,128,128,128,128,64,32]")
dptn_quarter=(generator.ngf=16 generator.img_f=128 discriminator.ndf=8 discriminator.img_f=32)

# A measurement in the report: its command and the table that it prints.
step() {
    local config=$1 turns=$2
    printf '\n`%s`\n\n' "${variables:+$variables }python -m benchmarks.train_step --config config/$config.yaml --against $against --steps $turns ${*:3}"
    # shellcheck disable=SC2086
    env $variables "$python" -m benchmarks.train_step --config "config/$config.yaml" --against "$against" \
        --steps "$turns" "${@:3}" 2>&1 | { grep -v '^{' || true; } | tail -20
}

full() {
    step nted_256 2 --batch_size 1 objective.r1_gamma=0
    step dptn_256 2 --batch_size 1
}

quarter() {
    step nted_256 "$turns" --batch_size 1 "${nted_quarter[@]}" "$@"
    step dptn_256 "$turns" --batch_size 1 "${dptn_quarter[@]}" "$@"
}

demo() {
    for size in "${sizes[@]}"; do
        for config in demo_nted demo_dptn; do
            step "$config" "$demo_turns" "data.image_size=$size" "$@"
        done
    done
}

fp32() {
    echo "Both in fp32; with AVX512 all the same, which is no CPU without bf16 units."
    turns=2
    quarter trainer.precision=fp32 objective.r1_gamma=0
    demo trainer.precision=fp32
}

avx2() {
    echo "PyTorch and oneDNN told to use AVX2 alone: **a stand-in** for a CPU without bf16 units, not one."
    variables="ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2" turns=2
    [[ ${#sizes[@]} == 1 ]] || quarter objective.r1_gamma=0
    demo
    variables=
}

variables=
[[ $# -gt 0 ]] && parts=("$@")
for part in "${parts[@]}"; do
    case $part in
    full | quarter | demo | fp32 | avx2) ;;
    *)
        echo "no part $part; there are: full quarter demo fp32 avx2" >&2
        exit 2
        ;;
    esac
done
for part in "${parts[@]}"; do
    echo "$part" >&2
    {
        printf '\n## %s, %s UTC, commit %s against %s\n\n' "$part" "$(date -u '+%F %H:%M')" "$(git rev-parse --short HEAD)" "$against"
        "$part"
    } >> "$out"
done
