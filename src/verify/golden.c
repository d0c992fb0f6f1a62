/* A folder of golden data: its manifest, and the cases of its family. */
#include "golden.h"

#include <stdio.h>

#include "../base/status.h"
#include "../checkpoint/json.h"

double toto_verify_limit(enum toto_dtype dtype)
{
    switch (dtype) {
    case TOTO_DTYPE_F16: return 0.05;
    case TOTO_DTYPE_BF16: return 0.2;
    default: return 1e-3;
    }
}

enum toto_status toto_verify_golden(struct toto_device *device, const char *folder,
                                    const struct toto_golden_options *options, toto_check_report *report,
                                    void *user, struct toto_error *err)
{
    static const struct toto_golden_options none = {.only = NULL};
    struct golden golden = {
        .device = device, .options = options ? options : &none, .folder = folder, .report = report, .user = user,
    };
    char path[1024];
    struct json_document manifest;
    enum toto_dtype dtype = golden.options->dtype;
    if (dtype == TOTO_DTYPE_F16 || dtype == TOTO_DTYPE_BF16)
        golden.least_tolerance = toto_verify_limit(dtype);
    if ((size_t)snprintf(path, sizeof path, "%s/manifest.json", folder) >= sizeof path)
        return toto_fail(err, TOTO_STATUS_NO_INPUT, "%s: the path is too long", folder);
    enum toto_status status = json_document_read(path, &manifest, err);
    if (status != TOTO_STATUS_OK)
        return status;
    if (json_object_get(manifest.root, "model_family"))
        golden_toto1(&golden, manifest.root);
    else
        golden_toto2(&golden, manifest.root);
    toto_model_free(golden.model);
    json_document_free(&manifest);
    return TOTO_STATUS_OK;
}
