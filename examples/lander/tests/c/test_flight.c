#include "flight.h"

#include "check.h"

static struct terrain plain(void)
{
    static const double heights[] = {3.0, 3.0, 3.0, 3.0};
    struct terrain terrain;
    CHECK(terrain_load(make_terrain(heights, 4), &terrain) == TERRAIN_OK);
    return terrain;
}

static void the_same_seed_flies_the_same(void)
{
    struct terrain terrain = plain();
    struct landing one = flight_run(&terrain, pilot_named("brisk"), 7, NULL);
    struct landing other = flight_run(&terrain, pilot_named("brisk"), 7, NULL);
    CHECK(one.time == other.time && one.speed == other.speed && one.fuel == other.fuel);
    terrain_free(&terrain);
}

static void seeds_differ(void)
{
    struct terrain terrain = plain();
    CHECK(flight_start(&terrain, 1).x != flight_start(&terrain, 2).x);
    CHECK(flight_start(&terrain, 1).vx != flight_start(&terrain, 2).vx);
    terrain_free(&terrain);
}

static void every_pilot_lands_on_a_plain(void)
{
    struct terrain terrain = plain();
    for (const char *const *name = pilot_names(); *name; name++) {
        for (unsigned seed = 1; seed <= 50; seed++) {
            struct landing landing = flight_run(&terrain, pilot_named(*name), seed, NULL);
            CHECK(landing.safe);
            CHECK(landing.fuel > 0.0);
            CHECK(landing.load_g < 3.0);
        }
    }
    terrain_free(&terrain);
}

static void gentle_is_softer_and_thirstier(void)
{
    struct terrain terrain = plain();
    struct landing gentle = flight_run(&terrain, pilot_named("gentle"), 3, NULL);
    struct landing late = flight_run(&terrain, pilot_named("late"), 3, NULL);
    CHECK(gentle.load_g < late.load_g);
    CHECK(gentle.fuel < late.fuel);
    terrain_free(&terrain);
}

static void telemetry_has_a_line_a_step(void)
{
    struct terrain terrain = plain();
    FILE *log = tmpfile();
    struct landing landing;
    long lines = 0;
    int c;

    CHECK(log != NULL);
    landing = flight_run(&terrain, pilot_named("late"), 5, log);
    rewind(log);
    while ((c = getc(log)) != EOF)
        lines += c == '\n';
    fclose(log);
    CHECK(lines == (long)(landing.time / TIME_STEP + 0.5) + 2);
    terrain_free(&terrain);
}

static void a_cliff_is_no_landing_place(void)
{
    static const double heights[] = {0.0, 60.0};
    struct terrain terrain;
    struct landing landing;

    CHECK(terrain_load(make_terrain(heights, 2), &terrain) == TERRAIN_OK);
    landing = flight_run(&terrain, pilot_named("gentle"), 1, NULL);
    CHECK(!landing.safe);
    CHECK(landing.slope > 1.0);
    terrain_free(&terrain);
}

const struct test flight_tests[] = {
    {"the same seed flies the same", the_same_seed_flies_the_same},
    {"seeds differ", seeds_differ},
    {"every pilot lands on a plain", every_pilot_lands_on_a_plain},
    {"gentle is softer and thirstier", gentle_is_softer_and_thirstier},
    {"telemetry has a line a step", telemetry_has_a_line_a_step},
    {"a cliff is no landing place", a_cliff_is_no_landing_place},
    {0, 0},
};
