/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/qmp.h"

#include <errno.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/json.h"

void bl_qmp_free(struct bl_qmp *q)
{
	bl_buf_free(&q->held);
}

bool bl_qmp_idle(const struct bl_qmp *q)
{
	return q->greeted && !q->owed;
}

int bl_qmp_ask(struct bl_qmp *q, const char *name, const char *arguments,
	       struct bl_buf *out)
{
	int r = bl_buf_printf(out, "{\"execute\":\"%s\",\"arguments\":{%s}}\n",
			      name, arguments ? arguments : "");

	if (!r)
		q->owed++;
	return r;
}

static int refused(const json_t *error, struct bl_err *err)
{
	const char *said = json_string_value(json_object_get(error, "desc"));

	return bl_err_set(err, -EREMOTEIO, "QEMU refused: %s",
			  said ? said : "it does not say why");
}

static void migration(struct bl_qmp *q, const json_t *data)
{
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!status)
		return;
	if (strcmp(status, "completed") == 0)
		q->migration = BL_QMP_MIGRATED;
	else if (strcmp(status, "failed") == 0 ||
		 strcmp(status, "cancelled") == 0)
		q->migration = BL_QMP_MIGRATION_FAILED;
}

/* Of its events only the end of a migration and of the guest matter here. */
static void event(struct bl_qmp *q, const json_t *root)
{
	const json_t *data = json_object_get(root, "data");
	const char *name = json_string_value(json_object_get(root, "event"));
	const char *reason = json_string_value(json_object_get(data, "reason"));

	if (!name)
		return;
	if (strcmp(name, "MIGRATION") == 0)
		migration(q, data);
	else if (strcmp(name, "WATCHDOG") == 0)
		q->watchdog = true;
	else if (strcmp(name, "SHUTDOWN") == 0 && reason &&
		 strcmp(reason, "guest-reset") == 0)
		q->reset = true;
}

static int answer(struct bl_qmp *q, const json_t *root, struct bl_err *err)
{
	const json_t *error = json_object_get(root, "error");

	if (!q->greeted || !q->owed)
		return bl_err_set(err, -EBADMSG,
				  "QEMU's monitor answers what nobody asked");
	q->owed--;
	return error ? refused(error, err) : 0;
}

static int take_line(struct bl_qmp *q, const char *line, size_t len,
		     struct bl_err *err)
{
	bl_autojson_doc struct bl_json_doc doc = { 0 };
	int r = bl_json_parse("QEMU's monitor", line, len, &doc, err);

	if (r < 0)
		return r;
	if (json_object_get(doc.root, "event")) {
		event(q, doc.root);
		return 0;
	}
	if (json_object_get(doc.root, "return") ||
	    json_object_get(doc.root, "error"))
		return answer(q, doc.root, err);
	if (!json_object_get(doc.root, "QMP") || q->greeted)
		return bl_err_set(err, -EBADMSG,
				  "QEMU's monitor says what is no answer");
	q->greeted = true;
	return 0;
}

int bl_qmp_feed(struct bl_qmp *q, const void *data, size_t len,
		struct bl_err *err)
{
	size_t done = 0;
	int r = bl_buf_add(&q->held, data, len);

	if (r < 0)
		return bl_err_set(err, r, "out of memory");
	while (done < q->held.len) {
		const char *line = q->held.data + done;
		const char *end = memchr(line, '\n', q->held.len - done);
		size_t n = end ? (size_t)(end - line) : q->held.len - done;

		if (n > BL_QMP_LINE_MAX)
			return bl_err_set(
				err, -EFBIG,
				"a line of QEMU's monitor is longer than %d bytes",
				BL_QMP_LINE_MAX);
		if (!end)
			break;
		r = take_line(q, line, n, err);
		if (r < 0)
			return r;
		done += n + 1;
	}
	q->held.len -= done;
	if (done)
		memmove(q->held.data, q->held.data + done, q->held.len);
	return 0;
}
