#include "flight.h"

#include <math.h>
#include <stdint.h>

#include "gear.h"

#define MAX_TIME 3600.0
#define MAX_DRIFT 1.5
#define MAX_SLOPE 0.25
#define REACH 160.0 /* m: how far from the start a place is looked for */

/* A number from 0 to 1; xorshift, so that every machine draws the same. */
static double draw(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed / 4294967295.0;
}

struct state flight_start(const struct terrain *terrain, unsigned seed)
{
    uint32_t luck = seed * 2654435761u + 1u;
    struct state state = {0};

    for (int i = 0; i < 4; i++)
        (void)draw(&luck);
    state.x = draw(&luck) * terrain->spacing * (double)terrain->count;
    state.y = 420.0 + draw(&luck) * 200.0;
    state.vx = (draw(&luck) - 0.5) * 16.0;
    state.vy = -4.0 - draw(&luck) * 10.0;
    state.fuel = 620.0;
    return state;
}

static struct landing touchdown(const struct terrain *terrain, const struct state *state)
{
    struct landing landing = {0};
    struct gear_result gear;

    landing.time = state->time;
    landing.speed = state->vy < 0.0 ? -state->vy : 0.0;
    landing.drift = fabs(state->vx);
    landing.slope = terrain_slope(terrain, state->x);
    landing.fuel = state->fuel;
    gear = gear_touchdown(landing.speed, state_mass(state));
    landing.load_g = gear.peak_load_g;

    if (!gear_holds(gear))
        landing.verdict = gear.bottomed ? "the gear ran out of travel" : "the load broke the hull";
    else if (landing.drift > MAX_DRIFT)
        landing.verdict = "it tipped over sideways";
    else if (landing.slope > MAX_SLOPE)
        landing.verdict = "it slid down a slope";
    else {
        landing.verdict = "it stands";
        landing.safe = 1;
    }
    return landing;
}

struct landing flight_run(const struct terrain *terrain, const struct pilot *pilot, unsigned seed, FILE *log)
{
    struct state state = flight_start(terrain, seed);
    double place = terrain_flattest(terrain, state.x, REACH);
    struct landing lost = {0};

    if (log)
        fprintf(log, "time,x,y,vx,vy,fuel,height\n");
    while (state.time < MAX_TIME) {
        struct sight sight;
        sight.height = state.y - terrain_height(terrain, state.x);
        sight.offset = place - state.x;
        if (log)
            fprintf(log, "%.2f,%.2f,%.2f,%.3f,%.3f,%.2f,%.2f\n", state.time, state.x, state.y, state.vx, state.vy,
                    state.fuel, sight.height);
        if (sight.height <= 0.0)
            return touchdown(terrain, &state);
        state = physics_step(state, pilot_fly(pilot, &state, sight));
    }
    lost.verdict = "it never came down";
    lost.time = state.time;
    return lost;
}
