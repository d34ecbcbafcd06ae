#!/usr/bin/env bash
# Score a finished RefinerNet, with the SamplerNet it works on, on held-out subjects, beside fills that learn nothing.
#
#   bash scripts/test-RefinerNet.sh --gpu 0                after scripts/train-RefinerNet.sh
#   DATA=avatars REFINER=refiner.safetensors bash scripts/test-RefinerNet.sh [flags of "neuraltex evaluate"]
#
# Prints a table; the last line is the path of metrics.json, with predictions.png beside it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/learned_textures.sh"
"$neuraltex" evaluate --data "$DATA" --checkpoint "$REFINER" --device "$device" \
    --output-dir "$OUTPUTS/RefinerNet-test" ${flags[@]+"${flags[@]}"}
