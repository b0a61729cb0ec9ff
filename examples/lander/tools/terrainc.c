/*
 * The terrain compiler: heights as text in, a checked binary out.
 *
 *   terrainc INPUT OUTPUT
 *
 * INPUT begins with a line `terrain NAME SPACING COUNT` (decimetres), then COUNT heights in
 * decimetres, one a line. OUTPUT is read by src/terrain.c.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COUNT 65536

static uint32_t low = 1, high = 0;

static int put(FILE *out, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        low = (low + bytes[i]) % 65521;
        high = (high + low) % 65521;
    }
    return fwrite(bytes, 1, length, out) == length;
}

static int put_u32(FILE *out, uint32_t value)
{
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    return put(out, bytes, sizeof bytes);
}

static int fail(const char *what, unsigned long line)
{
    fprintf(stderr, "terrainc: line %lu: %s\n", line, what);
    return 1;
}

static int compile(FILE *in, FILE *out)
{
    char name[32] = {0};
    unsigned long spacing, count;
    long heights_low = 0, heights_high = 0, height;
    int ok = 1;

    if (fscanf(in, "terrain %31[a-z0-9-] %lu %lu", name, &spacing, &count) != 3)
        return fail("it does not begin with `terrain NAME SPACING COUNT`", 1);
    if (spacing == 0 || count < 2 || count > MAX_COUNT)
        return fail("a spacing of 0, or not between 2 and 65536 heights", 1);

    ok &= put(out, (const unsigned char *)"LTER", 4);
    ok &= put(out, (const unsigned char *)name, sizeof name);
    ok &= put_u32(out, (uint32_t)spacing);
    ok &= put_u32(out, (uint32_t)count);
    for (unsigned long i = 0; i < count; i++) {
        if (fscanf(in, "%ld", &height) != 1)
            return fail("no height where one is due", i + 2);
        if (height < -100000 || height > 100000)
            return fail("a height beyond 10 km", i + 2);
        if (i == 0 || height < heights_low)
            heights_low = height;
        if (i == 0 || height > heights_high)
            heights_high = height;
        ok &= put_u32(out, (uint32_t)(int32_t)height);
    }
    if (fscanf(in, " %31s", name) == 1)
        return fail("more heights than promised", count + 2);
    ok &= put_u32(out, high << 16 | low);
    if (!ok)
        return fail("the output can't be written", count + 1);
    printf("%lu heights from %.1f to %.1f m\n", count, heights_low / 10.0, heights_high / 10.0);
    return 0;
}

int main(int argc, char **argv)
{
    FILE *in, *out;
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: terrainc INPUT OUTPUT\n");
        return 2;
    }
    in = fopen(argv[1], "r");
    if (!in) {
        fprintf(stderr, "terrainc: can't read %s\n", argv[1]);
        return 2;
    }
    out = fopen(argv[2], "wb");
    if (!out) {
        fprintf(stderr, "terrainc: can't write %s\n", argv[2]);
        fclose(in);
        return 2;
    }
    status = compile(in, out);
    fclose(in);
    if (fclose(out) != 0)
        status = 1;
    if (status != 0)
        remove(argv[2]);
    return status;
}
