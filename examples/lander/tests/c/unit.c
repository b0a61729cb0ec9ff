/*
 * Runs the unit tests, all or one chunk of them:
 *
 *   unit [--chunk THIS/TOTAL] [--list]
 *
 * Tests are dealt out in turn, so that chunks are even whatever a file holds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

int check_failures;

static const struct test *const TABLES[] = {physics_tests, gear_tests, terrain_tests, pilot_tests, flight_tests};

static uint32_t low, high;

static void put(FILE *out, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        low = (low + bytes[i]) % 65521;
        high = (high + low) % 65521;
    }
    fwrite(bytes, 1, length, out);
}

static void put_u32(FILE *out, uint32_t value)
{
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    put(out, bytes, sizeof bytes);
}

const char *make_terrain(const double *heights, int count)
{
    static const char path[] = "unit-terrain.ter";
    char name[32] = "made-up";
    FILE *out = fopen(path, "wb");

    if (!out) {
        perror(path);
        exit(3);
    }
    low = 1;
    high = 0;
    put(out, (const unsigned char *)"LTER", 4);
    put(out, (const unsigned char *)name, sizeof name);
    put_u32(out, 100);
    put_u32(out, (uint32_t)count);
    for (int i = 0; i < count; i++)
        put_u32(out, (uint32_t)(int32_t)lround(heights[i] * 10.0));
    put_u32(out, high << 16 | low);
    fclose(out);
    return path;
}

int main(int argc, char **argv)
{
    int this_chunk = 1, total_chunks = 1, list = 0, number = 0, ran = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            list = 1;
        else if (strcmp(argv[i], "--chunk") != 0 || i + 1 == argc ||
                 sscanf(argv[++i], "%d/%d", &this_chunk, &total_chunks) != 2 || this_chunk < 1 ||
                 this_chunk > total_chunks) {
            fprintf(stderr, "usage: unit [--chunk THIS/TOTAL] [--list]\n");
            return 2;
        }
    }
    for (size_t t = 0; t < sizeof TABLES / sizeof TABLES[0]; t++) {
        for (const struct test *test = TABLES[t]; test->name; test++) {
            int before = check_failures;
            if (number++ % total_chunks != this_chunk - 1)
                continue;
            ran++;
            if (list) {
                puts(test->name);
                continue;
            }
            test->run();
            printf("%s %s\n", check_failures == before ? "ok    " : "FAILED", test->name);
            failed += check_failures != before;
        }
    }
    if (!list)
        printf("chunk %d of %d: %d passed, %d failed\n", this_chunk, total_chunks, ran - failed, failed);
    return failed || !ran;
}
