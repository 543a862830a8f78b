/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/wire/prom.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"

static const char *const type_names[] = {
	[BL_PROM_COUNTER] = "counter",
	[BL_PROM_GAUGE] = "gauge",
	[BL_PROM_HISTOGRAM] = "histogram",
};

static void put(struct bl_prom *p, const char *text)
{
	if (!p->failed)
		p->failed = bl_buf_add(&p->text, text, strlen(text));
}

/* As much as it takes to read it back; whole numbers without a point. */
static void put_number(struct bl_prom *p, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", value);
	put(p, text);
}

/* Well-formed, without what would end it. */
static void put_value(struct bl_prom *p, const char *value)
{
	bl_autofree char *clean = bl_text_clean(value);
	const char *s;

	if (!clean)
		p->failed = -ENOMEM;
	for (s = clean; s && *s; s++) {
		const char one[] = { *s, '\0' };

		if (*s == '\\' || *s == '"')
			put(p, "\\");
		put(p, *s == '\n' ? "\\n" : one);
	}
}

static void put_label(struct bl_prom *p, const char *name, const char *value)
{
	put(p, name);
	put(p, "=\"");
	put_value(p, value);
	put(p, "\"");
}

void bl_prom_family(struct bl_prom *p, enum bl_prom_type type, const char *name,
		    const char *help)
{
	p->family = name;
	put(p, "# HELP ");
	put(p, name);
	put(p, " ");
	put(p, help);
	put(p, "\n# TYPE ");
	put(p, name);
	put(p, " ");
	put(p, type_names[type]);
	put(p, "\n");
}

void bl_prom_sample(struct bl_prom *p, double value, const char *const *labels)
{
	size_t i;

	put(p, p->family);
	for (i = 0; labels && labels[i]; i += 2) {
		put(p, i ? "," : "{");
		put_label(p, labels[i], labels[i + 1]);
	}
	put(p, i ? "} " : " ");
	put_number(p, value);
	put(p, "\n");
}

static void put_bucket(struct bl_prom *p, const char *label, const char *value,
		       const char *bound, uint64_t count)
{
	put(p, p->family);
	put(p, "_bucket{");
	put_label(p, label, value);
	put(p, ",le=\"");
	put(p, bound);
	put(p, "\"} ");
	put_number(p, (double)count);
	put(p, "\n");
}

static void put_end(struct bl_prom *p, const char *suffix, const char *label,
		    const char *value, double number)
{
	put(p, p->family);
	put(p, suffix);
	put(p, "{");
	put_label(p, label, value);
	put(p, "} ");
	put_number(p, number);
	put(p, "\n");
}

void bl_prom_histogram(struct bl_prom *p, const struct bl_prom_histogram *h,
		       const char *label, const char *value)
{
	uint64_t count = 0;
	char bound[32];
	size_t i;

	for (i = 0; i < h->bound_count; i++) {
		count += h->counts[i];
		snprintf(bound, sizeof(bound), "%g", h->bounds[i]);
		put_bucket(p, label, value, bound, count);
	}
	count += h->counts[i];
	put_bucket(p, label, value, "+Inf", count);
	put_end(p, "_sum", label, value, h->sum);
	put_end(p, "_count", label, value, (double)count);
}

int bl_prom_end(struct bl_prom *p, struct bl_buf *ret)
{
	int r = p->failed;

	if (r < 0)
		bl_buf_free(&p->text);
	else
		*ret = p->text;
	*p = (struct bl_prom){ 0 };
	return r;
}
