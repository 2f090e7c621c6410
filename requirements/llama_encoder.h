// Included by the two ways to multiply with the weights of models that encode texts (llama_amx_encoder.h, llama_simd_encoder.h).
//
// Both keep a scale for a row of weights instead of ggml's scale for 32 of them, so sums of whole rows are scaled once.

#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace winnow {
namespace {

constexpr float WEIGHT_MAX = 127;

// The weights of models that are loaded from now on are kept for encoding.
std::atomic<bool> encoders{false};

// A text reads all weights once, and to find where pages of 4 kB are takes a part of the time.
void * in_large_pages(void * memory, size_t size) {
#if defined(MADV_HUGEPAGE)
    constexpr uintptr_t page = 1 << 21;
    const uintptr_t start = ((uintptr_t) memory + page - 1) & ~(page - 1), end = ((uintptr_t) memory + size) & ~(page - 1);
    if (memory && end > start) {
        madvise((void *) start, end - start, MADV_HUGEPAGE);
    }
#endif
    return memory;
}

float largest(const float * row, int K) {
    float found = 0;
    for (int k = 0; k < K; ++k) {
        found = std::max(found, std::fabs(row[k]));
    }
    return found;
}

// Give each row of weights in 8 bits to `keep(n, k, weight)`, and return the scales of all rows.
template <typename Keep> std::vector<float> quantised(const ggml_tensor * weights, const void * data, Keep keep) {
    const int N = weights->ne[1], K = weights->ne[0];
    const auto to_float = ggml_get_type_traits(weights->type)->to_float;
    std::vector<float> row(K), scales(N);
    for (int n = 0; n < N; ++n) {
        const char * stored = (const char *) data + n * weights->nb[1];
        if (to_float) {
            to_float(stored, row.data(), K);
        } else {
            std::memcpy(row.data(), stored, K * sizeof(float)); // 32-bit floats, the one type that needs no conversion
        }
        const float most = largest(row.data(), K), scale = most > 0 ? WEIGHT_MAX / most : 0;
        scales[n] = most / WEIGHT_MAX;
        for (int k = 0; k < K; ++k) {
            keep(n, k, (int8_t) std::lrint(row[k] * scale));
        }
    }
    return scales;
}

}  // namespace
}  // namespace winnow
