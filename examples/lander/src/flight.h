#ifndef LANDER_FLIGHT_H
#define LANDER_FLIGHT_H

#include <stdio.h>

#include "pilot.h"
#include "terrain.h"

/* One flight from the end of the descent orbit to the ground. */

struct landing {
    int safe;            /* the lander stands and the hull is whole */
    const char *verdict; /* why, in words */
    double time;         /* s */
    double speed;        /* m/s downwards at touchdown */
    double drift;        /* m/s sideways at touchdown, never negative */
    double slope;        /* m per m */
    double load_g;
    double fuel; /* kg left */
};

/* Where flight number `seed` begins: the same for the same number everywhere. */
struct state flight_start(const struct terrain *terrain, unsigned seed);

/* Flies until the ground or an hour; writes telemetry as CSV to `log` unless it is NULL. */
struct landing flight_run(const struct terrain *terrain, const struct pilot *pilot, unsigned seed, FILE *log);

#endif
