#include "gear.h"

#include "check.h"

#define MASS 2300.0

static void standing_still_loads_nothing(void)
{
    struct gear_result result = gear_touchdown(0.0, MASS);
    CHECK(result.peak_load_g == 0.0);
    CHECK(gear_holds(result));
}

static void a_usual_touchdown_is_soft(void)
{
    struct gear_result result = gear_touchdown(1.0, MASS);
    CHECK(result.peak_load_g > 0.1);
    CHECK(result.peak_load_g < 1.0);
    CHECK(gear_holds(result));
}

static void faster_is_harder(void)
{
    double last = -1.0;
    for (double speed = 0.5; speed < 3.0; speed += 0.25) {
        struct gear_result result = gear_touchdown(speed, MASS);
        CHECK(result.peak_load_g > last);
        last = result.peak_load_g;
    }
}

static void a_fall_runs_out_of_travel(void)
{
    struct gear_result result = gear_touchdown(12.0, MASS);
    CHECK(!gear_holds(result));
}

static void legs_stay_within_their_travel(void)
{
    for (double speed = 0.0; speed <= 2.5; speed += 0.1) {
        struct gear_result result = gear_touchdown(speed, MASS);
        CHECK(result.compression < GEAR_TRAVEL);
        CHECK(!result.bottomed);
    }
}

static void the_limit_is_inclusive(void)
{
    struct gear_result result = {GEAR_LIMIT_G, 0.5, 0};
    CHECK(gear_holds(result));
    result.peak_load_g = GEAR_LIMIT_G * 1.001;
    CHECK(!gear_holds(result));
}

const struct test gear_tests[] = {
    {"standing still loads nothing", standing_still_loads_nothing},
    {"a usual touchdown is soft", a_usual_touchdown_is_soft},
    {"faster is harder", faster_is_harder},
    {"a fall runs out of travel", a_fall_runs_out_of_travel},
    {"legs stay within their travel", legs_stay_within_their_travel},
    {"the limit is inclusive", the_limit_is_inclusive},
    {0, 0},
};
