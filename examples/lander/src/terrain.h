#ifndef LANDER_TERRAIN_H
#define LANDER_TERRAIN_H

#include <stddef.h>

/* Ground heights at equal distances, compiled by tools/terrainc.c; it wraps around. */

struct terrain {
    char name[32];
    double spacing;  /* m between two heights */
    size_t count;    /* of heights, >= 2 */
    double *heights; /* m above the datum; owned */
};

enum terrain_error {
    TERRAIN_OK = 0,
    TERRAIN_UNREADABLE, /* no such file, or it ends too early */
    TERRAIN_FOREIGN,    /* not a compiled terrain */
    TERRAIN_DAMAGED,    /* the checksum differs */
    TERRAIN_TOO_LARGE   /* more than TERRAIN_MAX heights, or no memory */
};

#define TERRAIN_MAX 65536

enum terrain_error terrain_load(const char *path, struct terrain *terrain);
void terrain_free(struct terrain *terrain);
const char *terrain_error_text(enum terrain_error error);

/* Height of the ground at x, m; any x, since the terrain wraps around. */
double terrain_height(const struct terrain *terrain, double x);

/* Slope of the ground at x, m per m, never negative. */
double terrain_slope(const struct terrain *terrain, double x);

/* The x, within `reach` m of `x`, of the flattest ground. */
double terrain_flattest(const struct terrain *terrain, double x, double reach);

#endif
