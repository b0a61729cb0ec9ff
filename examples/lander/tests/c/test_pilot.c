#include "pilot.h"

#include <string.h>

#include "check.h"

static struct state falling(double vy)
{
    struct state state = {0};
    state.y = 100.0;
    state.vy = vy;
    state.fuel = 300.0;
    return state;
}

static void every_pilot_has_its_name(void)
{
    int count = 0;
    for (const char *const *name = pilot_names(); *name; name++, count++)
        CHECK(strcmp(pilot_named(*name)->name, *name) == 0);
    CHECK(count == 3);
    CHECK(pilot_named("nobody") == NULL);
}

static void a_fast_fall_is_braked(void)
{
    struct sight sight = {20.0, 0.0};
    for (const char *const *name = pilot_names(); *name; name++) {
        struct state state = falling(-40.0);
        CHECK(pilot_fly(pilot_named(*name), &state, sight).throttle > 0.9);
    }
}

static void high_up_it_lets_fall(void)
{
    struct sight sight = {500.0, 0.0};
    struct state state = falling(-2.0);
    CHECK(pilot_fly(pilot_named("late"), &state, sight).throttle <= 0.0);
}

static void it_steers_towards_the_place(void)
{
    struct state state = falling(-5.0);
    struct sight right = {200.0, 50.0}, left = {200.0, -50.0};
    CHECK(pilot_fly(pilot_named("brisk"), &state, right).side > 0.0);
    CHECK(pilot_fly(pilot_named("brisk"), &state, left).side < 0.0);
}

static void it_waits_above_a_wrong_place(void)
{
    struct state state = falling(-1.0);
    struct sight beside = {15.0, 30.0};
    struct state next = physics_step(state, pilot_fly(pilot_named("gentle"), &state, beside));
    CHECK(next.vy > state.vy);
}

static void the_late_one_falls_faster(void)
{
    struct sight sight = {60.0, 0.0};
    struct state state = falling(-10.0);
    CHECK(pilot_fly(pilot_named("late"), &state, sight).throttle <
          pilot_fly(pilot_named("gentle"), &state, sight).throttle);
}

const struct test pilot_tests[] = {
    {"every pilot has its name", every_pilot_has_its_name},
    {"a fast fall is braked", a_fast_fall_is_braked},
    {"high up it lets fall", high_up_it_lets_fall},
    {"it steers towards the place", it_steers_towards_the_place},
    {"it waits above a wrong place", it_waits_above_a_wrong_place},
    {"the late one falls faster", the_late_one_falls_faster},
    {0, 0},
};
