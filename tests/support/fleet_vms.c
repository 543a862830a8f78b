/* SPDX-License-Identifier: Apache-2.0 */
/* The microVMs of a fleet. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary/controller/enroll.h"
#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/proc.h"
#include "tests/main.h"
#include "tests/support/fleet.h"
#include "tests/support/vms.h"

#define SAID_MAX (64u << 20)
#define GUEST	 BL_TEST_SOURCE_DIR "/tests/lab/host/"

static char *log_of(unsigned i)
{
	return bl_path("%s/vm-%u.log", fleet.dir, i);
}

static char *make_token(const char *name)
{
	bl_autojson json_t *answer = NULL;
	bl_autofree char *body = bl_path("{\"host\":\"%s\"}", name);
	const struct bl_request q = { .body = body,
				      .len = strlen(body),
				      .pki = fleet.server.pki };

	ck_assert_int_eq(bl_enroll_token(fleet.look, &q, bl_clock_wall_ms(),
					 &answer, NULL),
			 0);
	return strdup(json_string_value(json_object_get(answer, "token")));
}

static void start_vm(unsigned i, const struct fleet_vms *vms)
{
	unsigned to = fleet.controllers[i % fleet.controller_count].port;
	bl_autofree char *name = bl_path("vm-%u", i);
	bl_autofree char *console = bl_path("fleet-%s", name);
	bl_autofree char *log = log_of(i);
	bl_autofree char *port = bl_path("%u", to);
	bl_autofree char *mem = bl_path("%d", FLEET_VM_MIB);
	bl_autofree char *url = bl_path("https://10.0.2.100:%u", to);
	bl_autofree char *delay_ms = bl_path("%u", vms->delay_ms);
	bl_autofree char *token = make_token(name);
	bl_autoclose int out =
		open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *const argv[] = {
		BL_TEST_BUILD_DIR "/belay",
		"lab",
		"run",
		vms->kernel,
		"--name",
		console,
		"--log-dir",
		vms->log_dir,
		"--mem",
		mem,
		"--forward",
		port,
		"--file",
		GUEST "agent.sh:/b/agent.sh",
		"--file",
		GUEST "common.sh:/b/common.sh",
		"--",
		"sh",
		"/b/agent.sh",
		name,
		token,
		url,
		vms->kill_in,
		delay_ms,
		NULL,
	};

	ck_assert_int_eq(bl_proc_spawn(argv, -1, out, out, &fleet.vms[i], NULL),
			 0);
}

void fleet_start_vms(const struct fleet_vms *vms)
{
	ck_assert_uint_le(vms->count, FLEET_VMS_MAX);
	ck_assert_int_eq(bl_file_mkdirs(vms->log_dir, 0755, NULL), 0);
	fleet.vm_log_dir = strdup(vms->log_dir);
	while (fleet.vm_count < vms->count) {
		start_vm(fleet.vm_count, vms);
		fleet.vm_count++;
		if (fleet.vm_count > FLEET_BOOTING_MAX)
			fleet_wait_heard(fleet.agent_count + fleet.vm_count -
					 FLEET_BOOTING_MAX);
	}
	fleet_wait_heard(fleet.agent_count + fleet.vm_count);
}

void fleet_vms_run(void)
{
	unsigned i;

	for (i = 0; i < fleet.vm_count; i++)
		ck_assert_msg(waitpid(fleet.vms[i], NULL, WNOHANG) == 0,
			      "vm-%u has ended: see %s and %s", i, fleet.dir,
			      fleet.vm_log_dir);
}

static void signal_vm(unsigned i, int signal)
{
	bl_autofree char *console =
		bl_path("%s/fleet-vm-%u.console.log", fleet.vm_log_dir, i);

	ck_assert_uint_eq(bl_test_signal_vms(console, signal), 1);
}

void fleet_freeze_vm(unsigned i)
{
	signal_vm(i, SIGSTOP);
}

void fleet_thaw_vm(unsigned i)
{
	signal_vm(i, SIGCONT);
}

unsigned fleet_vms_with(const char *digest)
{
	bl_autostore_list struct bl_store_list list = { 0 };
	struct bl_fleet_host h;
	unsigned n = 0;
	size_t i;

	ck_assert_int_eq(bl_store_list(fleet.look, "host/vm-", &list, NULL), 0);
	for (i = 0; i < list.count; i++)
		n += bl_fleet_host_read(&list.items[i], &h, NULL) == 0 &&
		     strcmp(h.live, digest) == 0;
	return n;
}

unsigned fleet_vms_said(const char *words)
{
	unsigned i, n = 0;

	for (i = 0; i < fleet.vm_count; i++) {
		bl_autofree char *log = log_of(i);
		bl_autobuf struct bl_buf text = { 0 };

		ck_assert_int_eq(bl_file_read(log, SAID_MAX, &text, NULL), 0);
		n += strstr(bl_buf_str(&text), words) != NULL;
	}
	return n;
}
