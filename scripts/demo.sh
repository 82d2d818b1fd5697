#!/usr/bin/env bash
# Shows glocal at work, from nothing but a checkout and Python:
#
#   scripts/demo.sh                     on photographs that come with Python packages
#   scripts/demo.sh PHOTOS QUERY.jpg    on your own: what in the folder PHOTOS is also on QUERY.jpg
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

make_environment
pip_install "glocal and its demo" -e '.[demo]'
exec "$venv/bin/glocal" demo "$@"
