#!/usr/bin/env bash
# Prepare a scene for texture optimization: read it, unwrap its mesh where needed, render the uv maps.
#
#   bash prepare_data.sh --scene DIR [flags of "neuraltex prepare"]   any supported format, detected
#   SEQ=room1 MESH_FILENAME=... CAMERA_DIR=... bash prepare_data.sh   NeuralTexGen's own layout
#   bash prepare_data.sh                                              the embedded demo scene
#
# Every variable below can be set from the environment. The last line printed is the prepared folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

################ input ################
SCENE=${SCENE:-}                                 # folder of a scene in any supported format; same as --scene DIR
SEQ=${SEQ:-}                                     # name of a sequence in NeuralTexGen's layout
DATASETS_DIR=${DATASETS_DIR:-./datasets}
MESH_FILENAME=${MESH_FILENAME:-}                 # mesh; for NeuralTexGen's layout a .off with uv coordinates
CAMERA_DIR=${CAMERA_DIR:-}                       # 0.txt, 1.txt, ...: extrinsics and intrinsics, both 4x4
IMG_DIR=${IMG_DIR:-}                             # 0.jpg, 1.jpg, ...
FILE_LIST=${FILE_LIST:-}                         # one frame id per line
WIDTH_ORIG=${WIDTH_ORIG:-}                       # size of the photographs; read from them when not given
HEIGHT_ORIG=${HEIGHT_ORIG:-}
WIDTH_RENDERING=${WIDTH_RENDERING:-}             # size of the uv maps; a multiple raises the sampling rate
HEIGHT_RENDERING=${HEIGHT_RENDERING:-}

################ output ################
TEX_DIM=${TEX_DIM:-2048}                         # texture size the uv maps are meant for
OUTPUTS=${OUTPUTS:-./outputs}
OUTPUT_DIR=${OUTPUT_DIR:-}                       # prepared folder; default $OUTPUTS/<scene>/prepared
DEMO_FLAGS=${DEMO_FLAGS:-}                       # flags of "neuraltex demo" for the embedded scene, e.g. --tiny

#########################################
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
        --scene) [ $# -ge 2 ] || { echo "error: --scene needs a folder. Pass --scene DIR." >&2; exit 2; }; SCENE=$2; shift 2 ;;
        --scene=*) SCENE=${1#*=}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) arguments+=("$1"); shift ;;
    esac
done

bash "$here/scripts/setup.sh"
neuraltex=${VENV:-$here/.venv}/bin/neuraltex

if [ -z "$SCENE" ] && [ -z "$SEQ" ] && [ -z "$MESH_FILENAME" ] && [ -z "$CAMERA_DIR" ]; then
    SCENE=$OUTPUTS/scenes/demo
    [ -e "$SCENE/transforms.json" ] || "$neuraltex" demo --output-dir "$SCENE" --overwrite $DEMO_FLAGS >&2
fi

if [ -n "$SCENE" ]; then
    [ -e "$SCENE" ] || { echo "error: $SCENE does not exist. Pass --scene DIR with the folder of a scene." >&2; exit 1; }
    name=$(basename "$(cd "$SCENE" && pwd)")
    flags=(--data "$SCENE")
else
    SEQ=${SEQ:-scene}
    name=$SEQ
    flags=(--data "$DATASETS_DIR/$SEQ" --format neural_texgen)
    [ -z "$CAMERA_DIR" ] || flags+=(--camera-dir "$CAMERA_DIR")
    [ -z "$IMG_DIR" ] || flags+=(--image-dir "$IMG_DIR")
    [ -z "$FILE_LIST" ] || flags+=(--file-list "$FILE_LIST")
fi
[ -z "$MESH_FILENAME" ] || flags+=(--mesh "$MESH_FILENAME")
if [ -n "$WIDTH_RENDERING" ]; then
    [ -n "$WIDTH_ORIG" ] || { echo "error: WIDTH_RENDERING=$WIDTH_RENDERING needs WIDTH_ORIG. Set WIDTH_ORIG to the width of the photographs." >&2; exit 2; }
    if [ -n "$HEIGHT_RENDERING" ] && [ -n "$HEIGHT_ORIG" ] && [ $((WIDTH_RENDERING * HEIGHT_ORIG)) -ne $((HEIGHT_RENDERING * WIDTH_ORIG)) ]; then
        echo "error: ${WIDTH_RENDERING}x$HEIGHT_RENDERING has another aspect ratio than ${WIDTH_ORIG}x$HEIGHT_ORIG. Scale both sides alike." >&2
        exit 2
    fi
    flags+=(--image-scale "$(awk "BEGIN { printf \"%.9g\", $WIDTH_RENDERING / $WIDTH_ORIG }")")
fi
OUTPUT_DIR=${OUTPUT_DIR:-$OUTPUTS/$name/prepared}

exec "$neuraltex" prepare "${flags[@]}" --texture-size "$TEX_DIM" --output-dir "$OUTPUT_DIR" ${arguments[@]+"${arguments[@]}"}
