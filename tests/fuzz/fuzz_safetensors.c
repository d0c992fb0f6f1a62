/* libFuzzer target: any bytes as one safetensors file. What is accepted must lie inside the bytes,
 * in order and without gaps, and every element of a weight's type is read. Build and run:
 *
 *     clang -std=c11 -D_POSIX_C_SOURCE=200809L -g -O1 -fsanitize=fuzzer,address,undefined \
 *         -fno-sanitize-recover=all -Isrc tests/fuzz/fuzz_safetensors.c src/base/[a-z]*.c \
 *         src/checkpoint/[a-z]*.c -ljansson -lpthread -lm -o fuzz_safetensors
 *     ./fuzz_safetensors -max_len=4096 CORPUS
 */
#include <assert.h>
#include <stdlib.h>

#include "checkpoint/safetensors.h"

/* libFuzzer's names. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t n, size_t most);

/* Two mutations in three keep the length field true to a header that grew or shrank: most of the
 * rules stand behind that check. */
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t n, size_t most, unsigned seed)
{
    if (n < 8 || seed % 3 == 0)
        return LLVMFuzzerMutate(bytes, n, most);
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    size_t mutated = LLVMFuzzerMutate(bytes + 8, n - 8, most - 8);
    length += (uint64_t)mutated - (n - 8);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(length >> 8 * i);
    return mutated + 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const struct mapped_file file = {.path = "fuzz.safetensors",
                                     .name = "fuzz.safetensors",
                                     .data = bytes,
                                     .bytes = n};
    struct checkpoint checkpoint = {0};
    struct toto_error err = {""};
    enum toto_status status = safetensors_read(&file, &checkpoint, &err);
    assert(status == TOTO_STATUS_OK || status == TOTO_STATUS_DATA);
    assert((status == TOTO_STATUS_OK) == (err.message[0] == '\0'));
    const uint8_t *at = checkpoint.n_tensors ? checkpoint.tensors[0].data : NULL;
    for (size_t i = 0; i < checkpoint.n_tensors; i++) {
        const struct tensor_view *view = &checkpoint.tensors[i];
        const uint8_t *data = view->data;
        size_t size = dtype_size(view->dtype);
        assert(data >= at && data >= bytes + 8 && data <= bytes + n);
        assert(size == 0 || data == at || view[-1].dtype == DTYPE_OTHER);
        at = data + size * view->n_elements; /* of an unsized type: its beginning */
        if (size) {
            float *wide = malloc(view->n_elements * sizeof *wide + 1);
            assert(wide);
            assert(view->n_elements <= (size_t)(bytes + n - data) / size);
            dtype_widen(view->dtype, data, view->n_elements, wide);
            assert(dtype_find_nonfinite(view->dtype, data, view->n_elements) <= view->n_elements);
            free(wide);
        }
    }
    checkpoint_close(&checkpoint);
    assert(toto_memory_used() == 0);
    return 0;
}
