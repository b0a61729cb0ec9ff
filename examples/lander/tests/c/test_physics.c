#include "physics.h"

#include "check.h"

static const struct controls COAST = {0.0, 0.0};

static struct state resting(double fuel)
{
    struct state state = {0};
    state.y = 100.0;
    state.fuel = fuel;
    return state;
}

static void free_fall_gains_lunar_gravity(void)
{
    struct state state = resting(100.0);
    for (int i = 0; i < 200; i++)
        state = physics_step(state, COAST);
    CHECK_NEAR(state.time, 10.0, 1e-9);
    CHECK_NEAR(state.vy, -16.2, 1e-9);
    CHECK_NEAR(100.0 - state.y, 81.0, 0.5);
}

static void coasting_burns_nothing(void)
{
    struct state state = physics_step(resting(10.0), COAST);
    CHECK(state.fuel == 10.0);
    CHECK(state.vx == 0.0);
}

static void full_throttle_climbs_and_burns(void)
{
    struct controls controls = {1.0, 0.0};
    struct state state = resting(100.0);
    for (int i = 0; i < 20; i++)
        state = physics_step(state, controls);
    CHECK(state.vy > 0.0);
    CHECK_NEAR(state.fuel, 100.0 - MAIN_FLOW, 1e-9);
}

static void controls_out_of_range_are_clamped(void)
{
    struct controls wild = {40.0, -7.0}, full = {1.0, -1.0};
    struct state one = physics_step(resting(50.0), wild);
    struct state other = physics_step(resting(50.0), full);
    CHECK(one.vy == other.vy && one.vx == other.vx && one.fuel == other.fuel);
}

static void negative_throttle_does_not_pull(void)
{
    struct controls controls = {-1.0, 0.0};
    struct state state = physics_step(resting(50.0), controls);
    CHECK_NEAR(state.vy, -MOON_GRAVITY * TIME_STEP, 1e-12);
    CHECK(state.fuel == 50.0);
}

static void an_empty_tank_gives_no_thrust(void)
{
    struct controls controls = {1.0, 1.0};
    struct state state = physics_step(resting(0.0), controls);
    CHECK(state.fuel == 0.0);
    CHECK(state.vx == 0.0);
    CHECK(state.vy < 0.0);
}

static void fuel_makes_it_sluggish(void)
{
    struct controls controls = {1.0, 0.0};
    CHECK(physics_step(resting(600.0), controls).vy < physics_step(resting(50.0), controls).vy);
}

const struct test physics_tests[] = {
    {"free fall gains lunar gravity", free_fall_gains_lunar_gravity},
    {"coasting burns nothing", coasting_burns_nothing},
    {"full throttle climbs and burns", full_throttle_climbs_and_burns},
    {"controls out of range are clamped", controls_out_of_range_are_clamped},
    {"negative throttle does not pull", negative_throttle_does_not_pull},
    {"an empty tank gives no thrust", an_empty_tank_gives_no_thrust},
    {"fuel makes it sluggish", fuel_makes_it_sluggish},
    {0, 0},
};
