/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a pinned map, for the shell of a guest.
 *
 * usage: map put PIN KEY N	every 32-bit word of the value becomes N; of a
 *				per-CPU map, N + the number of the CPU. A KEY
 *				of more than one word has commas between
 *        map get PIN KEY	prints those words; a line for each CPU
 *        map fill PIN N	puts the keys 1 to N, each with itself as value
 *        map grown PIN N	whether they are there: the first word of each
 *				is its key (plus the CPU), the others are 0
 *        map id PIN		the kernel's number of the map
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4096
#define KEY_MAX	  4

static struct {
	int fd;
	struct bpf_map_info info;
	__u32 cpus, each, stride; /* words of a value; from CPU to CPU */
} map;
static __u32 key[KEY_MAX], words[WORDS_MAX];

static bool open_map(const char *path)
{
	__u32 len = sizeof(map.info);

	map.fd = bpf_obj_get(path);
	if (map.fd < 0 || bpf_obj_get_info_by_fd(map.fd, &map.info, &len))
		return false;
	map.cpus = 1;
	map.each = map.stride = map.info.value_size / 4;
	if (map.info.type == BPF_MAP_TYPE_PERCPU_HASH ||
	    map.info.type == BPF_MAP_TYPE_PERCPU_ARRAY) {
		map.cpus = (__u32)libbpf_num_possible_cpus();
		map.stride = (map.each + 1) & ~1u;
	}
	return map.info.key_size <= sizeof(key) &&
	       map.cpus * map.stride <= WORDS_MAX;
}

static void read_key(char *text)
{
	for (__u32 i = 0; i < map.info.key_size / 4; i++) {
		key[i] = (__u32)strtoul(text, &text, 0);
		text += *text == ',';
	}
}

static bool put(__u32 n)
{
	for (__u32 i = 0; i < map.cpus * map.stride; i++)
		words[i] = n + i / map.stride;
	return !bpf_map_update_elem(map.fd, key, words, BPF_ANY);
}

static bool get(void)
{
	if (bpf_map_lookup_elem(map.fd, key, words))
		return false;
	for (__u32 cpu = 0; cpu < map.cpus; cpu++)
		for (__u32 i = 0; i < map.each; i++)
			printf("%u%c", words[cpu * map.stride + i],
			       i + 1 < map.each ? ' ' : '\n');
	return true;
}

static bool is_grown(void)
{
	if (bpf_map_lookup_elem(map.fd, key, words))
		return false;
	for (__u32 cpu = 0; cpu < map.cpus; cpu++)
		for (__u32 i = 0; i < map.each; i++)
			if (words[cpu * map.stride + i] !=
			    (i ? 0 : key[0] + cpu))
				return false;
	return true;
}

static bool each_key(__u32 count, bool fill)
{
	for (key[0] = 1; key[0] <= count; key[0]++)
		if (!(fill ? put(key[0]) : is_grown())) {
			printf("key %u\n", key[0]);
			return false;
		}
	return true;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool good = argc > 2 && open_map(argv[2]);

	if (good && !strcmp(what, "id")) {
		good = printf("%u\n", map.info.id) > 0;
	} else if (good && argc == 4 && !strcmp(what, "get")) {
		read_key(argv[3]);
		good = get();
	} else if (good && argc == 5 && !strcmp(what, "put")) {
		read_key(argv[3]);
		good = put((__u32)strtoul(argv[4], NULL, 0));
	} else if (good && argc == 4) {
		good = each_key((__u32)strtoul(argv[3], NULL, 0),
				!strcmp(what, "fill"));
	}
	if (!good)
		perror(argc > 2 ? argv[2] : "map");
	return good ? 0 : 1;
}
