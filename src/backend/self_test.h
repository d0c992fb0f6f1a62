/* Whether a device computes what it should. */
#ifndef TOTO_BACKEND_SELF_TEST_H
#define TOTO_BACKEND_SELF_TEST_H

#include "backend.h"

/* Runs small cases of linear, attention and sampling on the backend, which stores activations as
 * dtype, and on the CPU: TOTO_STATUS_RESOURCE if an op fails, or if its numbers differ by more than
 * their rounding. Some milliseconds. */
enum toto_status backend_self_test(struct backend *backend, enum dtype dtype,
                                   struct toto_error *err);

#endif
