// Included by llama_simd_encoder.h: how numbers are kept and multiplied where one instruction multiplies bytes, four at a time (VNNI).
//
// Weights have 8 bits and one scale for a row. What they are multiplied with (A) has 8 bits as well, and a scale for every 32 numbers, as ggml's
// Q8_0 has, because a few of its numbers are far larger than the others. The instruction takes the left factor without a sign, so 128 is added to
// weights, and sums of a block begin with what that adds too much: -128 times the sum of its 32 numbers.

#pragma once

#include <immintrin.h>

namespace winnow {
namespace {

// As many rows as leave GCC 12 all sums in registers.
#if defined(__AVX512BW__)
using Sums = __m512i;
using Floats = __m512;
constexpr int LANES = 16, ROWS_MAX = 6;
inline Floats zeros() { return _mm512_setzero_ps(); }
inline Sums repeated(int32_t value) { return _mm512_set1_epi32(value); }
inline Sums four_of_each(const int8_t * weights) { return _mm512_loadu_si512(weights); }
inline Sums add_products(Sums sums, Sums weights, Sums a) { return _mm512_dpbusd_epi32(sums, weights, a); }
inline Floats add_scaled(Floats floats, Sums sums, float scale) { return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(scale), floats); }
inline void store_scaled(float * C, Floats floats, const float * W_scales) { _mm512_storeu_ps(C, _mm512_mul_ps(floats, _mm512_loadu_ps(W_scales))); }
#else
using Sums = __m256i;
using Floats = __m256;
constexpr int LANES = 8, ROWS_MAX = 3;
inline Floats zeros() { return _mm256_setzero_ps(); }
inline Sums repeated(int32_t value) { return _mm256_set1_epi32(value); }
inline Sums four_of_each(const int8_t * weights) { return _mm256_loadu_si256((const __m256i *) weights); }
inline Sums add_products(Sums sums, Sums weights, Sums a) { return _mm256_dpbusd_avx_epi32(sums, weights, a); }
inline Floats add_scaled(Floats floats, Sums sums, float scale) { return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), _mm256_set1_ps(scale), floats); }
inline void store_scaled(float * C, Floats floats, const float * W_scales) { _mm256_storeu_ps(C, _mm256_mul_ps(floats, _mm256_loadu_ps(W_scales))); }
#endif

constexpr int COLUMNS = 2 * LANES;  // of C that are computed at once
constexpr int BLOCK = 32;           // numbers of a row of A that share a scale; K is divisible by it
constexpr int QUADS = BLOCK / 4;
constexpr int WORDS = 2 + QUADS;    // of a row of A in a block: the scale, what its sums begin with, and the numbers, four in each

// Weights: for every COLUMNS rows of W, for every 4 numbers of a row, those of all.
inline size_t weight_at(int n, int k, int K) { return (size_t) (n / COLUMNS * COLUMNS) * K + k / 4 * 4 * COLUMNS + n % COLUMNS * 4 + k % 4; }
inline int8_t kept_weight(int8_t weight) { return (int8_t) ((uint8_t) weight + 128); }

// A: for every group of rows, for every block, the scales of all rows, what their sums begin with, and for every 4 numbers those of all.
inline size_t row_words(int K) { return K / BLOCK * WORDS; }

inline float largest_of(__m256 lanes) {
    __m128 most = _mm_max_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    most = _mm_max_ps(most, _mm_movehl_ps(most, most));
    return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

inline int32_t sum_of(__m256i lanes) {
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0b01001110));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0b10110001)));
}

// Write row m of a group of `rows`.
inline void convert_row(int32_t * group, int m, int rows, const float * row, int K) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    for (int k = 0; k < K; k += BLOCK, group += WORDS * rows) {
        __m256 numbers[4], most = _mm256_setzero_ps();
        for (int i = 0; i < 4; ++i) {
            numbers[i] = _mm256_loadu_ps(row + k + 8 * i);
            most = _mm256_max_ps(most, _mm256_andnot_ps(sign, numbers[i]));
        }
        const float found = largest_of(most), scale = found / 127;
        const __m256 times = _mm256_set1_ps(found > 0 ? 127 / found : 0);
        __m256i whole[4];
        for (int i = 0; i < 4; ++i) {
            whole[i] = _mm256_cvtps_epi32(_mm256_mul_ps(numbers[i], times));
        }
        const int32_t sum = sum_of(_mm256_add_epi32(_mm256_add_epi32(whole[0], whole[1]), _mm256_add_epi32(whole[2], whole[3])));
        // packing takes halves of its two vectors in turn
        const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
        alignas(32) int32_t quads[QUADS];
        _mm256_store_si256((__m256i *) quads, _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
        std::memcpy(group + m, &scale, sizeof(float));
        group[rows + m] = -128 * sum;
        for (int i = 0; i < QUADS; ++i) {
            group[(2 + i) * rows + m] = quads[i];
        }
    }
}

// Do something with each row, written out one by one: of loops over them GCC 12 keeps what is scaled in memory.
template <class Do, int... M> inline __attribute__((always_inline)) void each_row(std::integer_sequence<int, M...>, Do act) { (act(std::integral_constant<int, M>()), ...); }

template <int ROWS> void multiply(int K, const int32_t * A, const int8_t * W, const float * W_scales, float * C, int ldc) {
    // A text reads all weights once: those of the next columns come nearer meanwhile.
    const int8_t * next = W + (size_t) COLUMNS * K;
    constexpr auto rows = std::make_integer_sequence<int, ROWS>();
    Floats left[ROWS], right[ROWS];
    each_row(rows, [&](auto m) { left[m] = right[m] = zeros(); });
    for (int k = 0; k < K; k += BLOCK) {
        const int32_t * scales = A;
        Sums of_left[ROWS], of_right[ROWS];
        each_row(rows, [&](auto m) { of_left[m] = of_right[m] = repeated(A[ROWS + m]); });
        A += 2 * ROWS;
        for (int quad = 0; quad < QUADS; ++quad, A += ROWS, W += 4 * COLUMNS, next += 4 * COLUMNS) {
            const Sums weights_left = four_of_each(W), weights_right = four_of_each(W + 4 * LANES);
            _mm_prefetch((const char *) next, _MM_HINT_T1);
            _mm_prefetch((const char *) next + 2 * COLUMNS, _MM_HINT_T1);
            each_row(rows, [&](auto m) {
                const Sums a = repeated(A[m]);
                of_left[m] = add_products(of_left[m], weights_left, a);
                of_right[m] = add_products(of_right[m], weights_right, a);
            });
        }
        each_row(rows, [&](auto m) {
            float scale;
            std::memcpy(&scale, scales + m, sizeof(scale));
            left[m] = add_scaled(left[m], of_left[m], scale);
            right[m] = add_scaled(right[m], of_right[m], scale);
        });
    }
    each_row(rows, [&](auto m) {
        store_scaled(C + (size_t) m * ldc, left[m], W_scales);
        store_scaled(C + (size_t) m * ldc + LANES, right[m], W_scales + LANES);
    });
}

}  // namespace
}  // namespace winnow
