#!/usr/bin/env bash
# Everything a change has to pass, as CI runs it, in about ten minutes of two cores once all is
# installed. Arguments go to pytest:
#
#   scripts/test.sh
#   scripts/test.sh tests/images -k orientation
#
# CONTRIBUTING.md says how to run one test in seconds.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

# step NAME COMMAND...: runs it in the repository's root, and stops everything when it fails.
step() {
    local name=$1
    shift
    say "$name"
    "$@" || fail "$name failed"
}

# Long steps that need one core run beside pytest, which waits for processes half of its time.
started=()
output=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$output"' EXIT

# beside NAME COMMAND...: starts it; finish_beside waits for all, and stops when one has failed.
beside() {
    say "$1, beside the next steps"
    "${@:2}" >"$output/${#started[@]}" 2>&1 &
    started+=("$! $1")
}

finish_beside() {
    local number
    for number in "${!started[@]}"; do
        if ! wait "${started[number]%% *}"; then
            cat "$output/$number"
            fail "${started[number]#* } failed"
        fi
    done
}

# The page is tested in a real browser; where none can be had, those tests are skipped.
install_chromium() {
    if ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing chromium, beside the rest"
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } >/dev/null 2>&1 ||
            say "chromium could not be installed: the page is not tested"
    fi
}

install_chromium &
make_environment
install_for_tests
wait

cd -- "$repository"
step "ruff check" "$venv/bin/ruff" check
step "ruff format" "$venv/bin/ruff" format --check
step "import contracts" "$venv/bin/lint-imports"
beside "mypy" "$venv/bin/mypy"
beside "documentation" env NO_MKDOCS_2_WARNING=1 "$venv/bin/mkdocs" build --strict --quiet
# A process for each core: a third one takes longer, since browsers and servers that wait use it up.
step "pytest" "$venv/bin/python" -m pytest --numprocesses auto "$@"
finish_beside
