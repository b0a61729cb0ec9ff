#ifndef LANDER_PHYSICS_H
#define LANDER_PHYSICS_H

/* The lander as a point of mass above the Moon, in two dimensions. */

#define MOON_GRAVITY 1.62
#define DRY_MASS 2100.0     /* kg */
#define MAIN_THRUST 13500.0 /* N, at full throttle */
#define SIDE_THRUST 1800.0  /* N, to either side */
#define MAIN_FLOW 4.4       /* kg/s of fuel at full throttle */
#define SIDE_FLOW 0.6       /* kg/s */
#define TIME_STEP 0.05      /* s */

struct state {
    double time;   /* s */
    double x, y;   /* m; y is the height above the datum, not above ground */
    double vx, vy; /* m/s; vy is positive upwards */
    double fuel;   /* kg */
};

struct controls {
    double throttle; /* main engine, 0 to 1 */
    double side;     /* -1 pushes left, 1 pushes right */
};

double state_mass(const struct state *state);

/* The state one TIME_STEP later. Controls out of range are clamped; without fuel they do nothing. */
struct state physics_step(struct state state, struct controls controls);

#endif
