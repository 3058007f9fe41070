# SPDX-License-Identifier: MIT
# Finds OpenMM in the Python package openmm, whose wheel has headers and libraries but no CMake
# files.  Defines the target OpenMM::OpenMM; openmm_version is empty where there is none that the
# plugin can be built for.  Importing openmm is not needed, and not done.
#
# A plugin runs with the minor version of OpenMM that it was built for and crashes with others.
# The same range is in pyproject.toml and python/camlip/openmm/_load.py.
set(openmm_minimum 8.6.1)
set(openmm_too_new 8.7)

set(openmm_version "")
find_package(Python REQUIRED COMPONENTS Interpreter)
execute_process(
  COMMAND
    ${Python_EXECUTABLE} -c
    "import importlib.metadata as m, importlib.util as u, pathlib
print(m.version('openmm'), pathlib.Path(u.find_spec('openmm').origin).parents[1] / 'OpenMM.libs', sep=';', end='')"
  OUTPUT_VARIABLE _answer
  ERROR_QUIET
  RESULT_VARIABLE _status)
if(NOT _status EQUAL 0)
  message(STATUS "OpenMM plugin: not built, ${Python_EXECUTABLE} has no package openmm")
  return()
endif()
list(GET _answer 0 _found)
list(GET _answer 1 _root)
if(_found VERSION_LESS openmm_minimum OR _found VERSION_GREATER_EQUAL openmm_too_new)
  message(STATUS "OpenMM plugin: not built, openmm is ${_found}, expected ${openmm_minimum} "
                 "or newer, below ${openmm_too_new}")
  return()
endif()
if(NOT EXISTS "${_root}/include/OpenMM.h" OR NOT EXISTS "${_root}/lib/libOpenMM.so")
  message(STATUS "OpenMM plugin: not built, '${_root}' has no include/OpenMM.h or lib/libOpenMM.so")
  return()
endif()
set(openmm_version ${_found})
add_library(OpenMM::OpenMM SHARED IMPORTED)
set_target_properties(
  OpenMM::OpenMM
  PROPERTIES IMPORTED_LOCATION "${_root}/lib/libOpenMM.so"
             IMPORTED_SONAME libOpenMM.so
             INTERFACE_INCLUDE_DIRECTORIES "${_root}/include")
