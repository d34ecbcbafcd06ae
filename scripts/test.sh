#!/usr/bin/env bash
# Style, types and tests as CI runs them; arguments go to pytest, e.g. bash scripts/test.sh tests/unit -k camera
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh
VENV=${VENV:-.venv}
"$VENV/bin/ruff" check neuraltex preprocessing benchmarks scripts tests setup.py
"$VENV/bin/ruff" format --check neuraltex preprocessing benchmarks scripts tests setup.py
"$VENV/bin/mypy" neuraltex
exec "$VENV/bin/python" -m pytest --durations=15 "$@"
