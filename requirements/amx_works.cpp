// Exits with 0 if this machine multiplies tiles of 8-bit numbers. Built and run by llama_cpp.cmake.
#include <cstdint>
#include <cstring>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

struct alignas(64) TileConfiguration {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

__attribute__((target("amx-tile,amx-int8"))) static int multiply() {
    TileConfiguration tiles;
    std::memset(&tiles, 0, sizeof tiles);
    tiles.palette = 1;
    for (int tile = 0; tile < 3; tile++) {
        tiles.row_bytes[tile] = 64;
        tiles.rows[tile] = 16;
    }
    alignas(64) int8_t ones[16 * 64], twos[16 * 64];
    alignas(64) int32_t sums[16 * 16];
    std::memset(ones, 1, sizeof ones);
    std::memset(twos, 2, sizeof twos);
    asm volatile("" ::: "memory");
    _tile_loadconfig(&tiles);
    _tile_zero(0);
    _tile_loadd(1, ones, 64);
    _tile_loadd(2, twos, 64);
    _tile_dpbssd(0, 1, 2);
    _tile_stored(0, sums, 64);
    _tile_release();
    asm volatile("" ::: "memory");
    return sums[0] == 128 && sums[255] == 128 ? 0 : 1;
}

int main() {
    const long ask_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, ask_permission, tile_data) ? 1 : multiply();
}
