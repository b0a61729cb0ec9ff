#ifndef LANDER_GEAR_H
#define LANDER_GEAR_H

/* The landing gear: four legs as one spring and damper under the hull. */

/* Spring rate of all legs together, N/m. Softer legs spread the blow over more travel. */
#define GEAR_STIFFNESS 26000.0
/* Damping of all legs together, N s/m. */
#define GEAR_DAMPING 9000.0
/* How far the legs can give way, m, before the hull meets the ground. */
#define GEAR_TRAVEL 1.1
/* The hull's limit, in multiples of the Earth's gravity. */
#define GEAR_LIMIT_G 3.0

struct gear_result {
    double peak_load_g; /* largest acceleration of the hull */
    double compression; /* largest compression of the legs, m */
    int bottomed;       /* the hull met the ground */
};

/* What the gear does with a touchdown at `speed` m/s (downwards, >= 0) of `mass` kg. */
struct gear_result gear_touchdown(double speed, double mass);

/* Whether the lander survives it. */
int gear_holds(struct gear_result result);

#endif
