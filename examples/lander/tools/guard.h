#ifndef LANDER_GUARD_H
#define LANDER_GUARD_H

/*
 * Heap checks that every compiler can build: put into each file of the asan variant with -include.
 * A block written past its end, freed twice or never freed ends the program with status 99.
 */
#include <stdlib.h>

void *guard_malloc(size_t size);
void guard_free(void *block);

#define malloc(size) guard_malloc(size)
#define free(block) guard_free(block)

#endif
