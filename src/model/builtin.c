/* The built-in model: the files of data/model/, taken into the program by the assembler.
 *
 * They stand at a boundary of 16 KB, the largest page of the systems that toto runs on, in a section of constants.
 * So they are mapped with the program, read from the disk when they are first needed, shared by all processes
 * that run it, and never copied. This file is an object of its own in libtoto.a, which a program that brings its
 * own model does not link. */
#include <sys/mman.h>

#include "model.h"

#ifdef __APPLE__
#define SECTION ".section __TEXT,__const\n"
#define SYMBOL(name) "_" name
#else
#define SECTION ".section .rodata,\"a\",%progbits\n"
#define SYMBOL(name) name
#endif

/* Bytes of a file between name_begin and name_end. The assembler looks for it where the compiler runs. */
#define EMBED(name, alignment, file)                                                                                   \
    __asm__(SECTION                                                                                                    \
            ".globl " SYMBOL(name "_begin") "\n"                                                                       \
            ".globl " SYMBOL(name "_end") "\n"                                                                         \
            ".p2align " alignment "\n" SYMBOL(name "_begin") ":\n"                                                     \
            ".incbin \"" file "\"\n" SYMBOL(name "_end") ":\n"                                                         \
            ".byte 0\n"                                                                                                \
            ".text\n")

EMBED("toto_builtin_config", "4", "data/model/config.json");
EMBED("toto_builtin_weights", "14", "data/model/model.safetensors");

extern const unsigned char toto_builtin_config_begin[], toto_builtin_config_end[];
extern const unsigned char toto_builtin_weights_begin[], toto_builtin_weights_end[];

enum toto_status toto_model_open_builtin(struct toto_model **model, struct toto_error *err)
{
    const struct checkpoint_memory memory = {
        .name = "built in",
        .config = toto_builtin_config_begin,
        .config_bytes = (uintptr_t)toto_builtin_config_end - (uintptr_t)toto_builtin_config_begin,
        .weights = toto_builtin_weights_begin,
        .weights_bytes = (uintptr_t)toto_builtin_weights_end - (uintptr_t)toto_builtin_weights_begin,
    };
    /* A hint: what is not in the page cache is read ahead while the header is parsed. */
    (void)posix_madvise((void *)(uintptr_t)memory.weights, memory.weights_bytes, POSIX_MADV_WILLNEED);
    return model_open_memory(&memory, model, err);
}
