# Read by CMake inside llama.cpp's own project: leaves out its command-line library, which no Python binding calls.
# Without it the build takes half the time. A plain variable is needed because the sdist forces the cached one on.
set(LLAMA_BUILD_COMMON OFF)

# Some virtual machines name AMX among their processor's features and then kill whoever uses it (SIGILL); the small models
# that run here gain little from it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-mno-amx-tile WINNOW_COMPILER_KNOWS_AMX)
  if(WINNOW_COMPILER_KNOWS_AMX)
    add_compile_options(-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
  endif()
endif()
