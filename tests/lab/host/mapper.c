/* SPDX-License-Identifier: Apache-2.0 */
/* usage: mapper FILE — changes its last byte by way of memory: no write(), and
 * its length stays. */
#include <err.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;
	char *at;
	int fd;

	if (argc != 2)
		errx(64, "usage: mapper FILE");
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		err(1, "%s", argv[1]);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		  fd, 0);
	if (at == MAP_FAILED)
		err(1, "map %s", argv[1]);
	at[st.st_size - 1] ^= 1;
	munmap(at, (size_t)st.st_size);
	return close(fd) ? 1 : 0;
}
