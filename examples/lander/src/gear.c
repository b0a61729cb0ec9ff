#include "gear.h"

#include "physics.h"

#define EARTH_GRAVITY 9.81
#define STEP 0.0005

struct gear_result gear_touchdown(double speed, double mass)
{
    struct gear_result result = {0.0, 0.0, 0};
    double compression = 0.0;
    double velocity = speed;

    /* Follow the first compression only: the rebound is always weaker. */
    while (velocity > 0.0 && !result.bottomed) {
        double force = GEAR_STIFFNESS * compression + GEAR_DAMPING * velocity;
        double load = force / mass / EARTH_GRAVITY;
        if (load > result.peak_load_g)
            result.peak_load_g = load;
        velocity += (MOON_GRAVITY - force / mass) * STEP;
        compression += velocity * STEP;
        if (compression > result.compression)
            result.compression = compression;
        if (compression >= GEAR_TRAVEL)
            result.bottomed = 1;
    }
    return result;
}

int gear_holds(struct gear_result result)
{
    return !result.bottomed && result.peak_load_g <= GEAR_LIMIT_G;
}
