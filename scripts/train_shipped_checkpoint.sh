#!/usr/bin/env bash
# Make the checkpoint that ships: sampler and refiner (preset lite) over the MakeHuman layout at 128 x 128.
#
#   bash scripts/train_shipped_checkpoint.sh [SKINS]       SKINS: folder with core_*.jpg and mesh/*.obj
#
# Only core_* skins are learned from, which MakeHuman publishes under CC0; held-out ones among them are not either. Takes
# half an hour on two cores. The last line printed is the path of the checkpoint.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for argument in "$@"; do
    case $argument in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;; esac
done
SKINS=${1:-${NEURALTEX_TEST_DATA:-$here/../shared/data}/skins_makehuman}
WORK=${WORK:-$here/outputs/shipped}
SAMPLER_STEPS=${SAMPLER_STEPS:-700}
REFINER_STEPS=${REFINER_STEPS:-700}
BATCH=${BATCH:-8}
[ -d "$SKINS" ] || { echo "error: $SKINS is not a folder. Pass the folder with the skins." >&2; exit 2; }

bash "$here/scripts/setup.sh"
neuraltex=${VENV:-$here/.venv}/bin/neuraltex
# Photographs from the front half, a third of the time fused with others from all around, as in a scene.
learn=(train --data "$WORK/samples" --subjects "core_*" --angles -80 -60 -40 -20 0 20 40 60 80 --train.fused 0.33
    --train.batch "$BATCH" --loss.l2 4 --overwrite)
# All skins go into one folder, because some community skins are variants of core ones: variants share a split.
"$neuraltex" make-avatars --textures "$SKINS"/*.jpg --bodies "$SKINS"/mesh/*.obj --size 128 --azimuths -180 160 20 \
    --license "core_*: CC0 (MakeHuman); community_*: mixed, not learned from" --output-dir "$WORK/samples" >&2
"$neuraltex" "${learn[@]}" --network sampler --output-dir "$WORK/sampler" --train.steps "$SAMPLER_STEPS" >&2
"$neuraltex" "${learn[@]}" --network refiner --sampler-checkpoint "$WORK/sampler/sampler.safetensors" --half \
    --license "CC0 (core skins of MakeHuman)" --output-dir "$WORK/refiner" --train.steps "$REFINER_STEPS" >&2
mkdir -p "$here/neuraltex/learn/weights"
cp "$WORK/refiner/refiner.safetensors" "$here/neuraltex/learn/weights/makehuman.safetensors"
echo "$here/neuraltex/learn/weights/makehuman.safetensors"
