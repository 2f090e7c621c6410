// Included by llama.cpp's repack.cpp: another way to multiply with the weights of models that encode texts, for processors without matrix units.
//
// ggml multiplies files of 16 bits in 32-bit floats, and those of fewer in blocks of 32 weights whose sums are scaled one by one. Here weights have
// 8 bits and what they are multiplied with up to 16, pairs of which are multiplied and added to 32-bit sums in one or two instructions that take twice
// as many numbers as floats do. A row of weights has one scale, and so has a row of A, which is as large as keeps the sum of any row from overflowing.
//
// C (M, N) = A (M, K) times W (N, K) transposed; A and C are of 32-bit floats, N is divisible by 32 and K by 16.

#include "llama_encoder.h"

#if defined(__AVX2__)

#include <array>
#include <immintrin.h>
#include <utility>

namespace winnow {
namespace {

// As many rows as leave GCC 12 all sums in registers.
#if defined(__AVX512BW__)
using Sums = __m512i;
constexpr int LANES = 16, ROWS_MAX = 8;
inline Sums none() { return _mm512_setzero_si512(); }
inline Sums repeated(int32_t pair) { return _mm512_set1_epi32(pair); }
inline Sums widened(const int8_t * pairs) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) pairs)); }
inline Sums add_products(Sums sums, Sums weights, Sums a) {
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sums, weights, a);
#else
    return _mm512_add_epi32(sums, _mm512_madd_epi16(weights, a));
#endif
}
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

// Rows of A are shared out evenly among as few groups as hold them.
inline int groups_of(int M) { return (M + ROWS_MAX - 1) / ROWS_MAX; }
inline int group_rows(int M) { return (M + groups_of(M) - 1) / groups_of(M); }

// Weights: for every COLUMNS rows of W, for every 2 numbers of a row, those of all; then the scales of all rows.
inline size_t alloc_size(const ggml_tensor * weights) { return weights->ne[1] * (weights->ne[0] + sizeof(float)); }

// A: for every group of rows, for every 2 numbers of a row, those of all in 16 bits; then the scales of all rows.
inline size_t batch_bytes(int M, int K) { return M * (K * sizeof(int16_t) + sizeof(float)); }
inline size_t work_size(const ggml_tensor * dst) { return dst->ne[2] * dst->ne[3] * batch_bytes(dst->ne[1], dst->src[0]->ne[0]); }

inline void convert_weights(ggml_tensor * weights, const void * data) {
    const int N = weights->ne[1], K = weights->ne[0];
    int8_t * kept = (int8_t *) weights->data;
    const auto scales = quantised(weights, data, [&](int n, int k, int8_t weight) {
        kept[(size_t) (n / COLUMNS * COLUMNS) * K + k / 2 * 2 * COLUMNS + n % COLUMNS * 2 + k % 2] = weight;
    });
    std::memcpy(kept + (size_t) N * K, scales.data(), N * sizeof(float));
}

// Write a row of A as pairs of 16-bit numbers, `stride` of them apart, and return its scale.
inline float convert_row(int32_t * pairs, int stride, const float * row, int K) {
    const float A_max = std::min(32767.0f, std::floor(2147483392.0f / (WEIGHT_MAX * K)));
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_setzero_ps();
    for (int k = 0; k < K; k += 8) {
        most = _mm256_max_ps(most, _mm256_andnot_ps(sign, _mm256_loadu_ps(row + k)));
    }
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, most);
    const float found = largest(lanes, 8), scale = found > 0 ? A_max / found : 0;
    for (int k = 0; k < K; k += 8) {
        const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(row + k), _mm256_set1_ps(scale)));
        // the lower 16 bits of two neighbours, beside each other
        alignas(32) int32_t both[8];
        _mm256_store_si256((__m256i *) both, _mm256_blend_epi16(whole, _mm256_srli_epi64(whole, 16), 0b00100010));
        for (int pair = 0; pair < 4; ++pair) {
            pairs[(k / 2 + pair) * stride] = both[2 * pair];
        }
    }
    return found / A_max;
}

template <int ROWS> void multiply(int K, const int32_t * A, const float * A_scales, const int8_t * W, const float * W_scales, float * C, int ldc) {
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
        store_scaled(C + (size_t) m * ldc, left[m], W_scales, A_scales[m]);
        store_scaled(C + (size_t) m * ldc + LANES, right[m], W_scales + LANES, A_scales[m]);
    }
}

using Multiply = void (*)(int, const int32_t *, const float *, const int8_t *, const float *, float *, int);
template <int... ROWS> constexpr std::array<Multiply, sizeof...(ROWS)> each_of(std::integer_sequence<int, ROWS...>) { return {multiply<ROWS + 1>...}; }
constexpr auto MULTIPLY = each_of(std::make_integer_sequence<int, ROWS_MAX>());

// The part of `count` things that is this thread's.
struct Share {
    Share(const ggml_compute_params * params, int64_t count) : begin(count * params->ith / params->nth), end(count * (params->ith + 1) / params->nth) {}
    const int64_t begin, end;
};

inline void mul_mat(const ggml_compute_params * params, ggml_tensor * dst) {
    const ggml_tensor * src0 = dst->src[0];
    const ggml_tensor * src1 = dst->src[1];
    const int M = dst->ne[1], N = dst->ne[0], K = src0->ne[0], ldc = dst->nb[1] / sizeof(float);
    const int64_t ne2 = dst->ne[2], batches = ne2 * dst->ne[3];
    const int rows = group_rows(M);
    GGML_ASSERT(params->wsize >= work_size(dst) && src0->ne[2] * src0->ne[3] == 1 && src1->nb[0] == sizeof(float) && dst->nb[0] == sizeof(float));

    const auto place = [&](const ggml_tensor * tensor, int64_t batch) {
        return (char *) tensor->data + batch % ne2 * tensor->nb[2] + batch / ne2 * tensor->nb[3];
    };
    const auto pairs = [&](int64_t batch) { return (int32_t *) ((char *) params->wdata + batch * batch_bytes(M, K)); };
    const auto scales = [&](int64_t batch) { return (float *) (pairs(batch) + (size_t) M * K / 2); };

    const Share of_rows(params, batches * M);
    for (int64_t each = of_rows.begin; each < of_rows.end; ++each) {
        const int batch = each / M, m = each % M, first = m / rows * rows;
        int32_t * group = pairs(batch) + (size_t) first * K / 2;
        scales(batch)[m] = convert_row(group + m - first, std::min(rows, M - first), (const float *) (place(src1, batch) + m * src1->nb[1]), K);
    }
    ggml_barrier(params->threadpool);

    const int8_t * W = (const int8_t *) src0->data;
    const float * W_scales = (const float *) (W + (size_t) N * K);
    const int parts = N / COLUMNS;
    const Share of_parts(params, batches * parts);
    for (int64_t each = of_parts.begin; each < of_parts.end; ++each) {
        const int batch = each / parts, n = each % parts * COLUMNS;
        float * C = (float *) place(dst, batch) + n;
        for (int m = 0; m < M; m += rows) {
            MULTIPLY[std::min(rows, M - m) - 1](K, pairs(batch) + (size_t) m * K / 2, scales(batch) + m, W + (size_t) n * K, W_scales + n, C + (size_t) m * ldc, ldc);
        }
    }
}

class encoder_traits : public ggml::cpu::repack::tensor_traits_base {
    bool work_size(int, const ggml_tensor * op, size_t & size) override {
        size = winnow::work_size(op);
        return true;
    }

    bool compute_forward(ggml_compute_params * params, ggml_tensor * op) override {
        if (op->op != GGML_OP_MUL_MAT) {
            return false;
        }
        mul_mat(params, op);
        return true;
    }

    int repack(ggml_tensor * weights, const void * data, size_t size) override {
        GGML_ASSERT(size == ggml_nbytes(weights));
        convert_weights(weights, data);
        return 0;
    }
};

const ggml::cpu::tensor_traits * traits() {
    static encoder_traits only;
    return &only;
}

// Whether weights are kept so, or will be if they are loaded now.
bool takes(const ggml_tensor * weights) {
    return weights->extra == traits() ||
           (encoders && ggml_n_dims(weights) == 2 && weights->ne[0] % 16 == 0 && weights->ne[1] % 32 == 0 &&
            (weights->type == GGML_TYPE_F32 || ggml_get_type_traits(weights->type)->to_float));
}

size_t repack_alloc_size(ggml_backend_buffer_type_t, const ggml_tensor * weights) {
    return takes(weights) ? alloc_size(weights) : ggml_nbytes(weights);
}

}  // namespace
}  // namespace winnow

// The weights of models that are loaded from now on are kept for encoding texts, or as ggml keeps them.
void winnow_keep_in_vectors(bool wanted);
void winnow_keep_in_vectors(bool wanted) {
    winnow::encoders = wanted;
}

#endif  // defined(__AVX2__)
