/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a corpus through the harness that it is linked with: every file as
 * it is, then mutants of it. The mutants depend on the file's bytes alone, so
 * what failed once fails again: replay_NAME FILE. Exit 1 if nothing in the
 * corpus is accepted: then only the first checks of the parser were reached.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "tests/fuzz/fuzz.h"

#define MUTANTS	  64
#define INPUT_MAX (1 << 20)

static unsigned inputs;

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One to three small wounds: a flipped bit, a byte from elsewhere, a piece cut
 * out, a piece doubled, the end cut off. */
static size_t mutate(const struct bl_buf *in, uint8_t *out, uint64_t *state)
{
	size_t len = in->len, from, to, piece;
	uint64_t wounds = 1 + next(state) % 3;

	memcpy(out, bl_buf_str(in), len);
	while (wounds-- && len) {
		from = next(state) % len;
		to = next(state) % len;
		piece = 1 + next(state) % 16;
		if (piece > len - from)
			piece = len - from;
		switch (next(state) % 8) {
		case 0:
			len = from;
			break;
		case 1:
			memmove(out + from, out + from + piece,
				len - from - piece);
			len -= piece;
			break;
		case 2: /* @out has room for all wounds to do this */
			memmove(out + from + piece, out + from, len - from);
			len += piece;
			break;
		case 3:
			out[from] = out[to];
			break;
		case 4:
			out[from] = (uint8_t)next(state);
			break;
		default:
			out[from] ^= (uint8_t)(1 << to % 8);
		}
	}
	return len;
}

/* The bytes in an allocation of their size, so that a sanitizer sees the
 * first read behind them. */
static void run(const void *data, size_t len)
{
	bl_autofree uint8_t *exact = malloc(len ? len : 1);

	FUZZ_CHECK(exact);
	memcpy(exact, data, len);
	LLVMFuzzerTestOneInput(exact, len);
}

static int replay_file(const char *path)
{
	bl_autobuf struct bl_buf in = { 0 };
	bl_autofree uint8_t *mutant = NULL;
	uint64_t state = 0x9e3779b97f4a7c15;
	struct bl_err err = { 0 };
	unsigned i;
	size_t k;

	if (bl_file_read(path, INPUT_MAX, &in, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("%s\n", path);
	fflush(stdout);
	inputs++;
	run(bl_buf_str(&in), in.len);
	for (k = 0; k < in.len; k++)
		state = (state ^ (uint8_t)in.data[k]) * 0x100000001b3;
	state |= 1;
	mutant = malloc(in.len + 3 * 16);
	FUZZ_CHECK(mutant);
	for (i = 0; i < MUTANTS; i++)
		run(mutant, mutate(&in, mutant, &state));
	return 0;
}

static int replay(const char *path)
{
	bl_autoclosedir DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!dir && errno == ENOTDIR)
		return replay_file(path);
	if (!dir) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	while (!r && (e = readdir(dir))) {
		bl_autofree char *file = bl_path("%s/%s", path, e->d_name);

		if (e->d_name[0] == '.')
			continue;
		FUZZ_CHECK(file);
		r = replay_file(file);
	}
	return r;
}

int main(int argc, char **argv)
{
	int i, r = 0;

	for (i = 1; i < argc && !r; i++)
		r = replay(argv[i]);
	printf("%u inputs, %u mutants, %u of them accepted\n", inputs,
	       inputs * MUTANTS, fuzz_accepted);
	return r || !fuzz_accepted;
}
