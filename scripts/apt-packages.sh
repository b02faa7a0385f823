#!/bin/sh
# Install the Debian packages that a part of the system needs: scripts/apt-packages.sh GROUP...
#   python       what scripts/setup.sh starts from
#   build        make and git, for the tests
#   twin         pictures of the digital twin (EGL)
#   realsense    what pyrealsense2 loads
#   simulation   pictures of ManiSkill (Vulkan on the CPU or GPU) and of LIBERO (OSMesa)
#   browser      Chromium, for the tests of the console
# Does nothing when all of them are there; says in one sentence what is wrong otherwise.
set -eu

fail() { echo "apt-packages: $1" >&2; exit 1; }

[ $# -gt 0 ] || fail "expected one or more of python, build, twin, realsense, simulation, browser"
wanted="" newest=""
for group in "$@"; do
    case "$group" in
        python) wanted="$wanted python3 python3-venv ca-certificates" ;;
        build) wanted="$wanted make git" ;;
        twin) wanted="$wanted libegl1 libgl1 libgl1-mesa-dri" ;;
        realsense) wanted="$wanted libusb-1.0-0" ;;
        simulation)
            wanted="$wanted libegl1 libgl1 libgl1-mesa-dri libosmesa6 libglib2.0-0"
            newest="mesa-vulkan-drivers libvulkan1" ;;
        browser) wanted="$wanted chromium" ;;
        *) fail "no group '$group'; accepted are python, build, twin, realsense, simulation, browser" ;;
    esac
done

system=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
is_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }
missing=""
for package in $wanted; do is_installed "$package" || missing="$missing $package"; done
# On Debian 12 the Vulkan drivers come from its backports: those are the ones that training was tried with.
is_new_enough() { dpkg-query -W -f='${Version}' mesa-vulkan-drivers 2>/dev/null | grep -q 'bpo'; }
missing_new=""
for package in $newest; do is_installed "$package" || missing_new="$missing_new $package"; done
if [ "$system" != bookworm ]; then
    missing="$missing$missing_new" missing_new=""
elif [ -n "$newest" ] && ! is_new_enough; then
    missing_new=$newest
fi
[ -n "$missing$missing_new" ] || exit 0

[ "$(id -u)" -eq 0 ] || fail "root is needed to install$missing $missing_new; type: sudo $0 $*"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { "$@" >"$log" 2>&1 || fail "'$*' failed: $(grep -v '^$' "$log" | tail -n 3 | tr '\n' ' ')"; }
export DEBIAN_FRONTEND=noninteractive

# The mirror and its key are those of the machine's own sources.
sources=/etc/apt/sources.list.d
if [ -n "$missing_new" ] && ! grep -rqs '^[^#]*bookworm-backports' "$sources" /etc/apt/sources.list; then
    [ -r "$sources/debian.sources" ] ||
        fail "$sources/debian.sources is missing; add bookworm-backports to the apt sources by hand and run this again"
    awk '/^URIs:/{u=$0} /^Signed-By:/{s=$0} /^$/{exit} END{print "Types: deb\n" u "\nSuites: bookworm-backports\nComponents: main\n" s}' \
        "$sources/debian.sources" >"$sources/bookworm-backports.sources"
fi
run apt-get update -q
# shellcheck disable=SC2086  # lists of names
[ -z "$missing" ] || run apt-get install -y -q --no-install-recommends $missing
# shellcheck disable=SC2086
[ -z "$missing_new" ] || run apt-get install -y -q --no-install-recommends -t bookworm-backports $missing_new
