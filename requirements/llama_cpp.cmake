# Read by CMake inside llama.cpp's own project: leaves out its command-line library, which no Python binding calls.
# Without it the build takes half the time. A plain variable is needed because the sdist forces the cached one on.
set(LLAMA_BUILD_COMMON OFF)

# Intel's matrix units (AMX) make the small models that run here twice as fast. They are used if they work on this machine, which is
# tried, since a virtual machine may name them and not let anybody use them. A library for many processors (GGML_CPU_ALL_VARIANTS)
# has one variant that uses them, and asks when it starts.
set(WINNOW_AMX_TARGET ggml-cpu)
if(GGML_CPU_ALL_VARIANTS)
  set(WINNOW_AMX_TARGET ggml-cpu-sapphirerapids)
  set(WINNOW_USES_AMX ON)
  # beside libllama.so, where they are looked for
  set(CMAKE_INSTALL_BINDIR llama_cpp/lib CACHE PATH "" FORCE)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  include(CheckCXXCompilerFlag)
  include(CheckCXXSourceRuns)
  check_cxx_compiler_flag(-mno-amx-tile WINNOW_COMPILER_KNOWS_AMX)
  file(READ "${CMAKE_CURRENT_LIST_DIR}/amx_works.cpp" WINNOW_AMX_SOURCE)
  check_cxx_source_runs("${WINNOW_AMX_SOURCE}" WINNOW_USES_AMX)
  if(WINNOW_COMPILER_KNOWS_AMX AND NOT WINNOW_USES_AMX)
    add_compile_options(-mno-amx-tile -mno-amx-int8 -mno-amx-bf16)
  endif()
endif()
if(WINNOW_USES_AMX AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 takes it that loading a configuration of tiles reads its first 8 bytes only, and leaves out what writes the rest;
  # the first use of a tile then ends the process (SIGILL).
  cmake_language(DEFER CALL set_source_files_properties
    "${CMAKE_CURRENT_SOURCE_DIR}/ggml/src/ggml-cpu/amx/amx.cpp" "${CMAKE_CURRENT_SOURCE_DIR}/ggml/src/ggml-cpu/amx/mmq.cpp" TARGET_DIRECTORY ${WINNOW_AMX_TARGET}
    PROPERTIES COMPILE_OPTIONS "-fno-tree-dse;-fno-dse")
endif()

# What follows changes lines of the release in runtime.txt. A release that has other lines has to be looked at anew.
function(winnow_replace file old new)
  set(path "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  file(READ "${path}" text)
  string(FIND "${text}" "${new}" done)
  string(FIND "${text}" "${old}" found)
  if(NOT done EQUAL -1)
    return()
  endif()
  if(found EQUAL -1)
    message(FATAL_ERROR "${file} of llama.cpp is not what requirements/llama_cpp.cmake expects: ${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  file(WRITE "${path}" "${text}")
endfunction()

# GELU takes a tenth to a fifth of a small model's time, for it is looked up in a table, value by value. Computed, it takes a
# fiftieth.
file(READ "${CMAKE_CURRENT_LIST_DIR}/llama_gelu.h" WINNOW_GELU)
winnow_replace(ggml/src/ggml-cpu/vec.h "#define GGML_GELU_FP16\n" "// GELU is computed, not looked up\n")
winnow_replace(ggml/src/ggml-cpu/vec.h "    return 0.5f*x*(1.0f + tanhf(SQRT_2_OVER_PI*x*(1.0f + GELU_COEF_A*x*x)));\n" "${WINNOW_GELU}")

# Attention takes a quarter of the time, for its tiles are made for long texts. Messages are short: most of a tile of 64 by 64 is of
# other texts, and a query of fewer than 64 tokens is computed number by number, in three times the time of everything else. Texts that
# are written go on as they were: what is read again must be computed in the same way.
winnow_replace(ggml/src/ggml-cpu/common.h "#define GGML_FA_TILE_Q  64" "#define GGML_FA_TILE_Q  16")
winnow_replace(ggml/src/ggml-cpu/common.h "#define GGML_FA_TILE_KV 64" "#define GGML_FA_TILE_KV 32")
winnow_replace(ggml/src/ggml-cpu/ops.cpp "neq1 >= Q_TILE_SZ);" "(neq1 >= 64 || (neq1 >= 4 && neq1 == nek1)));")

# Half of the time is spent on scaling products of 8 bits one by one. Models that encode get another way to multiply.
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "// AMX buffer interface\nstatic void"
  "#include \"${CMAKE_CURRENT_LIST_DIR}/llama_amx_encoder.h\"\n\nstatic void")
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "    void * data = ggml_aligned_malloc(size);\n"
  "    void * data = winnow::in_large_pages(ggml_aligned_malloc(size), size);\n")
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "    tensor->extra = (void *) ggml::cpu::amx::get_tensor_traits(buffer, tensor);"
  "    tensor->extra = (void *) (winnow::encoders ? winnow::traits() : ggml::cpu::amx::get_tensor_traits(buffer, tensor));")
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "    if (qtype_has_amx_kernels(tensor->type)) {\n        GGML_LOG_DEBUG"
  "    if (tensor->extra == winnow::traits()) {
        winnow::convert_weights(tensor, data, offset, size);
    } else if (qtype_has_amx_kernels(tensor->type)) {\n        GGML_LOG_DEBUG")
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "    return ggml_backend_amx_get_alloc_size(tensor);"
  "    return winnow::encoders ? winnow::alloc_size(tensor) : ggml_backend_amx_get_alloc_size(tensor);")
winnow_replace(ggml/src/ggml-cpu/amx/amx.cpp
  "            case GGML_TYPE_F16:\n                alignment = 16;"
  "            case GGML_TYPE_F32:
            case GGML_TYPE_BF16:
                if (!winnow::encoders && src0->extra != winnow::traits()) {
                    return false;
                }
                alignment = 16;
                break;
            case GGML_TYPE_F16:\n                alignment = 16;")

# Where there are none, in 8 or 16 bits instead of 32-bit floats or blocks of 32 weights.
winnow_replace(ggml/src/ggml-cpu/repack.cpp
  "static const ggml::cpu::tensor_traits * ggml_repack_get_optimal_repack_type(const struct ggml_tensor * cur) {\n"
  "#include \"${CMAKE_CURRENT_LIST_DIR}/llama_simd_encoder.h\"

static const ggml::cpu::tensor_traits * ggml_repack_get_optimal_repack_type(const struct ggml_tensor * cur) {
#if defined(__AVX2__)
    if (winnow::takes(cur)) {
        return winnow::traits();
    }
#endif\n")
winnow_replace(ggml/src/ggml-cpu/repack.cpp
  "    buffer->buft              = buft;\n"
  "#if defined(__AVX2__)
    winnow::in_large_pages(buffer->context, size);
#endif
    buffer->buft              = buft;\n")
winnow_replace(ggml/src/ggml-cpu/repack.cpp
  "                           /* .get_alloc_size   = */ nullptr,  // defaults to ggml_nbytes\n"
  "#if defined(__AVX2__)
                           /* .get_alloc_size   = */ winnow::repack_alloc_size,
#else
                           /* .get_alloc_size   = */ nullptr,  // defaults to ggml_nbytes
#endif\n")
winnow_replace(ggml/src/ggml-cpu/ggml-cpu.cpp
  "static void * ggml_backend_cpu_get_proc_address("
  "void winnow_keep_for_encoding(bool wanted);
void winnow_keep_in_vectors(bool wanted);

static void * ggml_backend_cpu_get_proc_address(")
winnow_replace(ggml/src/ggml-cpu/ggml-cpu.cpp
  "    return NULL;\n\n    GGML_UNUSED(reg);"
  "#if defined(__AMX_INT8__) && defined(__AVX512VNNI__)
    if (strcmp(name, \"winnow_keep_for_encoding\") == 0 && ggml_backend_amx_buffer_type()) {
        return (void *)winnow_keep_for_encoding;
    }
#endif
#if defined(GGML_USE_CPU_REPACK) && defined(__AVX2__)
    if (strcmp(name, \"winnow_keep_for_encoding\") == 0) {
        return (void *)winnow_keep_in_vectors;
    }
#endif

    return NULL;\n\n    GGML_UNUSED(reg);")

# A context makes and clears room for scores over the vocabulary, a megabyte a token with 250,000 words, also where vectors alone are asked for.
winnow_replace(src/llama-context.cpp
  "    bool has_logits     = true;\n"
  "    bool has_logits     = !cparams.embeddings;\n")

# What can wait is computed by threads that step back.
set(WINNOW_COMPANION "${CMAKE_CURRENT_LIST_DIR}/llama_companion.cpp")
cmake_language(DEFER CALL target_sources llama PRIVATE "${WINNOW_COMPANION}")
