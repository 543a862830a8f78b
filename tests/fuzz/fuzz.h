/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A harness is one file fuzz_NAME.c with LLVMFuzzerTestOneInput: it gives the
 * bytes to one parser and checks what must hold whatever they are. It runs two
 * ways: replayed over corpus/NAME in the unit lane (replay.c), and under
 * libFuzzer with -DBELAY_FUZZ=ON. It keeps nothing between calls.
 */
#ifndef BL_TESTS_FUZZ_H
#define BL_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Inputs that the parser took. Each harness defines it and counts, so that the
 * replay can tell a corpus that went stale: one where nothing is taken. */
extern unsigned fuzz_accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(what)                                              \
	do {                                                          \
		if (!(what)) {                                        \
			fprintf(stderr, "%s:%d: does not hold: %s\n", \
				__FILE__, __LINE__, #what);           \
			abort();                                      \
		}                                                     \
	} while (0)

/* The contract of errors: a code below 0 and a text, or 0 and none. */
#define FUZZ_CHECK_ERR(r, err) \
	FUZZ_CHECK((r) <= 0 && ((r) < 0) == ((err)->text[0] != '\0'))

#endif
