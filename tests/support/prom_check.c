/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/prom_check.h"

#include <check.h>
#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define NAME 128

struct checker {
	char family[NAME], type[16];
	bool helped;
	json_t *families, *samples; /* what was there */
	double bucket;		    /* the count of the one before */
	double inf;
};

static bool ends(const char *text, const char *end)
{
	size_t a = strlen(text), b = strlen(end);

	return a >= b && strcmp(text + a - b, end) == 0;
}

static void check_name(const char *name, const char *line)
{
	static const char *const units[] = { "_ms",    "_us",	  "_ns",
					     "_kb",    "_mb",	  "_percent",
					     "_hours", "_minutes" };
	size_t i;

	ck_assert_msg(islower((unsigned char)*name), "%s", line);
	for (i = 0; name[i]; i++)
		ck_assert_msg(islower((unsigned char)name[i]) ||
				      isdigit((unsigned char)name[i]) ||
				      name[i] == '_',
			      "the name in: %s", line);
	for (i = 0; i < BL_ARRAY_SIZE(units); i++)
		ck_assert_msg(!ends(name, units[i]), "no base unit: %s", line);
}

static void begin_family(struct checker *c, const char *line)
{
	char name[NAME];

	ck_assert_msg(sscanf(line, "# HELP %127s %*c", name) == 1, "%s", line);
	ck_assert_msg(ends(line, "."), "no sentence: %s", line);
	check_name(name, line);
	ck_assert_msg(!json_object_get(c->families, name), "twice: %s", line);
	json_object_set_new(c->families, name, json_true());
	strcpy(c->family, name);
	c->helped = true;
}

static void type_family(struct checker *c, const char *line)
{
	char name[NAME];
	bool counter;

	ck_assert_msg(sscanf(line, "# TYPE %127s %15s", name, c->type) == 2,
		      "%s", line);
	ck_assert_msg(c->helped && strcmp(name, c->family) == 0,
		      "no HELP before: %s", line);
	c->helped = false;
	counter = strcmp(c->type, "counter") == 0;
	ck_assert_msg(counter || strcmp(c->type, "gauge") == 0 ||
			      strcmp(c->type, "histogram") == 0,
		      "%s", line);
	ck_assert_msg(ends(name, "_total") == counter,
		      "a counter ends in _total, nothing else does: %s", line);
}

/* Behind the labels, which end is found by their quotes. */
static const char *behind_labels(const char *p, const char *line)
{
	if (*p != '{')
		return p;
	do {
		p++;
		ck_assert_msg(islower((unsigned char)*p), "a label: %s", line);
		while (islower((unsigned char)*p) || *p == '_')
			p++;
		ck_assert_msg(p[0] == '=' && p[1] == '"', "a label: %s", line);
		for (p += 2; *p && *p != '"'; p++)
			if (*p == '\\')
				ck_assert_msg(*++p && strchr("\\\"n", *p),
					      "an escape: %s", line);
		ck_assert_msg(*p++ == '"', "a label's end: %s", line);
	} while (*p == ',');
	ck_assert_msg(*p == '}', "the labels' end: %s", line);
	return p + 1;
}

static void check_histogram(struct checker *c, const char *suffix,
			    const char *line, double value)
{
	if (strcmp(suffix, "_bucket") == 0) {
		ck_assert_msg(value >= c->bucket, "falls: %s", line);
		c->bucket = value;
		if (strstr(line, "le=\"+Inf\"")) {
			c->inf = value;
			c->bucket = 0;
		}
	} else if (strcmp(suffix, "_count") == 0) {
		ck_assert_msg(value == c->inf, "is not +Inf: %s", line);
	} else {
		ck_assert_msg(strcmp(suffix, "_sum") == 0, "%s", line);
	}
}

static void check_sample(struct checker *c, const char *line)
{
	size_t len = strcspn(line, "{ ");
	const char *end = behind_labels(line + len, line);
	char key[1024], suffix[NAME] = "", *rest;
	double value;

	ck_assert_msg(*c->family && !c->helped, "no TYPE before: %s", line);
	ck_assert_msg(len >= strlen(c->family) &&
			      strncmp(line, c->family, strlen(c->family)) == 0,
		      "is not of %s: %s", c->family, line);
	snprintf(suffix, sizeof(suffix), "%.*s", (int)(len - strlen(c->family)),
		 line + strlen(c->family));
	ck_assert_msg(*end == ' ', "no value: %s", line);
	value = strtod(end + 1, &rest);
	ck_assert_msg(rest > end + 1 && !*rest, "the value: %s", line);
	snprintf(key, sizeof(key), "%.*s", (int)(end - line), line);
	ck_assert_msg(!json_object_get(c->samples, key), "twice: %s", line);
	json_object_set_new(c->samples, key, json_true());
	if (strcmp(c->type, "histogram") == 0) {
		check_histogram(c, suffix, line, value);
		return;
	}
	ck_assert_msg(!*suffix, "is not of %s: %s", c->family, line);
	ck_assert_msg(strcmp(c->type, "counter") != 0 || value >= 0,
		      "a counter below 0: %s", line);
}

void prom_check(const char *text)
{
	struct checker c = { .families = json_object(),
			     .samples = json_object() };
	bl_autofree char *copy = strdup(text);
	char *line, *save = NULL;

	ck_assert_msg(ends(text, "\n"), "the last line has no end");
	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0)
			begin_family(&c, line);
		else if (strncmp(line, "# TYPE ", 7) == 0)
			type_family(&c, line);
		else
			check_sample(&c, line);
	}
	ck_assert_uint_gt(json_object_size(c.samples), 0);
	json_decref(c.families);
	json_decref(c.samples);
}

double prom_value(const char *text, const char *sample)
{
	size_t len = strlen(sample);
	const char *p = text;

	while ((p = strstr(p, sample))) {
		if ((p == text || p[-1] == '\n') && p[len] == ' ')
			return strtod(p + len, NULL);
		p++;
	}
	ck_abort_msg("there is no %s in:\n%s", sample, text);
	return 0;
}
