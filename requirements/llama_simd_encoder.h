// Included by llama.cpp's repack.cpp: another way to multiply with the weights of models that encode texts, for processors without matrix units.
//
// ggml multiplies files of 16 bits in 32-bit floats, and those of fewer in blocks of 32 weights whose sums are scaled one by one. Here weights have
// 8 bits and a scale for a row. What they are multiplied with has 8 bits (llama_simd_bytes.h) or 16 (llama_simd_pairs.h), as the processor is.
//
// C (M, N) = A (M, K) times W (N, K) transposed; A and C are of 32-bit floats, N is divisible by 32 and K by BLOCK.

#include "llama_encoder.h"

#if defined(__AVX2__)

#include <array>
#include <utility>

#if (defined(__AVX512BW__) && defined(__AVX512VNNI__)) || (!defined(__AVX512BW__) && defined(__AVXVNNI__))
#include "llama_simd_bytes.h"
#else
#include "llama_simd_pairs.h"
#endif

namespace winnow {
namespace {

// Rows of A are shared out evenly among as few groups as hold them.
inline int groups_of(int M) { return (M + ROWS_MAX - 1) / ROWS_MAX; }
inline int group_rows(int M) { return (M + groups_of(M) - 1) / groups_of(M); }

// Weights, then the scales of all rows of W.
inline size_t alloc_size(const ggml_tensor * weights) { return weights->ne[1] * (weights->ne[0] + sizeof(float)); }
inline size_t work_size(const ggml_tensor * dst) { return dst->ne[2] * dst->ne[3] * dst->ne[1] * row_words(dst->src[0]->ne[0]) * sizeof(int32_t); }

inline void convert_weights(ggml_tensor * weights, const void * data) {
    const int N = weights->ne[1], K = weights->ne[0];
    int8_t * kept = (int8_t *) weights->data;
    const auto scales = quantised(weights, data, [&](int n, int k, int8_t weight) { kept[weight_at(n, k, K)] = kept_weight(weight); });
    std::memcpy(kept + (size_t) N * K, scales.data(), N * sizeof(float));
}

using Multiply = void (*)(int, const int32_t *, const int8_t *, const float *, float *, int);
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
    const auto group = [&](int64_t batch, int first) { return (int32_t *) params->wdata + (batch * M + first) * row_words(K); };

    const Share of_rows(params, batches * M);
    for (int64_t each = of_rows.begin; each < of_rows.end; ++each) {
        const int batch = each / M, m = each % M, first = m / rows * rows;
        convert_row(group(batch, first), m - first, std::min(rows, M - first), (const float *) (place(src1, batch) + m * src1->nb[1]), K);
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
            MULTIPLY[std::min(rows, M - m) - 1](K, group(batch, m), W + (size_t) n * K, W_scales + n, C + (size_t) m * ldc, ldc);
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
           (encoders && ggml_n_dims(weights) == 2 && weights->ne[0] % BLOCK == 0 && weights->ne[1] % 32 == 0 &&
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
