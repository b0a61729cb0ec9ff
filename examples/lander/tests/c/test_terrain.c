#include "terrain.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static const double HILL[] = {0.0, 10.0, 30.0, 10.0, 0.0, -5.0, -5.0, 0.0};
#define COUNT 8

static struct terrain hill(void)
{
    struct terrain terrain;
    CHECK(terrain_load(make_terrain(HILL, COUNT), &terrain) == TERRAIN_OK);
    return terrain;
}

/* The hill's file with one byte changed, or cut to `length` where that is positive. */
static enum terrain_error load_spoilt(long at, int value, long length)
{
    unsigned char bytes[256];
    const char *path = make_terrain(HILL, COUNT);
    struct terrain terrain;
    size_t size;
    FILE *file = fopen(path, "rb");

    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (at >= 0)
        bytes[at] = (unsigned char)value;
    file = fopen(path, "wb");
    fwrite(bytes, 1, length > 0 ? (size_t)length : size, file);
    fclose(file);
    return terrain_load(path, &terrain);
}

static void samples_are_met_exactly(void)
{
    struct terrain terrain = hill();
    for (int i = 0; i < COUNT; i++)
        CHECK_NEAR(terrain_height(&terrain, i * 10.0), HILL[i], 1e-9);
    CHECK(strcmp(terrain.name, "made-up") == 0);
    terrain_free(&terrain);
}

static void between_samples_is_a_line(void)
{
    struct terrain terrain = hill();
    CHECK_NEAR(terrain_height(&terrain, 15.0), 20.0, 1e-9);
    CHECK_NEAR(terrain_slope(&terrain, 15.0), 2.0, 1e-9);
    CHECK_NEAR(terrain_slope(&terrain, 25.0), 2.0, 1e-9);
    terrain_free(&terrain);
}

static void it_wraps_around_both_ways(void)
{
    struct terrain terrain = hill();
    CHECK_NEAR(terrain_height(&terrain, 80.0 + 15.0), 20.0, 1e-9);
    CHECK_NEAR(terrain_height(&terrain, -65.0), 20.0, 1e-9);
    CHECK_NEAR(terrain_height(&terrain, 800000.0), 0.0, 1e-6);
    terrain_free(&terrain);
}

static void the_flattest_place_is_found(void)
{
    struct terrain terrain = hill();
    CHECK_NEAR(terrain_flattest(&terrain, 40.0, 40.0), 55.0, 1e-9);
    terrain_free(&terrain);
}

static void a_missing_file_is_an_error(void)
{
    struct terrain terrain;
    CHECK(terrain_load("no-such-file.ter", &terrain) == TERRAIN_UNREADABLE);
    CHECK(terrain.heights == NULL);
}

static void damage_is_noticed(void)
{
    CHECK(load_spoilt(50, 0x55, 0) == TERRAIN_DAMAGED);
    CHECK(load_spoilt(0, 'X', 0) == TERRAIN_FOREIGN);
    CHECK(load_spoilt(-1, 0, 60) == TERRAIN_UNREADABLE);
    CHECK(load_spoilt(42, 0xff, 0) == TERRAIN_TOO_LARGE);
}

static void every_error_has_words(void)
{
    for (int error = TERRAIN_OK; error <= TERRAIN_TOO_LARGE; error++)
        CHECK(strcmp(terrain_error_text((enum terrain_error)error), "unknown error") != 0);
}

const struct test terrain_tests[] = {
    {"samples are met exactly", samples_are_met_exactly},
    {"between samples is a line", between_samples_is_a_line},
    {"it wraps around both ways", it_wraps_around_both_ways},
    {"the flattest place is found", the_flattest_place_is_found},
    {"a missing file is an error", a_missing_file_is_an_error},
    {"damage is noticed", damage_is_noticed},
    {"every error has words", every_error_has_words},
    {0, 0},
};
