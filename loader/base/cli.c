/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/base/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "loader/base/buf.h"

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

void bl_cli_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal }, hup;

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* nohup asked that it be ignored. */
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &sa, NULL);
}

int bl_cli_interrupted(void)
{
	return interrupted;
}

int bl_cli_usage(struct bl_err *err, const char *verb, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	bl_err_set(err, -EINVAL, "%s", text);
	bl_err_hint(err, "try 'belay%s%s --help'", *verb ? " " : "", verb);
	return BL_EXIT_USAGE;
}

enum bl_exit bl_cli_exit_of_file(int r)
{
	return r == -EBADMSG ? BL_EXIT_USAGE : BL_EXIT_UNDECIDED;
}

static int list(const char *usage, const struct bl_verb *verbs, unsigned count)
{
	unsigned i;

	fputs(usage, stdout);
	for (i = 0; i < count; i++)
		printf("  %-12s %s\n", verbs[i].name, verbs[i].summary);
	return BL_EXIT_OK;
}

int bl_cli_dispatch(const char *usage, const struct bl_verb *verbs,
		    unsigned count, int argc, char **argv, struct bl_err *err)
{
	bl_autobuf struct bl_buf known = { 0 };
	unsigned i;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
		return list(usage, verbs, count);
	for (i = 0; i < count; i++)
		if (strcmp(verbs[i].name, argv[1]) == 0)
			return verbs[i].run(argc - 1, argv + 1, err);
	for (i = 0; i < count; i++)
		bl_buf_printf(&known, "%s%s", i ? ", " : "", verbs[i].name);
	return bl_cli_usage(err, argv[0], "unknown command '%s' (known: %s)",
			    argv[1], bl_buf_str(&known));
}

void bl_cli_guard_secrets(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}
