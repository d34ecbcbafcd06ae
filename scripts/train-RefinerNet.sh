#!/usr/bin/env bash
# Train RefinerNet on top of a finished SamplerNet: repair what was sampled, and decide where to use it.
#
#   bash scripts/train-RefinerNet.sh --gpu 0               after scripts/train-SamplerNet.sh
#   DATA=avatars SAMPLER=sampler.safetensors bash scripts/train-RefinerNet.sh [flags of "neuraltex train"]
#
# The last line printed is the path of the checkpoint, which holds both networks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/learned_textures.sh"
"$neuraltex" train --network refiner --data "$DATA" --preset "$PRESET" --device "$device" \
    --sampler-checkpoint "$SAMPLER" --output-dir "$OUTPUTS/RefinerNet" ${flags[@]+"${flags[@]}"}
