#!/usr/bin/env bash
# Everything the README shows, from scratch: the demo picture, the table of results, docs/benchmarks.md. Some hours on two cores.
# The table needs the real scenes and the neutral evaluator (NEURALTEX_TEST_DATA and the folder "bench" beside it).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OUTPUTS=${OUTPUTS:-./outputs}
bash texture_optimization.sh
python=${VENV:-.venv}/bin/python
run=$(ls -d "$OUTPUTS"/demo/*/quality | tail -n 1)
"$python" scripts/readme_picture.py "$OUTPUTS/demo/prepared" "$run"
for benchmark in startup uv_rendering sampling step unwrap robustness speed quality; do "$python" "benchmarks/$benchmark.py"; done
"$python" scripts/benchmarks_page.py
