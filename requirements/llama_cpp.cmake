# Read by CMake inside llama.cpp's own project: leaves out its command-line library, which no Python binding calls.
# Without it the build takes half the time. A plain variable is needed because the sdist forces the cached one on.
set(LLAMA_BUILD_COMMON OFF)

# Intel's matrix units (AMX) make the small models that run here twice as fast. They are used if they work on this machine, which is
# tried, since a virtual machine may name them and not let anybody use them.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  include(CheckCXXCompilerFlag)
  include(CheckCXXSourceRuns)
  check_cxx_compiler_flag(-mno-amx-tile WINNOW_COMPILER_KNOWS_AMX)
  file(READ "${CMAKE_CURRENT_LIST_DIR}/amx_works.cpp" WINNOW_AMX_SOURCE)
  check_cxx_source_runs("${WINNOW_AMX_SOURCE}" WINNOW_AMX_WORKS)
  if(WINNOW_AMX_WORKS)
    # GCC 12 takes it that loading a configuration of tiles reads its first 8 bytes only, and leaves out what writes the rest;
    # the first use of a tile then ends the process (SIGILL).
    cmake_language(DEFER CALL set_source_files_properties
      "${CMAKE_CURRENT_SOURCE_DIR}/ggml/src/ggml-cpu/amx/mmq.cpp" TARGET_DIRECTORY ggml-cpu
      PROPERTIES COMPILE_OPTIONS "-fno-tree-dse;-fno-dse")
  elseif(WINNOW_COMPILER_KNOWS_AMX)
    add_compile_options(-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
  endif()
endif()

# GELU takes a tenth to a fifth of a small model's time, for it is looked up in a table, value by value. Computed, it takes a
# fiftieth. The sentences that are replaced belong to the release in runtime.txt; a release without them has to be looked at.
set(WINNOW_VEC "${CMAKE_CURRENT_SOURCE_DIR}/ggml/src/ggml-cpu/vec.h")
set(WINNOW_GELU_OLD "    return 0.5f*x*(1.0f + tanhf(SQRT_2_OVER_PI*x*(1.0f + GELU_COEF_A*x*x)));\n")
file(READ "${WINNOW_VEC}" WINNOW_VEC_SOURCE)
file(READ "${CMAKE_CURRENT_LIST_DIR}/llama_gelu.h" WINNOW_GELU)
string(FIND "${WINNOW_VEC_SOURCE}" "${WINNOW_GELU}" WINNOW_GELU_THERE)
if(WINNOW_GELU_THERE EQUAL -1)
  string(FIND "${WINNOW_VEC_SOURCE}" "${WINNOW_GELU_OLD}" WINNOW_GELU_AT)
  string(FIND "${WINNOW_VEC_SOURCE}" "#define GGML_GELU_FP16\n" WINNOW_TABLE_AT)
  if(WINNOW_GELU_AT EQUAL -1 OR WINNOW_TABLE_AT EQUAL -1)
    message(FATAL_ERROR "llama.cpp computes GELU in another way than requirements/llama_cpp.cmake expects")
  endif()
  string(REPLACE "${WINNOW_GELU_OLD}" "${WINNOW_GELU}" WINNOW_VEC_SOURCE "${WINNOW_VEC_SOURCE}")
  string(REPLACE "#define GGML_GELU_FP16\n" "" WINNOW_VEC_SOURCE "${WINNOW_VEC_SOURCE}")
  file(WRITE "${WINNOW_VEC}" "${WINNOW_VEC_SOURCE}")
endif()
