#!/usr/bin/env bash
# Demonstrate glocal from a checkout, with nothing installed but Python:
#
#   scripts/demo.sh                     search sample photos, which come with Python packages
#   scripts/demo.sh PHOTOS QUERY.jpg    search the folder PHOTOS for what QUERY.jpg shows
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

make_environment
pip_install "glocal and its demo" -e '.[demo]'
exec "$venv/bin/glocal" demo "$@"
