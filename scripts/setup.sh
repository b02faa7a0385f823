#!/bin/sh
# Make the virtual environment: scripts/setup.sh VENV EXTRAS [cpu|cuda|none]
# Says in one sentence what is missing and what to type; prints nothing else when all is well.
set -eu
venv=$1 extras=$2 torch=${3:-auto}
stamp="$venv/.touchdown-$(cat setup.cfg constraints.txt "$0" | cksum | cut -d' ' -f1)"

# The stamp lists what is installed already; nothing to do when all of it is.
wanted=""
for extra in $(echo "$extras" | tr ',' ' ') "torch-$torch"; do
    grep -qx "$extra" "$stamp" 2>/dev/null || wanted="$wanted $extra"
done
[ -z "$wanted" ] && exit 0

fail() { echo "setup: $1" >&2; exit 1; }

find_python() {
    for candidate in ${PYTHON:-} python3.11 python3.12 python3; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null || continue
        echo "$candidate"; return
    done
}
python=$(find_python)
[ -n "$python" ] || fail "Python 3.11 or 3.12 is needed and was not found; on Debian 12 or Ubuntu 24.04: apt-get install -y python3 python3-venv"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module; on Debian 12 or Ubuntu 24.04: apt-get install -y python3-venv"

missing="" drawn="libEGL.so.1 libGL.so.1"
case ",$extras," in *,twin,* | *,train,* | *,libero,*) ;; *) drawn="" ;; esac
for library in $drawn; do
    ldconfig -p 2>/dev/null | grep -q "$library" || /sbin/ldconfig -p 2>/dev/null | grep -q "$library" || missing="$missing $library"
done
[ -z "$missing" ] ||
    fail "the simulated cameras need$missing; on Debian 12 or Ubuntu 24.04: apt-get install -y libegl1 libgl1 libgl1-mesa-dri"

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
log="$venv/setup.log"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@" >>"$log" 2>&1 || fail "pip $* failed; the end of $log says why: $(tail -n 3 "$log" | tr '\n' ' ')"; }

echo "setup: installing into $venv with $("$python" --version) (a few minutes the first time; log in $log)"
case "$torch" in
    none) ;;
    cpu) pip install -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 ;;
    cuda | auto) pip install -c constraints.txt torch==2.13.0 ;;
    *) fail "TORCH is '$torch', accepted are cpu and cuda" ;;
esac
pip install -c constraints.txt -e ".[$extras]"
[ -e "$stamp" ] || rm -f "$venv"/.touchdown-*
for extra in $wanted; do echo "$extra" >>"$stamp"; done
