/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "loader/base/cleanup.h"
#include "loader/base/cli.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/base/text.h"

#define START_MS  200000
#define LOG_MAX	  (1u << 20)
#define UPLOAD_MS 600000

/* One host first, then all: as few waves as can show a canary. */
static const char plan[] =
	"{ \"waves\": [ { \"hosts\": 1, \"soak_s\": 2 },"
	"              { \"percent\": 100, \"soak_s\": 0 } ],"
	"  \"trial_s\": 90, \"silence_s\": 25 }";

struct bl_control {
	pid_t pid; /* 0: none */
	uint16_t port;
	struct bl_client *client;
};

uint16_t bl_control_port(const struct bl_control *c)
{
	return c->port;
}

void bl_control_stop(struct bl_control *c)
{
	if (!c)
		return;
	bl_client_close(c->client);
	if (c->pid) {
		kill(c->pid, SIGTERM);
		while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(c);
}

static int spawn(struct bl_control *c, const char *dir, const char *log,
		 struct bl_err *err)
{
	bl_autofree char *store = bl_path("sqlite:%s/fleet.db", dir);
	const char *const argv[] = {
		"/proc/self/exe", "controller", "--plaintext",
		"--store",	  store,	"--listen",
		"127.0.0.1:0",	  NULL
	};
	bl_autoclose int fd =
		open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (!store)
		return bl_err_set(err, -ENOMEM, "out of memory");
	if (fd < 0)
		return bl_err_errno(err, -errno, "cannot write %s", log);
	return bl_proc_spawn(argv, -1, fd, fd, &c->pid, err);
}

/* Until it says where it listens. */
static int wait_for_port(struct bl_control *c, const char *log,
			 struct bl_err *err)
{
	bl_autobuf struct bl_buf said = { 0 };
	uint64_t until = bl_clock_mono_ms() + START_MS;
	unsigned port = 0;

	while (bl_clock_mono_ms() < until && !bl_cli_interrupted()) {
		bl_autobuf struct bl_buf text = { 0 };
		const char *at;

		if (bl_file_read(log, LOG_MAX, &text, NULL) == 0) {
			at = strstr(bl_buf_str(&text), "listening on ");
			if (at && strchr(at, '\n') &&
			    sscanf(at, "listening on 127.0.0.1:%u", &port) ==
				    1) {
				c->port = (uint16_t)port;
				return 0;
			}
		}
		if (waitpid(c->pid, NULL, WNOHANG) == c->pid) {
			c->pid = 0;
			break;
		}
		bl_clock_sleep_ms(50);
	}
	if (bl_file_read(log, LOG_MAX, &said, NULL) < 0 || !said.len)
		return bl_err_set(err, -EIO, "the controller did not start");
	return bl_err_set(err, -EIO, "the controller did not start: %s",
			  bl_buf_str(&said));
}

int bl_control_start(const char *dir, struct bl_control **ret,
		     struct bl_err *err)
{
	BL_CLEANUP(bl_control_stopp)
	struct bl_control *c = calloc(1, sizeof(*c));
	bl_autofree char *log = bl_path("%s/controller.log", dir);
	char url[64];
	int r = c && log ? 0 : bl_err_set(err, -ENOMEM, "out of memory");

	if (!r)
		r = spawn(c, dir, log, err);
	if (!r)
		r = wait_for_port(c, log, err);
	if (r)
		return r;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", c->port);
	r = bl_client_open(url, true, &c->client, err);
	if (!r)
		*ret = BL_TAKE(c);
	return r;
}

/* What the controller said no to, as against what kept us from asking. */
static bool is_answer(int r)
{
	return r == -EPERM || r == -EINVAL || r == -EFBIG;
}

int bl_control_rollout(struct bl_control *c, const struct bl_variant *v,
		       char ret_id[static BL_ROLLOUT_ID_LEN],
		       struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/bundles/%s", v->digest);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	bl_autobuf struct bl_buf answer = { 0 };
	json_t *body = json_pack("{s:s,s:o,s:s}", "digest", v->digest, "plan",
				 json_loads(plan, 0, NULL), "override", "");
	int r = path && body ? bl_client_call(c->client, "PUT", path,
					      "application/octet-stream",
					      v->raw.data, v->raw.len,
					      UPLOAD_MS, &answer, err)
			     : bl_err_set(err, -ENOMEM, "out of memory");

	if (r)
		json_decref(body);
	else
		r = bl_client_json(c->client, "POST", "/v1/rollouts", body,
				   &doc, err);
	if (r)
		return is_answer(r) ? 1 : r;
	bl_text_copy(ret_id, BL_ROLLOUT_ID_LEN,
		     json_string_value(json_object_get(doc.root, "id")));
	return 0;
}

int bl_control_status(struct bl_control *c, const char *id,
		      struct bl_json_doc *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/rollouts/%s", id);

	if (!path)
		return bl_err_set(err, -ENOMEM, "out of memory");
	return bl_client_json(c->client, "GET", path, NULL, ret, err);
}

int bl_control_abort(struct bl_control *c, const char *id, struct bl_err *err)
{
	bl_autofree char *path = bl_path("/v1/rollouts/%s/abort", id);
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	json_t *body = json_pack("{s:s}", "reason", "compare: the next fault");

	if (!path || !body) {
		json_decref(body);
		return bl_err_set(err, -ENOMEM, "out of memory");
	}
	return bl_client_json(c->client, "POST", path, body, &doc, err);
}

int bl_control_hosts(struct bl_control *c, struct bl_json_doc *ret,
		     struct bl_err *err)
{
	return bl_client_json(c->client, "GET", "/v1/hosts", NULL, ret, err);
}
