#ifndef LANDER_PILOT_H
#define LANDER_PILOT_H

#include "physics.h"

/* Pilots: laws that turn what they see into controls. */

struct sight {
    double height; /* m above the ground right below */
    double offset; /* m from the landing place; positive: the place is to the right */
};

struct pilot {
    const char *name;
    double touchdown; /* m/s, the sinking speed aimed at on the ground */
    double margin;    /* part of the engine kept in reserve, 0 to 1 */
};

/* The pilot of that name, or NULL. */
const struct pilot *pilot_named(const char *name);

/* The names of all pilots, ended by NULL. */
const char *const *pilot_names(void);

struct controls pilot_fly(const struct pilot *pilot, const struct state *state, struct sight sight);

#endif
