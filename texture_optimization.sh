#!/usr/bin/env bash
# From a scene to the best texture and the report that proves it: set up, prepare, optimize, compare.
#
#   bash texture_optimization.sh                          the embedded demo scene
#   bash texture_optimization.sh --scene DIR [flags of "neuraltex prepare", e.g. --mesh FILE]
#   TARGET_ACTOR=room1 bash texture_optimization.sh       $DATASETS_DIR/room1 in NeuralTexGen's layout
#   PRESETS=neural_texgen bash texture_optimization.sh    the original's own optimization
#
# Every variable below can be set from the environment. The last line printed is the path of the HTML report.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

################ data ################
DATASETS_DIR=${DATASETS_DIR:-./datasets}
TARGET_ACTOR=${TARGET_ACTOR:-}
GPUID=${GPUID:-}                                 # restrict CUDA to one device

################ what to run ################
PRESETS=${PRESETS:-fast quality}                 # one run each: names from options/ or YAML files without spaces
TEX_DIM=${TEX_DIM:-2048}

################ overrides of the presets (empty: as the preset says) ################
LR=${LR:-}
N_ITER=${N_ITER:-}                               # steps at the full learning rate
N_ITER_LR_DECAY=${N_ITER_LR_DECAY:-}             # further steps with a falling learning rate
SAVE_FREQ=${SAVE_FREQ:-}                         # steps between checkpoints
LAMBDA_L1=${LAMBDA_L1:-}
LAMBDA_L1_DIFF=${LAMBDA_L1_DIFF:-}
LAMBDA_VGG=${LAMBDA_VGG:-}
LAMBDA_REG_TEX=${LAMBDA_REG_TEX:-}

################ output ################
OUTPUTS=${OUTPUTS:-./outputs}
EXPORT=${EXPORT:-glb}                            # glb, obj or ply

#########################################
for argument in "$@"; do
    case $argument in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
done

scene_name() {
    local previous="" scene=${SCENE:-}
    for argument in "$@"; do
        [ "$previous" = --scene ] && scene=$argument
        case $argument in --scene=*) scene=${argument#*=} ;; esac
        previous=$argument
    done
    if [ -z "$scene" ]; then echo "${TARGET_ACTOR:-${SEQ:-demo}}"; return; fi
    [ -d "$scene" ] || { echo "error: $scene is not a folder. Pass --scene DIR with the folder of a scene." >&2; return 1; }
    basename "$(cd "$scene" && pwd)"
}

[ -z "$GPUID" ] || export CUDA_VISIBLE_DEVICES=$GPUID
[ -z "$TARGET_ACTOR" ] || export SEQ=$TARGET_ACTOR
export DATASETS_DIR TEX_DIM OUTPUTS
name=$(scene_name "$@")
prepared=$OUTPUTS/$name/prepared
method_dir=$OUTPUTS/$name/$(date +%Y%m%d-%H%M%S)

bash "$here/scripts/setup.sh"
neuraltex=${VENV:-$here/.venv}/bin/neuraltex

OUTPUT_DIR=$prepared bash "$here/prepare_data.sh" "$@" --overwrite >&2

overrides=()
[ -z "$LR" ] || overrides+=(--loop.lr "$LR")
if [ -n "$N_ITER$N_ITER_LR_DECAY" ]; then
    overrides+=(--loop.steps $((${N_ITER:-20} + ${N_ITER_LR_DECAY:-40})) --loop.decay-steps "${N_ITER_LR_DECAY:-40}")
fi
[ -z "$SAVE_FREQ" ] || overrides+=(--loop.checkpoint-every "$SAVE_FREQ")
[ -z "$LAMBDA_L1" ] || overrides+=(--loss.l1 "$LAMBDA_L1")
[ -z "$LAMBDA_L1_DIFF" ] || overrides+=(--loss.gradient "$LAMBDA_L1_DIFF")
[ -z "$LAMBDA_VGG" ] || overrides+=(--loss.vgg-content "$LAMBDA_VGG" --loss.vgg-style "$LAMBDA_VGG")
[ -z "$LAMBDA_REG_TEX" ] || overrides+=(--loss.energy "$LAMBDA_REG_TEX")

runs=()
for preset in $PRESETS; do
    run=$method_dir/$(basename "$preset" .yaml)
    "$neuraltex" optimize --data "$prepared" --preset "$preset" --output-dir "$run" ${overrides[@]+"${overrides[@]}"} >&2
    runs+=("$run")
done
for run in "${runs[@]}"; do
    "$neuraltex" export --run "$run" --to "$run/textured.$EXPORT" >&2
done
exec "$neuraltex" compare --data "$prepared" --runs "${runs[@]}" --output-dir "$method_dir/compare"
