/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that guest_sensor runs: one page, no library, and what it does is
 * become itself again, LEFT times. It writes to its standard output, as eight
 * bytes, how many ticks passed from just before that to its first instruction:
 * so the figure holds no fork, no end of a process, and nobody else's turn.
 *
 * usage: guest_exec LEFT START    16 hexadecimal digits each; without: nothing
 */
#include <stdint.h>
#include <sys/syscall.h>
#include <x86intrin.h>

#define DIGITS 16

void _start(void);
void begin(char **stack);

/* No compiler may touch the stack before its address is taken. */
__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call begin\n");

static long call(long number, long a, const void *b, const void *c)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

static uint64_t hex_read(const char *from)
{
	uint64_t n = 0;

	for (int i = 0; i < DIGITS; i++)
		n = n << 4 | (uint64_t)(from[i] <= '9' ? from[i] - '0'
						       : from[i] - 'a' + 10);
	return n;
}

static void hex_write(char *to, uint64_t n)
{
	for (int i = DIGITS - 1; i >= 0; i--, n >>= 4)
		to[i] = "0123456789abcdef"[n & 15];
}

void begin(char **stack)
{
	uint64_t now = __rdtsc(), left, took;
	char **argv = stack + 1, *none = 0;

	if ((long)stack[0] == 3) {
		took = now - hex_read(argv[2]);
		left = hex_read(argv[1]);
		call(SYS_write, 1, &took, (void *)sizeof(took));
		if (left) {
			hex_write(argv[1], left - 1);
			hex_write(argv[2], __rdtsc());
			call(SYS_execve, (long)argv[0], argv, &none);
		}
	}
	call(SYS_exit, 0, 0, 0);
	__builtin_unreachable();
}
