# shellcheck shell=bash
# What demo.sh, test.sh and explore.sh share: a virtual environment in .venv with glocal in it.
# To be sourced, not run. PYTHON=/path/to/python3 chooses the Python it is made with.

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$repository/.venv

# pip compiles nothing (see pip_install): where the first import were not let keep what it compiled,
# each process would compile all that it imports.
unset PYTHONDONTWRITEBYTECODE

say() {
    printf '==> %s\n' "$*" >&2
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

runs_glocal() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the name of a Python that glocal runs on.
find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if runs_glocal "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "glocal needs Python 3.11 or newer, and ${PYTHON:-python3} is" \
        "$("${PYTHON:-python3}" --version 2>/dev/null || echo 'not there');" \
        "install one, or name it: PYTHON=/path/to/python3 $0"
}

make_environment() {
    # An environment's programs name its place: in a copied or moved checkout they are another's.
    if runs_glocal "$venv/bin/python" && grep -qsF "$venv/bin/python" "$venv/bin/pip"; then
        return
    fi
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "this Python cannot make virtual environments; on Debian and Ubuntu they come with:" \
            "apt-get install python3-venv"
    fi
    say "Making a virtual environment in .venv"
    "$python" -m venv --clear "$venv" || fail "no virtual environment could be made in $venv"
}

# pip_install NAME ARGUMENT...: unless nothing changed since it last did the same.
pip_install() {
    local name=$1 state stamp
    shift
    stamp=$venv/.installed-${name// /-}
    state="$(cksum <"$repository/pyproject.toml") $*"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
        return
    fi
    say "Installing $name (a few minutes, the first time)"
    (
        cd -- "$repository" &&
            # Errors only; what is imported is compiled then, all the rest need not be.
            "$venv/bin/python" -m pip install -qq --no-compile --disable-pip-version-check "$@"
    ) || fail "$name could not be installed; the lines above say why"
    printf '%s\n' "$state" >"$stamp"
}

# What most tests import.
IMPORTED='import onnxscript, skimage.data, sklearn.datasets, torch.onnx._internal.exporter._core
import glocal.cli.index, glocal.learn.training, glocal.web.server'

# Everything that a test needs, and what the documentation is built with.
install_for_tests() {
    local compiling=
    pip_install "glocal with what it can do" -e '.[demo,learn,serve]' 'torch==2.13.0'
    # pip leaves a core idle, which compiles meanwhile what is imported: the processes of pytest
    # would all do so, at the same time.
    if [ ! -e "$venv/.installed-development-tools" ]; then
        "$venv/bin/python" -W ignore -c "$IMPORTED" >/dev/null 2>&1 &
        compiling=$!
    fi
    # Without what timm asks for: a torchvision of its choice would replace torch by a CUDA build of
    # several gigabytes. This one belongs to the torch above; see tests/learn/conftest.py.
    pip_install "timm" --no-deps 'timm>=1.0.20,<2' 'torchvision==0.28.0'
    pip_install "pip" --upgrade 'pip>=25.1' # the first that knows --group
    pip_install "development tools" --group dev --group docs
    [ -z "$compiling" ] || wait "$compiling" || true # else it is compiled later
}
