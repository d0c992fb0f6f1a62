/* SHA-256 of the weight files. */
#include <nettle/sha2.h>

#include "model.h"

enum toto_status toto_model_sha256(const struct toto_model *model, size_t file, char hex[65],
                                   const char **name, struct toto_error *err)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx hash;

    if (file >= model->checkpoint.n_files)
        return toto_fail(err, TOTO_STATUS_USAGE, "%s has %zu weight files; there is no file %zu",
                         model->checkpoint.path, model->checkpoint.n_files, file);
    const struct mapped_file *mapped = &model->checkpoint.files[file];
    sha256_init(&hash);
    sha256_update(&hash, mapped->bytes, mapped->data);
    sha256_digest(&hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
    *name = mapped->name;
    return TOTO_STATUS_OK;
}
