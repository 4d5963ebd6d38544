#!/usr/bin/env bash
# Everything that wants a GPU, in one go: tests, benchmarks, memory, 8 minutes of training of each system, a dated report.
#
#   bash benchmarks/gpu.sh [--quick]
#
# --quick: the demo's configs, few steps, 0.2 minutes of training and no tests, to see on any machine that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
out=benchmarks/results/$("$python" -c "
import torch
print(torch.cuda.get_device_name().replace(' ', '_') if torch.cuda.is_available() else 'cpu')")_$(date +%F)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
minutes=8 timed=(config/nted_256.yaml config/nted_512.yaml config/dptn_256.yaml)
trained=(nted_256 dptn_256) steps=10 size=256-176 people=250
if [[ ${1:-} == --quick ]]; then
    minutes=0.2 timed=(config/demo_nted.yaml config/demo_dptn.yaml) trained=(demo_nted demo_dptn) steps=1 size=128-88 people=8
    out=$work/quick
fi
mkdir -p "$out"

{
    echo "# Training on $(basename "$out")"
    echo
    echo "Commit $(git rev-parse HEAD), $(date -u +%F\ %H:%M) UTC."
} > "$out.md"

if [[ ${1:-} != --quick ]]; then
    { echo; echo '```'; "$python" -m pytest -q 2>&1 | tail -15 || true; echo '```'; } >> "$out.md"
fi

for config in "${timed[@]}"; do
    for keys in "" trainer.compile=true "trainer.compile=true trainer.deterministic=false"; do
        [[ ${1:-} == --quick && -n $keys ]] && continue
        {
            printf '\n`python -m benchmarks.train_step --config %s --steps %s %s`\n\n' "$config" "$steps" "$keys"
            # shellcheck disable=SC2086 # several words
            "$python" -m benchmarks.train_step --config "$config" --steps "$steps" $keys || echo "failed"
        } >> "$out.md"
    done
done

"$python" -m scripts.make_synthetic --out "$work/raw" --people "$people" --size 512 352
"$python" -m scripts.prepare_data --root "$work/raw" --out "$work/raw" --sizes "$size"
for name in "${trained[@]}"; do
    "$python" train.py --config "config/$name.yaml" --name "$name" --checkpoints_dir "$work" \
        "data.root=$work/raw" objective.vgg.weights=random "trainer.max_minutes=$minutes" trainer.sample_every=200
    strip=$(ls "$work/$name"/samples/steps_*.png | tail -1)
    "$python" -c "
import sys
from PIL import Image
picture = Image.open(sys.argv[1]).convert('RGB')
picture.thumbnail((1600, 1600))
picture.save(sys.argv[2], quality=80)" "$strip" "$out/$name.jpg"
    { echo; echo "$name after $minutes minutes: $(tail -1 "$work/$name/log.jsonl")"; } >> "$out.md"
done
cat "$out.md"
