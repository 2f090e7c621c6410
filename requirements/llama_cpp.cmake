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
