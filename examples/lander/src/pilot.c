#include "pilot.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const struct pilot PILOTS[] = {
    {"gentle", 0.8, 0.55}, /* slow all the way down */
    {"brisk", 1.4, 0.35},  /* saves fuel */
    {"late", 1.8, 0.20},   /* brakes at the last moment */
};

static const char *const NAMES[] = {"gentle", "brisk", "late", NULL};

const struct pilot *pilot_named(const char *name)
{
    for (size_t i = 0; i < sizeof PILOTS / sizeof PILOTS[0]; i++)
        if (strcmp(PILOTS[i].name, name) == 0)
            return &PILOTS[i];
    return NULL;
}

const char *const *pilot_names(void)
{
    return NAMES;
}

struct controls pilot_fly(const struct pilot *pilot, const struct state *state, struct sight sight)
{
    double mass = state_mass(state);
    double strongest = MAIN_THRUST / mass * (1.0 - pilot->margin) - MOON_GRAVITY;
    double height = sight.height > 0.0 ? sight.height : 0.0;
    double wanted_vx, sink;
    struct controls controls;

    /* Approach the place, slower the nearer it is. */
    wanted_vx = sight.offset * 0.08;
    if (wanted_vx > 6.0)
        wanted_vx = 6.0;
    if (wanted_vx < -6.0)
        wanted_vx = -6.0;
    controls.side = (wanted_vx - state->vx) * 1.5;

    /* The fastest sinking that the kept-back engine can still brake to the touchdown speed. */
    if (strongest < 0.1)
        strongest = 0.1;
    sink = sqrt(pilot->touchdown * pilot->touchdown + 2.0 * strongest * 0.8 * height);
    /* Stay up while the place is not below. */
    if (fabs(sight.offset) > 4.0 && height < 60.0)
        sink = height < 40.0 ? -1.0 : 0.0;
    controls.throttle = (MOON_GRAVITY + (-sink - state->vy) * 1.2) * mass / MAIN_THRUST;
    return controls;
}
