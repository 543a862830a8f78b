/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/simulate/chart.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/cleanup.h"

#define WIDTH  900
#define LEFT   90
#define RIGHT  780 /* names of lines stand behind it */
#define PANEL  210
#define GAP    60
#define TOP    74
#define BOTTOM 50

/* Told apart by people who do not see all colours, and on white paper. */
static const char *const colours[BL_SIM_LINES_MAX] = { "#0072b2", "#d55e00",
						       "#009e73", "#cc79a7",
						       "#b58900" };

struct chart {
	struct bl_buf *buf;
	const struct bl_sim_line *lines;
	unsigned count, hosts;
	double last_s;
	bool failed;
};

struct panel {
	const char *title;
	unsigned (*value)(const struct bl_sim_point *p);
	double top;
};

static unsigned exposed_of(const struct bl_sim_point *p)
{
	return p->exposed;
}

static unsigned down_of(const struct bl_sim_point *p)
{
	return p->down;
}

#define put(c, ...) ((c)->failed |= bl_buf_printf((c)->buf, __VA_ARGS__) < 0)

static void put_escaped(struct chart *c, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			put(c, "&lt;");
		else if (*text == '&')
			put(c, "&amp;");
		else
			put(c, "%c", *text);
	}
}

static double x_of(const struct chart *c, double s)
{
	return LEFT + (RIGHT - LEFT) * s / c->last_s;
}

/* Powers of ten, with room for none at all below the first. */
static double y_of(const struct chart *c, const struct panel *p, double hosts)
{
	double top = log10(c->hosts) + 0.5;
	double at = hosts < 1 ? 0 : (log10(hosts) + 0.5) / top;

	return p->top + PANEL * (1 - (at > 1 ? 1 : at));
}

/* A distance between marks of time that leaves four to ten of them. */
static unsigned time_step(double last_s)
{
	static const unsigned steps[] = { 10,	 30,	60,    120,  300,
					  600,	 1800,	3600,  7200, 14400,
					  28800, 86400, 604800 };
	size_t i;

	for (i = 0; i + 1 < BL_ARRAY_SIZE(steps); i++)
		if (last_s / steps[i] <= 10)
			break;
	return steps[i];
}

static void put_time(struct chart *c, double s, double y)
{
	char text[32];

	if (c->last_s >= 4 * 3600)
		snprintf(text, sizeof(text), "%g h", s / 3600);
	else if (c->last_s >= 240)
		snprintf(text, sizeof(text), "%g min", s / 60);
	else
		snprintf(text, sizeof(text), "%g s", s);
	put(c,
	    "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" class=\"mark\">%s</text>\n",
	    x_of(c, s), y, text);
}

static void put_hosts(struct chart *c, const struct panel *p, double hosts)
{
	double y = y_of(c, p, hosts);
	char text[32];

	if (hosts >= 1e6)
		snprintf(text, sizeof(text), "%.3g M", hosts / 1e6);
	else if (hosts >= 1e4)
		snprintf(text, sizeof(text), "%.0f 000", hosts / 1e3);
	else
		snprintf(text, sizeof(text), "%.0f", hosts);
	put(c,
	    "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n"
	    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" class=\"mark\">%s</text>\n",
	    LEFT, RIGHT, y, y, LEFT - 8, y + 4, text);
}

static void put_axes(struct chart *c, const struct panel *p)
{
	unsigned step = time_step(c->last_s), s, n;

	put(c, "<text x=\"%d\" y=\"%.1f\" class=\"title\">%s</text>\n", LEFT,
	    p->top - 12, p->title);
	put_hosts(c, p, 0);
	for (n = 1; n <= c->hosts / 2; n *= 10)
		put_hosts(c, p, n);
	put_hosts(c, p, c->hosts);
	for (s = 0; s <= c->last_s; s += step)
		put_time(c, s, p->top + PANEL + 18);
}

static void put_line(struct chart *c, const struct panel *p, unsigned i)
{
	const struct bl_sim_result *r = c->lines[i].result;
	double last = 0;
	unsigned k;

	put(c,
	    "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.2\" stroke-linejoin=\"round\" points=\"%.1f,%.1f",
	    colours[i], x_of(c, 0), y_of(c, p, 0));
	for (k = 0; k < r->point_count; k++) {
		const struct bl_sim_point *at = &r->points[k];
		double x = x_of(c, (double)at->t_ms / 1000);
		double y = y_of(c, p, p->value(at));

		/* Steps: what was true stays so until the next point. */
		if (p->value(at) != last || k + 1 == r->point_count)
			put(c, " %.1f,%.1f %.1f,%.1f", x, y_of(c, p, last), x,
			    y);
		last = p->value(at);
	}
	put(c, " %d,%.1f\"/>\n", RIGHT, y_of(c, p, last));
	if (r->stopped && r->stop_ms / 1000.0 <= c->last_s) {
		double x = x_of(c, (double)r->stop_ms / 1000);

		put(c,
		    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" stroke-dasharray=\"2 3\"/>\n",
		    x, x, p->top, p->top + PANEL, colours[i]);
	}
}

static int by_y(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Where each line ends stands its name; names that would cover each other move
 * down. */
static void put_names(struct chart *c, const struct panel *p)
{
	double at[BL_SIM_LINES_MAX][2];
	double y = -1e9;
	unsigned i;

	for (i = 0; i < c->count; i++) {
		const struct bl_sim_result *r = c->lines[i].result;
		unsigned n = r->point_count;

		at[i][0] = y_of(c, p, n ? p->value(&r->points[n - 1]) : 0);
		at[i][1] = i;
	}
	qsort(at, c->count, sizeof(at[0]), by_y);
	for (i = 0; i < c->count; i++) {
		unsigned k = (unsigned)at[i][1];

		y = at[i][0] + 4 > y + 16 ? at[i][0] + 4 : y + 16;
		put(c,
		    "<text x=\"%d\" y=\"%.1f\" fill=\"%s\" class=\"name\">%s</text>\n",
		    RIGHT + 8, y, colours[k], c->lines[k].name);
	}
}

static void put_panel(struct chart *c, const struct panel *p, bool names)
{
	unsigned i;

	put_axes(c, p);
	/* The first line is the one that matters: drawn last, on top. */
	for (i = c->count; i-- > 0;)
		put_line(c, p, i);
	if (names)
		put_names(c, p);
}

int bl_sim_chart(const char *title, unsigned hosts,
		 const struct bl_sim_line *lines, unsigned count,
		 struct bl_buf *ret)
{
	bl_autobuf struct bl_buf buf = { 0 };
	struct chart c = { .buf = &buf,
			   .lines = lines,
			   .count = count,
			   .hosts = hosts,
			   .last_s = 60 };
	struct panel exposed = { "Hosts that ever got the version", exposed_of,
				 TOP };
	struct panel down = { "Hosts that are down now", down_of,
			      TOP + PANEL + GAP };
	int height = TOP + 2 * PANEL + GAP + BOTTOM;
	unsigned i;

	assert(count <= BL_SIM_LINES_MAX);
	for (i = 0; i < count; i++)
		if ((double)lines[i].result->end_ms / 1000 > c.last_s)
			c.last_s = (double)lines[i].result->end_ms / 1000;
	put(&c,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n"
	    "<style>.grid{stroke:#ddd}.mark{font-size:12px;fill:#555}.title{font-size:14px;font-weight:bold;fill:#222}.name{font-size:13px;font-weight:bold}</style>\n"
	    "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
	    "<text x=\"%d\" y=\"30\" font-size=\"17\" fill=\"#222\">",
	    WIDTH, height, WIDTH, height, WIDTH, height, LEFT);
	put_escaped(&c, title);
	put(&c, "</text>\n");
	put_panel(&c, &exposed, true);
	put_panel(&c, &down, false);
	put(&c,
	    "<text x=\"%d\" y=\"%d\" class=\"mark\">One run. Hosts on a scale of powers of ten; a dotted line: the decision to go back.</text>\n</svg>\n",
	    LEFT, height - 12);
	if (c.failed)
		return -ENOMEM;
	*ret = buf;
	buf = (struct bl_buf){ 0 };
	return 0;
}
