#!/usr/bin/env bash
# Fetch what of DeepFashion can be fetched without a person: the lists and the keypoints. Research use only.
#
#     scripts/download_dataset.sh [FOLDER, default dataset/deepfashion]
#
# The images need a person: their licence, and a password that the dataset's maintainers give (printed at the end).
set -euo pipefail

LISTS_FOLDER_ID=1PhnaFNg9zxMZM-ccJAzLIt2iqWFRzXSw
KEYPOINTS_FILE_ID=1waNzq-deGBKATXMU9JzMDWdGsF4YkcW_
IMAGES_FOLDER_ID=0B7EVK8r0v71pYkd5TzBiclMzR00
# lines of each list, as published; 0: any number
declare -A LINES=([train.lst]=48674 [test.lst]=4038 [test_pairs.txt]=8570 [train_pairs.txt]=0)
# a keypoint archive much smaller than its 8.7 MB is an error page
LEAST_ARCHIVE_BYTES=5000000

root=${1:-dataset/deepfashion}
python=${PYTHON:-python3}

fail() {
    echo "error: $1" >&2
    exit 2
}

need() {
    "$python" -c 'import gdown' 2>/dev/null || fail "gdown is missing; run: $python -m pip install gdown"
    for unpacker in unrar unar; do
        if command -v "$unpacker" >/dev/null; then
            return
        fi
    done
    fail "neither unrar nor unar is here, one of which unpacks pose.rar; install one (apt-get install unar)"
}

fetch_lists() {
    local file missing=0
    for file in "${!LINES[@]}"; do [ -s "$root/$file" ] || missing=1; done
    if [ "$missing" = 1 ]; then
        rm -rf "$root/.lists"
        "$python" -m gdown --folder "$LISTS_FOLDER_ID" -O "$root/.lists/" ||
            fail "Google Drive did not give folder $LISTS_FOLDER_ID; try later, or fetch it in a browser and put the lists in $root"
        for file in "${!LINES[@]}"; do
            find "$root/.lists" -name "$file" -exec mv {} "$root/$file" \;
        done
        rm -rf "$root/.lists"
    fi
    for file in "${!LINES[@]}"; do check_list "$file" "${LINES[$file]}"; done
}

check_list() {
    local file=$root/$1 count
    [ -s "$file" ] || fail "$file did not arrive; fetch folder $LISTS_FOLDER_ID in a browser and put it there"
    count=$(grep -c . "$file")
    if [ "$2" != 0 ] && [ "$count" != "$2" ]; then
        fail "$file has $count lines, expected $2; delete it and run this again"
    fi
    echo "$file: $count lines"
}

fetch_keypoints() {
    if [ ! -d "$root/pose" ]; then
        "$python" -m gdown "$KEYPOINTS_FILE_ID" -O "$root/pose.rar" ||
            fail "Google Drive did not give file $KEYPOINTS_FILE_ID; try later, or fetch it in a browser as $root/pose.rar"
        [ "$(wc -c <"$root/pose.rar")" -ge "$LEAST_ARCHIVE_BYTES" ] ||
            fail "$root/pose.rar is too small for the archive; delete it and try later"
        unpack "$root/pose.rar" "$root/.pose"
        # the archive may hold the tree itself or a folder around it
        local tree
        tree=$(find "$root/.pose" -type d \( -name WOMEN -o -name MEN \) -print -quit)
        [ -n "$tree" ] || fail "$root/pose.rar holds no folder WOMEN or MEN; is it the right archive?"
        mv "$(dirname "$tree")" "$root/pose"
        rm -rf "$root/.pose" "$root/pose.rar"
    fi
    echo "$root/pose: $(find "$root/pose" -name '*.txt' | wc -l) keypoint files"
}

unpack() {
    rm -rf "$2" && mkdir -p "$2"
    if command -v unrar >/dev/null; then
        unrar x -inul "$1" "$2/" || fail "$1 cannot be unpacked; delete it and run this again"
    else
        unar -quiet -output-directory "$2" "$1" || fail "$1 cannot be unpacked; delete it and run this again"
    fi
}

images_text() {
    cat <<TEXT

What needs a person: the images.
 1. Read the licence of the In-shop Clothes Retrieval Benchmark (DeepFashion): research use only.
 2. Fetch img_highres.zip (not img.zip, which is the low-resolution version) from
    https://drive.google.com/drive/folders/$IMAGES_FOLDER_ID
 3. Ask the dataset's maintainers for the archive's password.
 4. Unpack it and rename the folder: $root/img/WOMEN/..., $root/img/MEN/...
 5. python -m scripts.check_data --root $root
TEXT
}

need
mkdir -p "$root"
fetch_lists
fetch_keypoints
if [ -d "$root/img" ]; then
    echo "next: python -m scripts.check_data --root $root"
else
    images_text
fi
