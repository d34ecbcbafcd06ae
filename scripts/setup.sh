#!/usr/bin/env bash
# Make .venv and install the package with exactly pinned versions. Safe to run again: does nothing when all is in place.
#   PYTHON=python3.11 bash scripts/setup.sh          another interpreter (>= 3.10)
#   EXTRAS=colmap,view,dev,fusion bash scripts/setup.sh   other extras
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python3}
EXTRAS=${EXTRAS:-colmap,view,dev}
VENV=${VENV:-.venv}
STAMP=$VENV/.neuraltex-setup

fail() { echo "error: $1" >&2; exit 1; }
command -v "$PYTHON" >/dev/null || fail "$PYTHON was not found. Install Python 3.10 or newer, or set PYTHON=/path/to/python3."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$("$PYTHON" --version) is too old. Install Python 3.10 or newer, or set PYTHON=/path/to/python3."

fingerprint=$(cat setup.py scripts/constraints.txt neuraltex/__init__.py | sha256sum | cut -d' ' -f1)-$EXTRAS-$(pwd -P)
if [ -x "$VENV/bin/neuraltex" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$fingerprint" ]; then exit 0; fi

[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV" ||
    fail "cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv."
echo "Installing neuraltex into $VENV (once; several minutes) ..." >&2
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint scripts/constraints.txt --editable ".[$EXTRAS]" >&2
echo "$fingerprint" >"$STAMP"
