/* libFuzzer: any bytes as a CSV file, read and made into series in each layout, fill and way with
 * errors. The first byte chooses the options. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "toto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[] = "/tmp/toto-fuzz-XXXXXX";
    static int fd = -1;
    if (fd < 0 && ((fd = mkstemp(path)) < 0))
        abort();
    unsigned choice = size ? data[0] : 0;
    if (ftruncate(fd, 0) || (size > 1 && pwrite(fd, data + 1, size - 1, 0) != (ssize_t)size - 1))
        abort();
    const struct toto_table_options table_options = {
        .layout = (enum toto_layout)(choice % 3), .on_error = (enum toto_on_error)(choice / 3 % 3)};
    const struct toto_series_options options = {.fill = (enum toto_fill)(choice / 9 % 3),
                                                .group =
                                                    choice & 128 ? TOTO_GROUP_ALL : TOTO_GROUP_AUTO,
                                                .context = choice / 27,
                                                .on_error = table_options.on_error};
    const char *const paths[] = {path};
    struct toto_table *table = NULL;
    struct toto_series *series = NULL;
    struct toto_error err;
    if (!toto_table_read(paths, 1, &table_options, &table, &err))
        (void)toto_series_make(table, &options, &series, &err);
    toto_table_free(table);
    toto_series_free(series);
    if (toto_memory_used())
        abort();
    return 0;
}
