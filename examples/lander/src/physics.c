#include "physics.h"

static double clamp(double value, double low, double high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

double state_mass(const struct state *state)
{
    return DRY_MASS + state->fuel;
}

struct state physics_step(struct state state, struct controls controls)
{
    double throttle = clamp(controls.throttle, 0.0, 1.0);
    double side = clamp(controls.side, -1.0, 1.0);
    double flow = throttle * MAIN_FLOW + (side < 0 ? -side : side) * SIDE_FLOW;
    double mass = state_mass(&state);

    if (state.fuel < flow * TIME_STEP) {
        throttle = 0.0;
        side = 0.0;
        flow = 0.0;
    }
    state.fuel -= flow * TIME_STEP;
    /* Velocity first, then place: the energy of a free fall stays bounded this way. */
    state.vx += side * SIDE_THRUST / mass * TIME_STEP;
    state.vy += (throttle * MAIN_THRUST / mass - MOON_GRAVITY) * TIME_STEP;
    state.x += state.vx * TIME_STEP;
    state.y += state.vy * TIME_STEP;
    state.time += TIME_STEP;
    return state;
}
