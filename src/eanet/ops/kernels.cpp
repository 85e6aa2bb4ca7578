// Loops over attention maps that tensor operations cannot run at the speed of a processor's vector
// units. Compiled by kernels.py, which also lists the functions that it calls (extern "C").

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

// ---- Types: float and bfloat16; all arithmetic is in float.

struct bfloat16 {
    uint16_t bits;  // the upper half of a float
};

static inline float widen(float x) { return x; }
static inline float widen(bfloat16 x) {
    const uint32_t bits = uint32_t(x.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}

template <class Number> static inline Number narrow(float x);
template <> inline float narrow<float>(float x) { return x; }
template <> inline bfloat16 narrow<bfloat16>(float x) {  // to nearest, ties to even
    uint32_t bits;  // the low half of a NaN is 0 here
    std::memcpy(&bits, &x, 4);
    return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

// ---- exp(x) for x <= 0, in operations that all have a vector form: a polynomial times 2**n.

static inline float scale_by_power(float p, float n) {  // p * 2**n: n is added to the exponent
    int32_t bits;
    std::memcpy(&bits, &p, 4);
    bits += int32_t(n) * (1 << 23);
    std::memcpy(&p, &bits, 4);
    return p;
}

template <class Number> static inline float exponential(float x);

// Accurate to 3 units in the last place (coefficients of Cephes' expf), or to 4e-6 on processors
// without fused multiply-add.
template <> inline float exponential<float>(float x) {
    x = x < -87.0f ? -87.0f : x;
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
    p = p * f + 1.0f;
    return scale_by_power(p * f + 1.0f, n);
}

// Accurate to 4e-6, for results in bfloat16.
template <> inline float exponential<bfloat16>(float x) {
    x = x < -87.0f ? -87.0f : x;
    const float t = x * 1.44269504f;
    const float n = std::rint(t);
    const float f = t - n;
    float p = 0.0095700864f;
    p = p * f + 0.055917852f;
    p = p * f + 0.24024744f;
    p = p * f + 0.69312179f;
    return scale_by_power(p * f + 0.99999928f, n);
}

// ---- Random bytes, and dropout by them.

// Eight random bytes: the finaliser of SplitMix64 applied to the counter i of a stream (Steele, Lea
// and Flood, 2014, "Fast Splittable Pseudorandom Number Generators", figure 17).
static inline uint64_t random_word(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

extern "C" void random_words(uint64_t seed, int64_t count, uint64_t *words, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t i = 0; i < count; i++) words[i] = random_word(seed, i);
}

// A random byte for each entry of a row. Every row starts at a new word.
static inline int64_t words_of(int64_t width) { return (width + 7) / 8; }
static inline void random_row(uint64_t seed, int64_t row, int64_t width, uint64_t *words) {
    const int64_t first = row * words_of(width);
#pragma omp simd
    for (int64_t w = 0; w < words_of(width); w++) words[w] = random_word(seed, first + w);
}

// A row of the map times scale, with 0 for the entries whose random byte is below the threshold.
template <class Number>
static inline void drop_row(const float *row, float scale, const uint64_t *words, int threshold,
                            int64_t width, Number *dropped) {
    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words);
#pragma omp simd
    for (int64_t c = 0; c < width; c++)
        dropped[c] = narrow<Number>(bytes[c] < threshold ? 0.0f : row[c] * scale);
}

static inline float scale_of_kept(int threshold) { return 256.0f / float(256 - threshold); }

// ---- Softmax, for self-attention.

// Writes the exponentials of a row, less their maximum, to e; returns the inverse of their sum.
template <class Number>
static inline float exponentials(const Number *row, int64_t width, float *e) {
    float top = -INFINITY, sum = 0;
#pragma omp simd reduction(max : top)
    for (int64_t c = 0; c < width; c++) top = widen(row[c]) > top ? widen(row[c]) : top;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < width; c++) {
        e[c] = exponential<Number>(widen(row[c]) - top);
        sum += e[c];
    }
    return 1.0f / sum;
}

template <class Number>
static void softmax_forward(Number *scores, Number *map, int64_t rows, int64_t width,
                            uint64_t seed, int threshold, int threads) {
    const float kept = scale_of_kept(threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> e(width);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t row = 0; row < rows; row++) {
            Number *s = scores + row * width;
            const float scale = exponentials(s, width, e.data());
            if (map)
#pragma omp simd
                for (int64_t c = 0; c < width; c++)
                    map[row * width + c] = narrow<Number>(e[c] * scale);
            if (threshold) {
                random_row(seed, row, width, words.data());
                drop_row(e.data(), scale * kept, words.data(), threshold, width, s);
            } else if (!map) {
#pragma omp simd
                for (int64_t c = 0; c < width; c++) s[c] = narrow<Number>(e[c] * scale);
            }
        }
    }
}

template <class Number>
static void softmax_backward(Number *scores, const Number *map, Number *upstream, int64_t rows,
                             int64_t width, uint64_t seed, int threshold, int threads) {
    const float kept = scale_of_kept(threshold);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> g(width), a(width);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t row = 0; row < rows; row++) {
            Number *s = scores + row * width, *u = upstream + row * width;
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
                    for (int64_t c = 0; c < width; c++) s[c] = narrow<Number>(a[c]);
            }
            float inner = 0;
#pragma omp simd reduction(+ : inner)
            for (int64_t c = 0; c < width; c++) inner += a[c] * g[c];
#pragma omp simd
            for (int64_t c = 0; c < width; c++) u[c] = narrow<Number>(a[c] * (g[c] - inner));
        }
    }
}

// Replaces each row of scores (rows, width) by its softmax, after dropout with probability
// threshold / 256. Writes that before dropout to map unless null; without dropout, to it alone.
extern "C" void softmax_forward(int is_bfloat16, void *scores, void *map, int64_t rows,
                                int64_t width, uint64_t seed, int threshold, int threads) {
    if (is_bfloat16)
        softmax_forward((bfloat16 *)scores, (bfloat16 *)map, rows, width, seed, threshold, threads);
    else
        softmax_forward((float *)scores, (float *)map, rows, width, seed, threshold, threads);
}

// Replaces scores (rows, width) as softmax_forward does, and upstream, the gradient of that, by the
// gradient of the scores. If the map is given, what is in scores does not matter, and without
// dropout they stay so.
extern "C" void softmax_backward(int is_bfloat16, void *scores, const void *map, void *upstream,
                                 int64_t rows, int64_t width, uint64_t seed, int threshold,
                                 int threads) {
    if (is_bfloat16)
        softmax_backward((bfloat16 *)scores, (const bfloat16 *)map, (bfloat16 *)upstream, rows,
                         width, seed, threshold, threads);
    else
        softmax_backward((float *)scores, (const float *)map, (float *)upstream, rows, width, seed,
                         threshold, threads);
}

// ---- Double normalisation, for external attention.

constexpr float LEAST = 1e-30f;  // a smaller sum has lost its precision

// The softmax over slots of one token and head from logarithms: slow, but safe for any values.
template <class Number>
static float careful(const Number *logits, const float *top, const float *scale, int slots,
                     float *weights) {
    float highest = -INFINITY, sum = 0;
    for (int s = 0; s < slots; s++) {
        weights[s] = widen(logits[s]) - top[s] + std::log(scale[s]);
        highest = weights[s] > highest ? weights[s] : highest;
    }
    for (int s = 0; s < slots; s++) sum += weights[s] = std::exp(weights[s] - highest);
    for (int s = 0; s < slots; s++) weights[s] /= sum;
    return std::exp(highest) * sum;
}

// The loops over the slots of a head, for SLOTS of them, or any number if SLOTS is 0. Those in use
// have loops of their own; everything else runs over whole rows, of any width.
template <class Number, int SLOTS> struct Slots {
    // The weights of a token's row, and each head's sum of what they are divided by.
    static void normalize(const float *__restrict e, const float *__restrict scale, int heads,
                          int given, float *__restrict weights, float *__restrict sums) {
        const int slots = SLOTS ? SLOTS : given;
        for (int h = 0; h < heads; h++, e += slots, scale += slots, weights += slots) {
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int s = 0; s < slots; s++) {
                weights[s] = e[s] * scale[s];
                sum += weights[s];
            }
            const float inverse = 1.0f / sum;
#pragma omp simd
            for (int s = 0; s < slots; s++) weights[s] *= inverse;
            sums[h] = sum;
        }
    }
    // The gradient through the softmax over slots; added to its total over tokens.
    static void through_slots(const float *__restrict a, const float *__restrict g, int heads,
                              int given, float *__restrict out, float *__restrict total) {
        const int slots = SLOTS ? SLOTS : given;
        for (int h = 0; h < heads; h++, a += slots, g += slots, out += slots, total += slots) {
            float inner = 0;
#pragma omp simd reduction(+ : inner)
            for (int s = 0; s < slots; s++) inner += a[s] * g[s];
#pragma omp simd
            for (int s = 0; s < slots; s++) {
                out[s] = a[s] * (g[s] - inner);
                total[s] += out[s];
            }
        }
    }
    // And through that over tokens.
    static void through_tokens(const float *__restrict through, const Number *__restrict a,
                               const float *__restrict sums, const float *__restrict total,
                               int heads, int given, Number *gradient) {
        const int slots = SLOTS ? SLOTS : given;
        for (int h = 0; h < heads;
             h++, through += slots, a += slots, total += slots, gradient += slots) {
            const float sum = sums[h];
#pragma omp simd
            for (int s = 0; s < slots; s++)
                gradient[s] = narrow<Number>(through[s] - widen(a[s]) * total[s] * sum);
        }
    }
};
template <class Number> struct SlotLoops {
    decltype(&Slots<Number, 0>::normalize) normalize;
    decltype(&Slots<Number, 0>::through_slots) through_slots;
    decltype(&Slots<Number, 0>::through_tokens) through_tokens;
};
template <class Number, int SLOTS> static SlotLoops<Number> loops() {
    using Own = Slots<Number, SLOTS>;
    return {Own::normalize, Own::through_slots, Own::through_tokens};
}
template <class Number> static SlotLoops<Number> loops_for(int slots) {
    switch (slots) {
        case 16: return loops<Number, 16>();
        case 32: return loops<Number, 32>();
        case 64: return loops<Number, 64>();
        default: return loops<Number, 0>();
    }
}

// A row in float: itself, or a copy in the buffer.
static inline const float *as_floats(const float *row, int64_t, float *) { return row; }
static inline const float *as_floats(const bfloat16 *row, int64_t width, float *buffer) {
#pragma omp simd
    for (int64_t c = 0; c < width; c++) buffer[c] = widen(row[c]);
    return buffer;
}

template <class Number>
static void column_maxima(const Number *__restrict in, int64_t tokens, int64_t width,
                          float *__restrict top) {
    for (int64_t c = 0; c < width; c++) top[c] = widen(in[c]);
    for (int64_t n = 1; n < tokens; n++)
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            const float x = widen(in[n * width + c]);
            top[c] = x > top[c] ? x : top[c];
        }
}

template <class Number>
static void column_exponentials(const Number *__restrict in, int64_t tokens, int64_t width,
                                const float *__restrict top, float *__restrict e,
                                float *__restrict sums) {
    for (int64_t c = 0; c < width; c++) sums[c] = 0;
    for (int64_t n = 0; n < tokens; n++)
#pragma omp simd
        for (int64_t c = 0; c < width; c++) {
            e[n * width + c] = exponential<Number>(widen(in[n * width + c]) - top[c]);
            sums[c] += e[n * width + c];
        }
}

template <class Number>
static void normalize_forward(const Number *logits, Number *map, Number *dropped, float *sums,
                              int64_t images, int64_t tokens, int heads, int slots, uint64_t seed,
                              int threshold, int threads) {
    const int64_t width = int64_t(heads) * slots;
    const float kept = scale_of_kept(threshold);
    const SlotLoops<Number> loops = loops_for<Number>(slots);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> exponentials(tokens * width), top(width), scale(width), weights(width);
        std::vector<float> row_sums(heads);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t image = 0; image < images; image++) {
            const Number *in = logits + image * tokens * width;
            column_maxima(in, tokens, width, top.data());
            column_exponentials(in, tokens, width, top.data(), exponentials.data(), scale.data());
#pragma omp simd
            for (int64_t c = 0; c < width; c++) scale[c] = 1.0f / scale[c];
            for (int64_t n = 0; n < tokens; n++) {
                const int64_t row = image * tokens + n;
                float *of_row = sums ? sums + row * heads : row_sums.data();
                loops.normalize(exponentials.data() + n * width, scale.data(), heads, slots,
                                weights.data(), of_row);
                for (int h = 0; h < heads; h++)
                    if (of_row[h] < LEAST)
                        of_row[h] = careful(in + n * width + h * slots, &top[h * slots],
                                            &scale[h * slots], slots, &weights[h * slots]);
#pragma omp simd
                for (int64_t c = 0; c < width; c++)
                    map[row * width + c] = narrow<Number>(weights[c]);
                if (threshold) {
                    random_row(seed, row, width, words.data());
                    drop_row(weights.data(), kept, words.data(), threshold, width,
                             dropped + row * width);
                }
            }
        }
    }
}

template <class Number>
static void normalize_backward(const Number *upstream, const Number *map, const float *sums,
                               Number *gradient, Number *dropped, int64_t images, int64_t tokens,
                               int heads, int slots, uint64_t seed, int threshold, int threads) {
    const int64_t width = int64_t(heads) * slots;
    const float kept = scale_of_kept(threshold);
    const SlotLoops<Number> loops = loops_for<Number>(slots);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> through_slots(tokens * width), total(width), g(width);
        std::vector<float> a_buffer(width), u_buffer(width);
        std::vector<uint64_t> words(words_of(width));
#pragma omp for
        for (int64_t image = 0; image < images; image++) {
            for (int64_t c = 0; c < width; c++) total[c] = 0;
            for (int64_t n = 0; n < tokens; n++) {
                const int64_t row = image * tokens + n;
                const float *a = as_floats(map + row * width, width, a_buffer.data());
                const float *u = as_floats(upstream + row * width, width, u_buffer.data());
                if (threshold) {
                    random_row(seed, row, width, words.data());
                    const uint8_t *bytes = reinterpret_cast<const uint8_t *>(words.data());
#pragma omp simd
                    for (int64_t c = 0; c < width; c++) g[c] = bytes[c] < threshold ? 0 : u[c] * kept;
                    if (dropped)
                        drop_row(a, kept, words.data(), threshold, width, dropped + row * width);
                }
                loops.through_slots(a, threshold ? g.data() : u, heads, slots, through_slots.data() + n * width,
                                    total.data());
            }
            for (int64_t n = 0; n < tokens; n++) {
                const int64_t row = image * tokens + n;
                loops.through_tokens(through_slots.data() + n * width, map + row * width,
                                     sums + row * heads, total.data(), heads, slots,
                                     gradient + row * width);
            }
        }
    }
}

// Writes the map (B, N, h, S) of logits (B, N, h, S), an image at a time, which stays in cache; its
// divisors to sums (B, N, h), which may be null; and if threshold > 0, the map after dropout with
// probability threshold / 256 to dropped (B, N, h, S). map and dropped (written last) may alias
// logits.
extern "C" void normalize_forward(int is_bfloat16, const void *logits, void *map, void *dropped,
                                  float *sums, int64_t images, int64_t tokens, int heads, int slots,
                                  uint64_t seed, int threshold, int threads) {
    if (tokens == 0) return;
    if (is_bfloat16)
        normalize_forward((const bfloat16 *)logits, (bfloat16 *)map,
                                    (bfloat16 *)dropped, sums, images, tokens, heads, slots, seed,
                                    threshold, threads);
    else
        normalize_forward((const float *)logits, (float *)map, (float *)dropped, sums,
                                 images, tokens, heads, slots, seed, threshold, threads);
}

// Writes the gradient (B, N, h, S) of the logits and, if threshold > 0, the map after dropout to
// dropped unless null. upstream is the gradient of the map after dropout; gradient may alias it.
extern "C" void normalize_backward(int is_bfloat16, const void *upstream, const void *map,
                                   const float *sums, void *gradient, void *dropped, int64_t images,
                                   int64_t tokens, int heads, int slots, uint64_t seed,
                                   int threshold, int threads) {
    if (is_bfloat16)
        normalize_backward((const bfloat16 *)upstream, (const bfloat16 *)map, sums,
                                     (bfloat16 *)gradient, (bfloat16 *)dropped, images, tokens,
                                     heads, slots, seed, threshold, threads);
    else
        normalize_backward((const float *)upstream, (const float *)map, sums,
                                  (float *)gradient, (float *)dropped, images, tokens, heads, slots,
                                  seed, threshold, threads);
}
