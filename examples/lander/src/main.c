#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flight.h"

#ifndef LANDER_VERSION
#define LANDER_VERSION "unversioned"
#endif
#ifndef LANDER_REVISION
#define LANDER_REVISION "unknown"
#endif
#ifndef LANDER_VARIANT
#define LANDER_VARIANT "plain"
#endif

static int usage(FILE *out)
{
    fprintf(out, "usage: lander --terrain FILE --pilot NAME [--seed N] [--csv FILE]\n"
                 "       lander --version | --pilots | --help\n"
                 "Lands once, prints the landing as one line of JSON.\n"
                 "exit status: 0 safe, 1 not safe, 2 usage, 3 a file that can't be used\n");
    return out == stdout ? 0 : 2;
}

static int fly(const char *path, const char *name, unsigned seed, const char *csv)
{
    const struct pilot *pilot = pilot_named(name);
    enum terrain_error error;
    struct terrain terrain;
    struct landing landing;
    FILE *log = NULL;

    if (!pilot) {
        fprintf(stderr, "lander: no pilot is called %s\n", name);
        return 2;
    }
    error = terrain_load(path, &terrain);
    if (error != TERRAIN_OK) {
        fprintf(stderr, "lander: %s: %s\n", path, terrain_error_text(error));
        return 3;
    }
    if (csv && !(log = fopen(csv, "w"))) {
        fprintf(stderr, "lander: can't write %s\n", csv);
        terrain_free(&terrain);
        return 3;
    }
    landing = flight_run(&terrain, pilot, seed, log);
    if (log)
        fclose(log);
    printf("{\"terrain\": \"%s\", \"pilot\": \"%s\", \"seed\": %u, \"safe\": %s, \"verdict\": \"%s\", \"time\": %.2f, "
           "\"speed\": %.3f, \"drift\": %.3f, \"slope\": %.3f, \"load_g\": %.3f, \"fuel\": %.1f}\n",
           terrain.name, pilot->name, seed, landing.safe ? "true" : "false", landing.verdict, landing.time,
           landing.speed, landing.drift, landing.slope, landing.load_g, landing.fuel);
    terrain_free(&terrain);
    return landing.safe ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *terrain = NULL, *pilot = NULL, *csv = NULL;
    unsigned seed = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout);
        if (strcmp(argv[i], "--version") == 0) {
            printf("lander %s (%s, revision %s)\n", LANDER_VERSION, LANDER_VARIANT, LANDER_REVISION);
            return 0;
        }
        if (strcmp(argv[i], "--pilots") == 0) {
            for (const char *const *name = pilot_names(); *name; name++)
                puts(*name);
            return 0;
        }
        if (i + 1 == argc)
            return usage(stderr);
        if (strcmp(argv[i], "--terrain") == 0)
            terrain = argv[++i];
        else if (strcmp(argv[i], "--pilot") == 0)
            pilot = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0)
            seed = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--csv") == 0)
            csv = argv[++i];
        else
            return usage(stderr);
    }
    if (!terrain || !pilot)
        return usage(stderr);
    return fly(terrain, pilot, seed, csv);
}
