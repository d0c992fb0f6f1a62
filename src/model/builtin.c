/* The built-in model: the files of data/model/, taken into the program by the assembler.
 *
 * The weights stand at a boundary of 16 KB, whole pages of nearly all systems, in a section of constants.
 * So they are mapped with the program, read from the disk when they are first needed, shared by all processes
 * that run it, and never copied. This file is an object of its own in libtoto.a, which a program that brings its
 * own model does not link. */
#include <sys/mman.h>

#include "model.h"

#ifdef __APPLE__
#define SECTION ".section __TEXT,__const\n"
#define SYMBOL(name) "_" name
#define LOCAL(name) "L" name
#else
#define SECTION ".section .rodata,\"a\",%progbits\n"
#define SYMBOL(name) name
#define LOCAL(name) ".L" name
#endif

/* The bytes of a file as `name`, and their number as name_bytes. The number is the assembler's: Apple's linker may move
 * what stands under two symbols apart. The assembler looks for the file where the compiler runs. */
#define EMBED(name, alignment, file)                                                               \
    __asm__(SECTION ".globl " SYMBOL(name) "\n"                                                    \
            ".p2align " alignment "\n" SYMBOL(name) ":\n"                                          \
            ".incbin \"" file "\"\n" LOCAL(name) "_end:\n"                                         \
            ".globl " SYMBOL(name "_bytes") "\n"                                                   \
            ".p2align 3\n" SYMBOL(name "_bytes") ":\n"                                             \
            ".quad " LOCAL(name) "_end - " SYMBOL(name) "\n"                                       \
            ".text\n")

EMBED("toto_builtin_config", "4", "data/model/config.json");
EMBED("toto_builtin_weights", "14", "data/model/model.safetensors");

extern const unsigned char toto_builtin_config[], toto_builtin_weights[];
extern const uint64_t toto_builtin_config_bytes, toto_builtin_weights_bytes;

enum toto_status toto_model_open_builtin(struct toto_model **model, struct toto_error *err)
{
    const struct checkpoint_memory memory = {
        .name = "built in",
        .config = toto_builtin_config,
        .config_bytes = (size_t)toto_builtin_config_bytes,
        .weights = toto_builtin_weights,
        .weights_bytes = (size_t)toto_builtin_weights_bytes,
    };
    /* A hint: what is not in the page cache is read ahead while the header is parsed. */
    (void)posix_madvise((void *)(uintptr_t)memory.weights, memory.weights_bytes, POSIX_MADV_WILLNEED);
    return model_open_memory(&memory, model, err);
}
