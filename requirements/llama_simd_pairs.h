// Included by llama_simd_encoder.h: how numbers are kept and multiplied where no instruction multiplies bytes without losing some.
//
// Weights have 8 bits and what they are multiplied with (A) up to 16, pairs of which are multiplied and added to 32-bit sums in two instructions that
// take twice as many numbers as floats do. A row of weights has one scale, and so has a row of A, which is as large as keeps the sum of any row from
// overflowing.

#pragma once

#include <immintrin.h>

namespace winnow {
namespace {

// As many rows as leave GCC 12 all sums in registers.
#if defined(__AVX512BW__)
using Sums = __m512i;
constexpr int LANES = 16, ROWS_MAX = 8;
inline Sums none() { return _mm512_setzero_si512(); }
inline Sums repeated(int32_t pair) { return _mm512_set1_epi32(pair); }
inline Sums widened(const int8_t * pairs) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) pairs)); }
inline Sums add_products(Sums sums, Sums weights, Sums a) { return _mm512_add_epi32(sums, _mm512_madd_epi16(weights, a)); }
inline void store_scaled(float * C, Sums sums, const float * W_scales, float A_scale) {
    _mm512_storeu_ps(C, _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(_mm512_loadu_ps(W_scales), _mm512_set1_ps(A_scale))));
}
#else
using Sums = __m256i;
constexpr int LANES = 8, ROWS_MAX = 4;
inline Sums none() { return _mm256_setzero_si256(); }
inline Sums repeated(int32_t pair) { return _mm256_set1_epi32(pair); }
inline Sums widened(const int8_t * pairs) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) pairs)); }
inline Sums add_products(Sums sums, Sums weights, Sums a) { return _mm256_add_epi32(sums, _mm256_madd_epi16(weights, a)); }
inline void store_scaled(float * C, Sums sums, const float * W_scales, float A_scale) {
    _mm256_storeu_ps(C, _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(_mm256_loadu_ps(W_scales), _mm256_set1_ps(A_scale))));
}
#endif

constexpr int COLUMNS = 2 * LANES;  // of C that are computed at once
constexpr int BLOCK = 16;           // K is divisible by it

// Weights: for every COLUMNS rows of W, for every 2 numbers of a row, those of all.
inline size_t weight_at(int n, int k, int K) { return (size_t) (n / COLUMNS * COLUMNS) * K + k / 2 * 2 * COLUMNS + n % COLUMNS * 2 + k % 2; }
inline int8_t kept_weight(int8_t weight) { return weight; }

// A: for every group of rows the scales of all, then for every 2 numbers those of all in 16 bits.
inline size_t row_words(int K) { return 1 + K / 2; }

// Write row m of a group of `rows`.
inline void convert_row(int32_t * group, int m, int rows, const float * row, int K) {
    const float A_max = std::min(32767.0f, std::floor(2147483392.0f / (WEIGHT_MAX * K)));
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_setzero_ps();
    for (int k = 0; k < K; k += 8) {
        most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(row + k)));
    }
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, most);
    const float found = largest(lanes, 8), times = found > 0 ? A_max / found : 0, scale = found / A_max;
    std::memcpy(group + m, &scale, sizeof(float));
    int32_t * pairs = group + rows + m;
    for (int k = 0; k < K; k += 8) {
        const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(row + k), _mm256_set1_ps(times)));
        // the lower 16 bits of two neighbours, beside each other
        alignas(32) int32_t both[8];
        _mm256_store_si256((__m256i *) both, _mm256_blend_epi16(whole, _mm256_srli_epi64(whole, 16), 0b00100010));
        for (int pair = 0; pair < 4; ++pair) {
            pairs[(k / 2 + pair) * rows] = both[2 * pair];
        }
    }
}

template <int ROWS> void multiply(int K, const int32_t * A, const int8_t * W, const float * W_scales, float * C, int ldc) {
    float scales[ROWS];
    std::memcpy(scales, A, sizeof(scales));
    A += ROWS;
    Sums left[ROWS], right[ROWS];
    for (int m = 0; m < ROWS; ++m) {
        left[m] = right[m] = none();
    }
    for (int pair = 0; pair < K / 2; ++pair, A += ROWS, W += 2 * COLUMNS) {
        const Sums of_left = widened(W), of_right = widened(W + 2 * LANES);
        for (int m = 0; m < ROWS; ++m) {
            const Sums a = repeated(A[m]);
            left[m] = add_products(left[m], of_left, a);
            right[m] = add_products(right[m], of_right, a);
        }
    }
    for (int m = 0; m < ROWS; ++m) {
        store_scaled(C + (size_t) m * ldc, left[m], W_scales, scales[m]);
        store_scaled(C + (size_t) m * ldc + LANES, right[m], W_scales + LANES, scales[m]);
    }
}

}  // namespace
}  // namespace winnow
