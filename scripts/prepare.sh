# Sourced by example/run and tests/run: puts on a Debian machine what they need, and nothing that is there already.

say() {
    printf '%s\n' "-- $*"
}

fail() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "run it as root: it installs packages and starts a Docker engine"
}

# need_packages COMMAND=PACKAGE...: installs the packages whose command is missing.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair##*=}")
    done
    # Debian's Python comes without the part that makes virtual environments.
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "apt-get is missing: this is not Debian; install by hand: ${missing[*]}"
    say "installing ${missing[*]}"
    apt-get update -q >/dev/null || fail "apt-get update failed: check this machine's network and its sources"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >/dev/null \
        || fail "apt-get install failed: ${missing[*]}"
}

# need_environment FOLDER PIP-ARGUMENT...: a virtual environment with what pip is told to install; made anew whenever
# setup.py or the arguments change.
need_environment() {
    local folder=$1 stamp wanted
    shift
    stamp="$folder/installed"
    wanted="$(cat setup.py) $*"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return 0
    fi
    say "installing Python packages in $folder"
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder" || fail "no virtual environment could be made in $folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" || fail "pip install failed"
    printf '%s' "$wanted" > "$stamp"
}
