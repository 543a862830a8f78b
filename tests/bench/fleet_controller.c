/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_controller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

void fleet_pin(int core)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void end(const char *what)
{
	struct bl_err err = { 0 };

	bl_err_set(&err, -EIO, "%s", what);
	bench_need(-EIO, &err);
}

static void run_belay(int out, const char *store_url, const char *tls_dir)
{
	const char *const argv[] = { BENCH_BELAY,
				     "controller",
				     "--listen",
				     "127.0.0.1:0",
				     "--store",
				     store_url,
				     tls_dir ? "--tls-dir" : "--plaintext",
				     tls_dir,
				     NULL };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fleet_pin(0);
	dup2(out, STDOUT_FILENO);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

struct fleet_controller fleet_controller_start(const char *store_url,
					       const char *tls_dir)
{
	struct fleet_controller c = { 0 };
	char line[256] = "", *colon;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		end("no pipe");
	c.pid = fork();
	if (c.pid == 0)
		run_belay(fds[1], store_url, tls_dir);
	close(fds[1]);
	if (read(fds[0], line, sizeof(line) - 1) <= 0)
		end("the controller did not start");
	close(fds[0]);
	colon = strchr(line, ':');
	c.port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
	return c;
}

void fleet_controller_stop(struct fleet_controller *c)
{
	kill(c->pid, SIGTERM);
	waitpid(c->pid, NULL, 0);
}

double fleet_controller_kept_s(const struct fleet_controller *c)
{
	unsigned long long ns, sum = 0;
	const struct dirent *task;
	char path[400], dir[64];
	DIR *tasks;
	FILE *f;

	snprintf(dir, sizeof(dir), "/proc/%d/task", (int)c->pid);
	tasks = opendir(dir);
	while (tasks && (task = readdir(tasks))) {
		snprintf(path, sizeof(path), "%s/%s/schedstat", dir,
			 task->d_name);
		f = fopen(path, "re");
		if (f && fscanf(f, "%*u %llu", &ns) == 1)
			sum += ns;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return (double)sum / 1e9;
}

double fleet_controller_rss_mib(const struct fleet_controller *c)
{
	char path[64], line[256];
	double kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)c->pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib / 1024;
}

double fleet_controller_cpu_s(const struct fleet_controller *c)
{
	unsigned long user = 0, system = 0;
	char path[64], text[1024] = "", *at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->pid);
	f = fopen(path, "re");
	if (f && fgets(text, sizeof(text), f)) {
		at = strrchr(text, ')');
		if (at)
			sscanf(at + 1,
			       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			       &user, &system);
	}
	if (f)
		fclose(f);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
