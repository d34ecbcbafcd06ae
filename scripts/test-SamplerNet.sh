#!/usr/bin/env bash
# Score a finished SamplerNet on held-out subjects, beside fills that learn nothing.
#
#   bash scripts/test-SamplerNet.sh --gpu 0                after scripts/train-SamplerNet.sh
#   DATA=avatars SAMPLER=sampler.safetensors bash scripts/test-SamplerNet.sh [flags of "neuraltex evaluate"]
#
# Prints a table; the last line is the path of metrics.json, with predictions.png beside it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/learned_textures.sh"
"$neuraltex" evaluate --data "$DATA" --checkpoint "$SAMPLER" --device "$device" \
    --output-dir "$OUTPUTS/SamplerNet-test" ${flags[@]+"${flags[@]}"}
