#!/usr/bin/env bash
# Train SamplerNet: complete textures from partial ones by pointing at what is known of them.
#
#   bash scripts/train-SamplerNet.sh --gpu 0               procedural figures, preset lite
#   DATA=avatars PRESET=paper bash scripts/train-SamplerNet.sh --gpu 0 [flags of "neuraltex train"]
#
# The last line printed is the path of the checkpoint.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/learned_textures.sh"
"$neuraltex" train --network sampler --data "$DATA" --preset "$PRESET" --device "$device" \
    --output-dir "$OUTPUTS/SamplerNet" ${flags[@]+"${flags[@]}"}
