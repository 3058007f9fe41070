# Toolchain of CMake for a cross-build of the engine:
#   cmake -S . -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=scripts/aarch64-linux-gnu.cmake \
#     -DCAMLIP_PYTHON=OFF -DCAMLIP_LAMMPS=OFF -DCAMLIP_OPENMM=OFF
# Debian: g++-aarch64-linux-gnu; with qemu-user the C++ tests run, too.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
find_program(CAMLIP_QEMU qemu-aarch64)
if(CAMLIP_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${CAMLIP_QEMU};-L;/usr/aarch64-linux-gnu)
endif()
