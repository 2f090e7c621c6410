# Read by CMake inside llama.cpp's own project: leaves out its command-line library, which no Python binding calls.
# Without it the build takes half the time. A plain variable is needed because the sdist forces the cached one on.
set(LLAMA_BUILD_COMMON OFF)
