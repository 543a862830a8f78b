/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of a pinned map, for the shell of a guest.
 *
 * usage: map put PIN KEY N	every 32-bit word of the value becomes N; of a
 *				per-CPU map, N + the number of the CPU. A KEY
 *				of more than one word has commas between
 *        map get PIN KEY	prints those words; a line for each CPU
 *        map id PIN		the kernel's number of the map
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4096

static __u32 words[WORDS_MAX];

static int usage(void)
{
	fprintf(stderr, "usage: map put|get|id PIN [KEY [N]]\n");
	return 64;
}

int main(int argc, char **argv)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info), key[4], each, cpus = 1, i, k;
	char *at;
	int fd = argc > 2 ? bpf_obj_get(argv[2]) : -1;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len)) {
		perror(argc > 2 ? argv[2] : "map");
		return 1;
	}
	if (!strcmp(argv[1], "id"))
		return printf("%u\n", info.id) < 0;
	if (argc < 4 || info.key_size > sizeof(key))
		return usage();
	for (i = 0, at = argv[3]; i < info.key_size / 4; i++) {
		key[i] = (__u32)strtoul(at, &at, 0);
		at += *at == ',';
	}
	each = info.value_size / 4;
	if (info.type == BPF_MAP_TYPE_PERCPU_HASH ||
	    info.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
		cpus = (__u32)libbpf_num_possible_cpus();
		each = (each + 1) & ~1u;
	}
	if (cpus > WORDS_MAX / (each ? each : 1))
		return usage();
	if (!strcmp(argv[1], "put") && argc == 5) {
		for (i = 0; i < cpus * each; i++)
			words[i] = (__u32)strtoul(argv[4], NULL, 0) + i / each;
		if (!bpf_map_update_elem(fd, key, words, BPF_ANY))
			return 0;
	} else if (!strcmp(argv[1], "get")) {
		if (!bpf_map_lookup_elem(fd, key, words)) {
			for (i = 0; i < cpus; i++)
				for (k = 0; k < info.value_size / 4; k++)
					printf("%u%c", words[i * each + k],
					       k + 1 < info.value_size / 4
						       ? ' '
						       : '\n');
			return 0;
		}
	} else {
		return usage();
	}
	perror(argv[2]);
	return 1;
}
