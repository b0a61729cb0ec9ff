#include "terrain.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "LTER"
#define HEADER 44 /* magic, name[32], spacing in dm, count */

static uint32_t read_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Adler-32, as the compiler writes it at the end. */
static uint32_t checksum(const unsigned char *bytes, size_t length)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < length; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static enum terrain_error decode(const unsigned char *bytes, size_t length, struct terrain *terrain)
{
    size_t count;

    if (length < HEADER + 4)
        return TERRAIN_UNREADABLE;
    if (memcmp(bytes, MAGIC, 4) != 0)
        return TERRAIN_FOREIGN;
    count = read_u32(bytes + 40);
    if (count < 2 || count > TERRAIN_MAX)
        return TERRAIN_TOO_LARGE;
    if (length != HEADER + 4 * count + 4)
        return TERRAIN_UNREADABLE;
    if (checksum(bytes, length - 4) != read_u32(bytes + length - 4))
        return TERRAIN_DAMAGED;

    memcpy(terrain->name, bytes + 4, sizeof terrain->name);
    terrain->name[sizeof terrain->name - 1] = '\0';
    terrain->spacing = read_u32(bytes + 36) / 10.0;
    terrain->count = count;
    terrain->heights = malloc(count * sizeof *terrain->heights);
    if (!terrain->heights || terrain->spacing <= 0.0)
        return TERRAIN_TOO_LARGE;
    for (size_t i = 0; i < count; i++)
        terrain->heights[i] = (int32_t)read_u32(bytes + HEADER + 4 * i) / 10.0;
    return TERRAIN_OK;
}

enum terrain_error terrain_load(const char *path, struct terrain *terrain)
{
    const size_t limit = HEADER + 4 * (size_t)TERRAIN_MAX + 4;
    enum terrain_error error = TERRAIN_UNREADABLE;
    unsigned char *bytes;
    FILE *file;

    memset(terrain, 0, sizeof *terrain);
    file = fopen(path, "rb");
    if (!file)
        return TERRAIN_UNREADABLE;
    bytes = malloc(limit);
    if (bytes)
        error = decode(bytes, fread(bytes, 1, limit, file), terrain);
    free(bytes);
    fclose(file);
    if (error != TERRAIN_OK)
        terrain_free(terrain);
    return error;
}

void terrain_free(struct terrain *terrain)
{
    free(terrain->heights);
    memset(terrain, 0, sizeof *terrain);
}

const char *terrain_error_text(enum terrain_error error)
{
    switch (error) {
    case TERRAIN_OK:
        return "no error";
    case TERRAIN_UNREADABLE:
        return "unreadable, or it ends too early";
    case TERRAIN_FOREIGN:
        return "not a compiled terrain";
    case TERRAIN_DAMAGED:
        return "damaged: its checksum differs";
    case TERRAIN_TOO_LARGE:
        return "too large";
    }
    return "unknown error";
}

/* Index of the sample at or left of x, and how far x lies towards the next one, 0 to 1. */
static size_t locate(const struct terrain *terrain, double x, double *part)
{
    double length = terrain->spacing * (double)terrain->count;
    double place = fmod(x, length);
    size_t index;

    if (place < 0.0)
        place += length;
    index = (size_t)(place / terrain->spacing);
    *part = place / terrain->spacing - (double)index;
    return index % terrain->count;
}

double terrain_height(const struct terrain *terrain, double x)
{
    double part;
    size_t index = locate(terrain, x, &part);
    double left = terrain->heights[index];
    double right = terrain->heights[(index + 1) % terrain->count];

    return left + (right - left) * part;
}

double terrain_slope(const struct terrain *terrain, double x)
{
    double part;
    size_t index = locate(terrain, x, &part);
    double left = terrain->heights[index];
    double right = terrain->heights[(index + 1) % terrain->count];

    return fabs(right - left) / terrain->spacing;
}

double terrain_flattest(const struct terrain *terrain, double x, double reach)
{
    double best = x;
    double best_slope = terrain_slope(terrain, x);

    for (double at = x - reach; at <= x + reach; at += terrain->spacing) {
        double middle = (floor(at / terrain->spacing) + 0.5) * terrain->spacing;
        double slope = terrain_slope(terrain, middle);
        if (slope < best_slope || (slope == best_slope && fabs(middle - x) < fabs(best - x))) {
            best = middle;
            best_slope = slope;
        }
    }
    return best;
}
