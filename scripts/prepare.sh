# Sourced by example/run, tests/run and check: functions that install on a Debian host what is missing, and nothing else.

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

# need_packages COMMAND=PACKAGE[|PACKAGE]...: install the packages whose command is missing; of several alternatives, the
# first that this release of Debian has.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    # Debian's Python comes without the module that creates virtual environments.
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ "${#missing[@]}" -gt 0 ] || return 0
    install_packages "${missing[@]}"
}

# need_buildkit: install the plugin that the docker command needs for BuildKit, if it needs one.
need_buildkit() {
    has_buildkit || install_packages docker-buildx
}

# has_buildkit: succeed if a docker command on PATH has BuildKit: built in up to version 22, later as a plugin.
has_buildkit() {
    local docker
    while read -r docker; do
        if "$docker" buildx version >/dev/null 2>&1 || [[ $("$docker" --version) =~ version\ (19|2[0-2])\. ]]; then
            return 0
        fi
    done < <(type -ap docker)
    return 1
}

# install_packages PACKAGE[|PACKAGE]...
install_packages() {
    local names name chosen=()
    command -v apt-get >/dev/null || fail "apt-get is missing: this is not Debian; install by hand: $*"
    apt-get update -q >/dev/null || fail "apt-get update failed: check this machine's network and its sources"
    for names in "$@"; do
        for name in ${names//|/ }; do
            if [ -n "$(apt-cache madison "$name")" ]; then break; fi
        done
        chosen+=("$name")
    done
    say "installing ${chosen[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${chosen[@]}" >/dev/null \
        || fail "apt-get install failed: ${chosen[*]}"
}

# need_environment FOLDER PIP-ARGUMENT...: create a virtual environment in FOLDER and run `pip install PIP-ARGUMENT...`;
# recreate it when Python, setup.py or the arguments have changed.
need_environment() {
    local folder=$1 stamp wanted
    shift
    stamp="$folder/installed"
    wanted="$(/usr/bin/python3 --version) $(cat setup.py) $*"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return 0
    fi
    say "installing Python packages in $folder"
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder" || fail "could not create a virtual environment in $folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check "$@" || fail "pip install failed"
    printf '%s' "$wanted" > "$stamp"
}
