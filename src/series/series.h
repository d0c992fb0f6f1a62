/* Series: regular variates with masks, in the groups that are forecast together. */
#ifndef TOTO_SERIES_SERIES_H
#define TOTO_SERIES_SERIES_H

#include "../base/arena.h"
#include "../table/timestamp.h"

enum { DEFAULT_CONTEXT = 4096 }; /* points that are kept where options name no number */

/* A variate that will be written. */
struct variate {
    const char *id; /* as the output writes it */
    size_t group;   /* index into groups; SIZE_MAX for a bad variate (its rows are null) */
    size_t row;     /* its row in the group's values */
    struct time_axis axis; /* of the variate's group; of its own rows when it is bad */
};

/* Variates that see each other, on one regular time grid. Nothing here is padded to patches. Targets
 * come first, then covariates of the past: each series' own, in the order of series, a series' in the
 * order of the input's columns. Known covariates stand aside, in the same order. */
struct group {
    size_t n_variates;       /* targets (at least 1) and covariates of the past */
    size_t n_past;           /* the last so many are covariates of the past: not written */
    size_t n_steps;          /* points of context, the same for all variates, at least 1 */
    float *values;           /* [n_variates][n_steps], finite; the fill value where missing */
    uint8_t *observed;       /* [n_variates][n_steps], 1 where a value was read */
    const size_t *variates;  /* [n_variates]: each row's index into series->variates, ascending;
                              * SIZE_MAX for a covariate */
    size_t n_known;          /* covariates known ahead */
    size_t n_known_steps;    /* n_steps, and the steps that are known beyond it */
    float *known;            /* [n_known][n_known_steps] from the start of the context on, finite; 0
                              * where missing, whatever the fill is. NULL without any */
    uint8_t *known_observed; /* [n_known][n_known_steps], 1 where a value was read */
};

struct toto_series {
    struct variate *variates; /* in order of first appearance in the input */
    size_t n_variates;
    struct group *groups;     /* in order of their first variate */
    size_t n_groups;
    size_t n_bad;             /* variates skipped or null */
    const char *id_name;      /* columns of the output, as the input called them */
    const char *time_name;    /* (else unique_id, ds) */
    char delimiter;
    struct arena arena;       /* owns all of the above */
};

#endif
