#!/usr/bin/env bash
# Do several photographs help? Both systems trained on one and on three sources at equal cost, scored on unseen people.
#
#   [VARIABLE=value ...] bash benchmarks/several.sh [--quick] [key=value ...]
#
#   KIND=demo             of the configs: demo or small
#   SYSTEMS="nted dptn"   what is trained
#   STEPS=4000            of training on one source; on three it is as many as cost the same in floating-point operations
#   SIZE=128-88           of the images
#   PEOPLE=600            drawn for training, where there is no DATA
#   DATA=FOLDER           people of your own, with a store of SIZE; else some are drawn, in OUT/data
#   TESTED=120            unseen people that are scored
#   OUT=result/several    folder of the runs; each system's report.md, report.json and people.jpg are in OUT/SYSTEM
#
# Runs that are finished are not trained again, and one that was interrupted goes on. Further words are overrides of all
# trainings. --quick: a few steps on a few people, to see on any machine that it runs.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
steps=${STEPS:-4000} people=${PEOPLE:-600} tested=${TESTED:-120} out=${OUT:-result/several} size=${SIZE:-128-88}
if [[ ${1:-} == --quick ]]; then
    shift
    steps=4 people=10 tested=3 out=${OUT:-result/several_quick}
fi
data=${DATA:-$out/data}
if [[ ! -d $data/$size ]]; then
    # nobody's data are drawn over
    [[ -z ${DATA:-} ]] || { echo "error: no store $DATA/$size; make it with scripts.prepare_data --size $size" >&2; exit 2; }
    "$python" -m scripts.make_synthetic --output "$data" --people "$people" --views 6 --size 512-352 --overwrite
    "$python" -m scripts.prepare_data --root "$data" --output "$data" --size "$size" --overwrite
fi
for system in ${SYSTEMS:-nted dptn}; do
    config=config/${KIND:-demo}_$system.yaml
    keys=("data.root=$data" "data.image_size=[${size/-/,}]" trainer.max_minutes=null "$@")
    as_dear=$("$python" -m benchmarks.several steps --config "$config" --steps "$steps" --num_sources 3 "${keys[@]}")
    echo "$system: $steps steps on one source cost as much as $as_dear on three" >&2
    for run in "one $steps 1" "three $as_dear 3"; do
        read -r name length sources <<< "$run"
        "$python" train.py --config "$config" --name "${system}_$name" --checkpoints_dir "$out" "${keys[@]}" \
            "trainer.max_steps=$length" "trainer.checkpoint_every=$length" "data.num_sources=$sources"
    done
    "$python" -m benchmarks.several score --runs "$out/${system}_one" "$out/${system}_three" \
        --people "$tested" --output "$out/$system"
done
