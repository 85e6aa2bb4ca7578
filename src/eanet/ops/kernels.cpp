// Loops over attention maps that tensor operations cannot run at the speed of a processor's vector
// units. Compiled by kernels.py: random words without macros, softmax with BFLOAT16, the double
// normalisation with BFLOAT16, HEADS and SLOTS.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

// Eight random bytes: the finaliser of SplitMix64 applied to the counter i of a stream (Steele, Lea
// and Flood, 2014, "Fast Splittable Pseudorandom Number Generators", figure 17).
static inline uint64_t random_word(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#ifndef BFLOAT16

extern "C" void random_words(uint64_t seed, int64_t count, uint64_t *words, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < count; i++) words[i] = random_word(seed, i);
}

#else

#if BFLOAT16
typedef uint16_t number;
static inline float widen(number x) {
    uint32_t bits = uint32_t(x) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}
static inline number narrow(float x) {  // to nearest, ties to even; the low half of a NaN is 0 here
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return number((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
#else
typedef float number;
static inline float widen(number x) { return x; }
static inline number narrow(float x) { return x; }
#endif

// exp(x) for x <= 0, in operations that all have a vector form: a polynomial times 2**n. Accurate
// to 3 units in the last place (coefficients of Cephes' expf), or to 4e-6 for results in bfloat16
// and on processors without fused multiply-add.
static inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
#if BFLOAT16
    const float t = x * 1.44269504f;
    const float n = std::rint(t);
    const float f = t - n;
    float p = 0.0095700864f;
    p = p * f + 0.055917852f;
    p = p * f + 0.24024744f;
    p = p * f + 0.69312179f;
    p = p * f + 0.99999928f;
#else
    float n = std::rint(x * 1.44269504f);
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)  // what the compiler may not reorder
    float f = std::fma(n, 2.12194440e-4f, std::fma(n, -0.693359375f, x));
#else
    float f = x - n * 0.693359375f + n * 2.12194440e-4f;
#endif
    float p = 1.9875691500e-4f;
    p = p * f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
#endif
    int32_t bits;  // of p; n is added to its exponent
    std::memcpy(&bits, &p, 4);
    bits += int32_t(n) * (1 << 23);
    std::memcpy(&p, &bits, 4);
    return p;
}

// A random byte for each entry of a row. Every row starts at a new word.
static inline int64_t words_of(int64_t width) { return (width + 7) / 8; }
static inline void random_row(uint64_t seed, int64_t row, int64_t width, uint64_t *words) {
    const int64_t first = row * words_of(width);
#pragma omp simd
    for (int64_t w = 0; w < words_of(width); w++) words[w] = random_word(seed, first + w);
}

// A row of the map times scale, with 0 for the entries whose random byte is below the threshold.
static inline void drop_row(const float *row, float scale, const uint64_t *words, int threshold,
                            int64_t width, number *dropped) {
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words);
#pragma omp simd
    for (int64_t c = 0; c < width; c++)
        dropped[c] = bytes[c] < threshold ? number(0) : narrow(row[c] * scale);
}

#ifndef HEADS

// Writes the exponentials of a row, less their maximum, to e; returns the inverse of their sum.
static inline float exponentials(const number *row, int64_t width, float *e) {
    float top = -INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
    for (int64_t c = 0; c < width; c++) top = widen(row[c]) > top ? widen(row[c]) : top;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < width; c++) {
        e[c] = exponential(widen(row[c]) - top);
        sum += e[c];
    }
    return 1.0f / sum;
}

// Replaces each row of scores (rows, width) by its softmax, after dropout with probability
// threshold / 256. Writes that before dropout to map unless null; without dropout, to it alone.
extern "C" void softmax_forward(number *scores, number *map, int64_t rows, int64_t width,
                                uint64_t seed, int threshold, int threads) {
    const float kept = 256.0f / float(256 - threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> e(width);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t row = 0; row < rows; row++) {
            number *s = scores + row * width;
            const float scale = exponentials(s, width, e.data());
            if (map)
#pragma omp simd
                for (int64_t c = 0; c < width; c++) map[row * width + c] = narrow(e[c] * scale);
            if (threshold) {
                random_row(seed, row, width, words.data());
                drop_row(e.data(), scale * kept, words.data(), threshold, width, s);
            } else if (!map) {
#pragma omp simd
                for (int64_t c = 0; c < width; c++) s[c] = narrow(e[c] * scale);
            }
        }
    }
}

// Replaces scores (rows, width) as softmax_forward does, and upstream, the gradient of that, by the
// gradient of the scores. If the map is given, what is in scores does not matter, and without
// dropout they stay so.
extern "C" void softmax_backward(number *scores, const number *map, number *upstream, int64_t rows,
                                 int64_t width, uint64_t seed, int threshold, int threads) {
    const float kept = 256.0f / float(256 - threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> g(width), a(width);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t row = 0; row < rows; row++) {
            number *s = scores + row * width, *u = upstream + row * width;
            if (map) {
#pragma omp simd
                for (int64_t c = 0; c < width; c++) a[c] = widen(map[row * width + c]);
            } else {
                const float scale = exponentials(s, width, a.data());
#pragma omp simd
                for (int64_t c = 0; c < width; c++) a[c] *= scale;
            }
            if (threshold) {
                random_row(seed, row, width, words.data());
                drop_row(a.data(), kept, words.data(), threshold, width, s);
                const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words.data());
#pragma omp simd
                for (int64_t c = 0; c < width; c++)
                    g[c] = bytes[c] < threshold ? 0 : widen(u[c]) * kept;
            } else {
#pragma omp simd
                for (int64_t c = 0; c < width; c++) g[c] = widen(u[c]);
                if (!map)
#pragma omp simd
                    for (int64_t c = 0; c < width; c++) s[c] = narrow(a[c]);
            }
            float inner = 0;
#pragma omp simd reduction(+ : inner)
            for (int64_t c = 0; c < width; c++) inner += a[c] * g[c];
#pragma omp simd
            for (int64_t c = 0; c < width; c++) u[c] = narrow(a[c] * (g[c] - inner));
        }
    }
}

#else

constexpr int WIDTH = HEADS * SLOTS;     // entries of a token's row
constexpr int WORDS = (WIDTH + 7) / 8;   // words with a byte for each of them
constexpr float LEAST = 1e-30f;          // a smaller sum has lost its precision
#define ALIGNED alignas(64)

// The softmax over slots of one token and head from logarithms: slow, but safe for any values.
static float careful(const number *logits, const float *top, const float *scale, float *weights) {
    float highest = -INFINITY, sum = 0;
    for (int s = 0; s < SLOTS; s++) {
        weights[s] = widen(logits[s]) - top[s] + std::log(scale[s]);
        highest = weights[s] > highest ? weights[s] : highest;
    }
    for (int s = 0; s < SLOTS; s++) sum += weights[s] = std::exp(weights[s] - highest);
    for (int s = 0; s < SLOTS; s++) weights[s] /= sum;
    return std::exp(highest) * sum;
}

// Writes the map (B, N, h, S) of logits (B, N, h, S), an image at a time, which stays in cache; its
// divisors to sums (B, N, h), which may be null; and if threshold > 0, the map after dropout with
// probability threshold / 256 to dropped (B, N, h, S). map and dropped (written last) may alias
// logits.
extern "C" void normalize_forward(const number *logits, number *map, number *dropped, float *sums,
                                  int64_t images, int64_t tokens, uint64_t seed, int threshold,
                                  int threads) {
    const float kept = 256.0f / float(256 - threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> exponentials(tokens * WIDTH);
        ALIGNED float top[WIDTH], scale[WIDTH], weights[WIDTH];
        ALIGNED uint64_t words[WORDS];
#pragma omp for
        for (int64_t image = 0; image < images; image++) {
            const number *in = logits + image * tokens * WIDTH;
            for (int c = 0; c < WIDTH; c++) top[c] = widen(in[c]), scale[c] = 0;
            for (int64_t n = 1; n < tokens; n++)
#pragma omp simd
                for (int c = 0; c < WIDTH; c++) {
                    float x = widen(in[n * WIDTH + c]);
                    top[c] = x > top[c] ? x : top[c];
                }
            for (int64_t n = 0; n < tokens; n++) {
                float *e = exponentials.data() + n * WIDTH;
#pragma omp simd
                for (int c = 0; c < WIDTH; c++) {
                    e[c] = exponential(widen(in[n * WIDTH + c]) - top[c]);
                    scale[c] += e[c];
                }
            }
#pragma omp simd
            for (int c = 0; c < WIDTH; c++) scale[c] = 1.0f / scale[c];
            for (int64_t n = 0; n < tokens; n++) {
                const float *e = exponentials.data() + n * WIDTH;
                const int64_t row = image * tokens + n;
                for (int h = 0; h < HEADS; h++) {
                    const int first = h * SLOTS;
                    float sum = 0;
#pragma omp simd reduction(+ : sum)
                    for (int c = first; c < first + SLOTS; c++) {
                        weights[c] = e[c] * scale[c];
                        sum += weights[c];
                    }
                    const float inverse = 1.0f / sum;
#pragma omp simd
                    for (int c = first; c < first + SLOTS; c++) weights[c] *= inverse;
                    if (sum < LEAST)
                        sum = careful(in + n * WIDTH + first, top + first, scale + first,
                                      weights + first);
                    if (sums) sums[row * HEADS + h] = sum;
                }
#pragma omp simd
                for (int c = 0; c < WIDTH; c++) map[row * WIDTH + c] = narrow(weights[c]);
                if (threshold) {
                    random_row(seed, row, WIDTH, words);
                    drop_row(weights, kept, words, threshold, WIDTH, dropped + row * WIDTH);
                }
            }
        }
    }
}

// Writes the gradient (B, N, h, S) of the logits and, if threshold > 0, the map after dropout to
// dropped unless null. upstream is the gradient of the map after dropout; gradient may alias it.
extern "C" void normalize_backward(const number *upstream, const number *map, const float *sums,
                                   number *gradient, number *dropped, int64_t images,
                                   int64_t tokens, uint64_t seed, int threshold, int threads) {
    const float kept = 256.0f / float(256 - threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> through_slots(tokens * WIDTH);
        ALIGNED float total[WIDTH], g[WIDTH], a[WIDTH];
        ALIGNED uint64_t words[WORDS];
#pragma omp for
        for (int64_t image = 0; image < images; image++) {
            for (int c = 0; c < WIDTH; c++) total[c] = 0;
            for (int64_t n = 0; n < tokens; n++) {
                const int64_t row = image * tokens + n;
                float *s = through_slots.data() + n * WIDTH;
#pragma omp simd
                for (int c = 0; c < WIDTH; c++) {
                    a[c] = widen(map[row * WIDTH + c]);
                    g[c] = widen(upstream[row * WIDTH + c]);
                }
                if (threshold) {
                    random_row(seed, row, WIDTH, words);
                    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words);
#pragma omp simd
                    for (int c = 0; c < WIDTH; c++) g[c] = bytes[c] < threshold ? 0 : g[c] * kept;
                    if (dropped) drop_row(a, kept, words, threshold, WIDTH, dropped + row * WIDTH);
                }
                for (int first = 0; first < WIDTH; first += SLOTS) {
                    float inner = 0;
#pragma omp simd reduction(+ : inner)
                    for (int c = first; c < first + SLOTS; c++) inner += a[c] * g[c];
#pragma omp simd
                    for (int c = first; c < first + SLOTS; c++) {
                        s[c] = a[c] * (g[c] - inner);
                        total[c] += s[c];
                    }
                }
            }
            for (int64_t n = 0; n < tokens; n++) {
                const int64_t row = image * tokens + n;
                const float *s = through_slots.data() + n * WIDTH;
                for (int h = 0; h < HEADS; h++) {
                    const float sum = sums[row * HEADS + h];
#pragma omp simd
                    for (int c = h * SLOTS; c < (h + 1) * SLOTS; c++)
                        g[c] = s[c] - widen(map[row * WIDTH + c]) * (sum * total[c]);
                }
#pragma omp simd
                for (int c = 0; c < WIDTH; c++) gradient[row * WIDTH + c] = narrow(g[c]);
            }
        }
    }
}

#endif
#endif
