#!/usr/bin/env bash
# Looks for random examples that break a test: other ones in each run, and 20 times as many of them
# as scripts/test.sh draws (EXAMPLES=100 for 100 times). A failing example is printed with the
# arguments that break the test, is kept in .hypothesis, and comes first in the next exploration.
# Arguments go to pytest:
#
#   scripts/explore.sh
#   EXAMPLES=100 scripts/explore.sh tests/ranking -k homography
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

make_environment
install_for_tests
cd -- "$repository"
export GLOCAL_HYPOTHESIS_PROFILE=explore GLOCAL_EXPLORED_EXAMPLES=${EXAMPLES:-20}
exec "$venv/bin/python" -m pytest -m hypothesis --numprocesses 2 "$@"
