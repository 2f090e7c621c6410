// Included by llama.cpp's amx/amx.cpp: another way to multiply with the weights of models that encode texts.
//
// ggml keeps blocks of 32 weights, each with a scale of its own, so every product of tiles is stored, converted, scaled and added up outside the matrix
// unit, which takes many times as long as multiplying. Here a row of weights has one scale, and a row of A has one too, so the unit adds up whole rows by
// itself and they are scaled once. Weights have 8 bits. A, in which a few numbers are far larger than the others, has 15, as an upper and a lower half of
// 8 bits each: twice as many products, and hardly an error.
//
// C (M, N) = A (M, K) times W (N, K) transposed; A and C are of 32-bit floats, N is divisible by 32.

#include "llama_encoder.h"

namespace winnow {

constexpr int ROWS = 16;       // of a tile
constexpr int ROW_BYTES = 64;  // of a row of a tile
constexpr int TILE_BYTES = ROWS * ROW_BYTES;
constexpr int STEP = 64;            // numbers of a row that a product of tiles takes
constexpr int COLUMNS = 2 * ROWS;   // of C that are computed at once
constexpr float UPPER = 128;        // what one is worth in an upper half
constexpr float A_MAX = 127 * UPPER;

inline int steps(int K) { return (K + STEP - 1) / STEP; }
// Rows of A are shared out evenly among as few tiles as hold them: a product takes as long as a tile of A has rows.
inline int tiles_of(int M) { return (M + ROWS - 1) / ROWS; }
inline int tile_rows(int M) { return (M + tiles_of(M) - 1) / tiles_of(M); }
inline int padded(int M) { return tiles_of(M) * tile_rows(M); }

// Weights: for every 32 columns, for every 64 numbers of a row, two tiles of 16 columns; then the scales of all columns.
inline size_t weights_bytes(int N, int K) { return (size_t) N * steps(K) * STEP; }
inline size_t alloc_size(const ggml_tensor * weights) {
    return weights_bytes(weights->ne[1], weights->ne[0]) + weights->ne[1] * sizeof(float);
}

// A: both halves of all rows, and then their scales.
inline size_t half_bytes(int M, int K) { return (size_t) padded(M) * steps(K) * STEP; }
inline size_t batch_bytes(int M, int K) { return 2 * half_bytes(M, K) + padded(M) * sizeof(float); }
inline size_t work_size(const ggml_tensor * dst) {
    return dst->ne[2] * dst->ne[3] * batch_bytes(dst->ne[1], dst->src[0]->ne[0]);
}

inline void convert_weights(ggml_tensor * weights, const void * data, size_t offset, size_t size) {
    GGML_ASSERT(offset == 0 && size == ggml_nbytes(weights));
    const int N = weights->ne[1], K = weights->ne[0];
    int8_t * tiles = (int8_t *) weights->data;
    std::memset(tiles, 0, weights_bytes(N, K));
    const auto scales = quantised(weights, data, [&](int n, int k, int8_t weight) {
        int8_t * columns = tiles + (size_t) (n / COLUMNS) * COLUMNS * steps(K) * STEP + n % COLUMNS / ROWS * TILE_BYTES + n % ROWS * 4;
        columns[k / STEP * 2 * TILE_BYTES + k % STEP / 4 * ROW_BYTES + k % 4] = weight;
    });
    std::memcpy(tiles + weights_bytes(N, K), scales.data(), N * sizeof(float));
}

// Write both halves of a row of K numbers, and return its scale.
inline float convert_row(int8_t * upper, int8_t * lower, const float * row, int K) {
    const int last = K & ~15;
    __m512 most = _mm512_setzero_ps();
    for (int k = 0; k < last; k += 16) {
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(row + k)));
    }
    const float found = std::max(_mm512_reduce_max_ps(most), largest(row + last, K - last));
    const float scale = found > 0 ? A_MAX / found : 0;
    for (int k = 0; k < K; k += 16) {
        const __mmask16 there = K - k < 16 ? (__mmask16) ((1u << (K - k)) - 1) : (__mmask16) 0xFFFF;
        const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(there, row + k), _mm512_set1_ps(scale)));
        const __m512i high = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(64)), 7);
        const __m512i low = _mm512_sub_epi32(whole, _mm512_slli_epi32(high, 7));
        _mm_storeu_si128((__m128i *) (upper + k), _mm512_cvtepi32_epi8(high));
        _mm_storeu_si128((__m128i *) (lower + k), _mm512_cvtepi32_epi8(low));
    }
    return found / A_MAX;
}

// ggml configures the tiles of a thread once, so what it configured is put back.
class Tiles {
public:
    // Tiles 0 to 3 are sums, 4 and 5 halves of so many rows of A, 6 and 7 weights.
    explicit Tiles(int rows_of_A) {
        _tile_storeconfig(&before);
        Configuration full = {};
        full.palette = 1;
        for (int tile = 0; tile < 8; ++tile) {
            full.rows[tile] = tile < 6 ? rows_of_A : ROWS;
            full.row_bytes[tile] = ROW_BYTES;
        }
        _tile_loadconfig(&full);
    }

    ~Tiles() {
        if (before.palette) {
            _tile_loadconfig(&before);
        } else {
            _tile_release();
        }
    }

private:
    struct alignas(64) Configuration {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    };
    Configuration before;
};

// Up to 16 rows times 32 columns.
inline void multiply(int rows, int K, const int8_t * upper, const int8_t * lower, const float * A_scales, const int8_t * W, const float * W_scales, float * C, int ldc) {
    const int count = steps(K), stride = count * STEP;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int step = 0; step < count; ++step) {
        _tile_loadd(4, upper + step * STEP, stride);
        _tile_loadd(6, W + step * 2 * TILE_BYTES, ROW_BYTES);
        _tile_dpbssd(0, 4, 6);
        _tile_loadd(7, W + step * 2 * TILE_BYTES + TILE_BYTES, ROW_BYTES);
        _tile_dpbssd(1, 4, 7);
        _tile_loadd(5, lower + step * STEP, stride);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    alignas(64) int32_t sums[4][ROWS * ROWS];
    _tile_stored(0, sums[0], ROW_BYTES);
    _tile_stored(1, sums[1], ROW_BYTES);
    _tile_stored(2, sums[2], ROW_BYTES);
    _tile_stored(3, sums[3], ROW_BYTES);
    for (int side = 0; side < 2; ++side) {
        const __m512 of_columns = _mm512_loadu_ps(W_scales + side * ROWS);
        for (int m = 0; m < rows; ++m) {
            const __m512 high = _mm512_cvtepi32_ps(_mm512_load_si512(sums[side] + m * ROWS));
            const __m512 low = _mm512_cvtepi32_ps(_mm512_load_si512(sums[2 + side] + m * ROWS));
            const __m512 sum = _mm512_fmadd_ps(high, _mm512_set1_ps(UPPER), low);
            _mm512_storeu_ps(C + m * ldc + side * ROWS, _mm512_mul_ps(sum, _mm512_mul_ps(of_columns, _mm512_set1_ps(A_scales[m]))));
        }
    }
}

inline void mul_mat(const ggml_compute_params * params, ggml_tensor * dst) {
    const ggml_tensor * src0 = dst->src[0];
    const ggml_tensor * src1 = dst->src[1];
    const int M = dst->ne[1], N = dst->ne[0], K = src0->ne[0], ldc = dst->nb[1] / sizeof(float);
    const int64_t ne2 = dst->ne[2], batches = ne2 * dst->ne[3];
    const size_t stride = (size_t) steps(K) * STEP;
    GGML_ASSERT(params->wsize >= work_size(dst) && src0->ne[2] * src0->ne[3] == 1 && N % COLUMNS == 0);

    const auto place = [&](const ggml_tensor * tensor, int64_t batch) {
        return (char *) tensor->data + batch % ne2 * tensor->nb[2] + batch / ne2 * tensor->nb[3];
    };
    const auto halves = [&](int64_t batch) { return (int8_t *) params->wdata + batch * batch_bytes(M, K); };
    const auto scales = [&](int64_t batch) { return (float *) (halves(batch) + 2 * half_bytes(M, K)); };

    parallel_for_ggml(params, batches * M, [&](int begin, int end) {
        for (int each = begin; each < end; ++each) {
            const int batch = each / M, m = each % M;
            int8_t * upper = halves(batch) + m * stride;
            int8_t * lower = upper + half_bytes(M, K);
            if (K % STEP) {
                std::memset(upper + K, 0, stride - K);
                std::memset(lower + K, 0, stride - K);
            }
            scales(batch)[m] = convert_row(upper, lower, (const float *) (place(src1, batch) + m * src1->nb[1]), K);
        }
    });
    ggml_barrier(params->threadpool);

    const int8_t * tiles = (const int8_t *) src0->data;
    const float * W_scales = (const float *) (tiles + weights_bytes(N, K));
    const int parts = N / COLUMNS, rows = tile_rows(M);
    parallel_for_ggml(params, batches * parts, [&](int begin, int end) {
        if (begin >= end) {
            return;
        }
        const Tiles configured(rows);
        for (int each = begin; each < end; ++each) {
            const int batch = each / parts, n = each % parts * COLUMNS;
            const int8_t * upper = halves(batch);
            const int8_t * lower = upper + half_bytes(M, K);
            float * C = (float *) place(dst, batch) + n;
            for (int m = 0; m < M; m += rows) {
                multiply(std::min(M - m, rows), K, upper + m * stride, lower + m * stride, scales(batch) + m, tiles + n * stride, W_scales + n,
                         C + (size_t) m * ldc, ldc);
            }
        }
    });
}

class encoder_traits : public ggml::cpu::tensor_traits {
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
};

static ggml::cpu::tensor_traits * traits() {
    static encoder_traits only;
    return &only;
}

}  // namespace winnow

// The weights of models that are loaded from now on are kept for encoding texts, or as ggml keeps them.
void winnow_keep_for_encoding(bool wanted);
void winnow_keep_for_encoding(bool wanted) {
    winnow::encoders = wanted;
}
