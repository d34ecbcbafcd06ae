# Sourced by the scripts that train and test SamplerNet and RefinerNet: flags, variables and data they have in common.
#
# --gpu N restricts CUDA to one device and works on it; without it the device is found out. Every other flag goes to the
# verb. Every variable can be set from the environment.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DATA=${DATA:-}                                   # folder of samples; empty: procedural figures are made
PRESET=${PRESET:-lite}                           # lite or paper
OUTPUTS=${OUTPUTS:-./outputs/learned}
PROCEDURAL=${PROCEDURAL:-200}                    # procedural subjects that are made without DATA
SIZE=${SIZE:-64}                                 # their texture size [texel]
SAMPLER=${SAMPLER:-$OUTPUTS/SamplerNet/sampler.safetensors}
REFINER=${REFINER:-$OUTPUTS/RefinerNet/refiner.safetensors}

flags=()
device=auto
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
        --gpu) [ $# -gt 1 ] || { echo "error: --gpu needs a number. Pass --gpu 0." >&2; exit 2; }
               export CUDA_VISIBLE_DEVICES=$2; device=cuda; shift 2 ;;
        --gpu=*) export CUDA_VISIBLE_DEVICES=${1#*=}; device=cuda; shift ;;
        *) flags+=("$1"); shift ;;
    esac
done

bash "$here/scripts/setup.sh"
neuraltex=${VENV:-$here/.venv}/bin/neuraltex
if [ -z "$DATA" ]; then
    DATA=$OUTPUTS/procedural-$PROCEDURAL-$SIZE
    "$neuraltex" make-avatars --procedural "$PROCEDURAL" --size "$SIZE" --azimuths -60 60 30 --val-share 0.05 \
        --license "procedural, Apache-2.0" --output-dir "$DATA" >/dev/null
fi
