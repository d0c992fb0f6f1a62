/* Quantiles between and beyond the nine of Toto 2.0. */
#include <math.h>

#include "toto2_decode.h"

float toto2_quantile(const float *nine, size_t stride, double level)
{
    double place = level * 10.0 - 1.0, nearest = round(place);
    if (nearest >= 0.0 && nearest <= 8.0 && fabs(place - nearest) < 1e-9)
        return nine[(size_t)nearest * stride];
    if (level > 0.1 && level < 0.9) {
        size_t below = (size_t)floor(place);
        double low = (double)nine[below * stride], high = (double)nine[(below + 1) * stride];
        return (float)(low + (place - (double)below) * (high - low));
    }
    const double tiny = 1e-8; /* keeps the logarithm finite at 0 and 1, where GluonTS has it */
    if (level < 0.1) {
        double y1 = (double)nine[0], y2 = (double)nine[stride];
        double beta = (y2 - y1) / log((0.2 + tiny) / (0.1 + tiny) + tiny);
        return (float)(y2 + beta * log((level + tiny) / (0.2 + tiny) + tiny));
    }
    double y8 = (double)nine[7 * stride], y9 = (double)nine[8 * stride];
    double beta = (y9 - y8) / log((1.0 - 0.8 + tiny) / (1.0 - 0.9 + tiny) + tiny);
    return (float)(y8 + beta * log((1.0 - 0.8 + tiny) / (1.0 - level + tiny) + tiny));
}
