/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts each event as sent, and sends none. */
#define BL_SENSOR_VERSION 2
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* The one place where the sensor sends an event. */
#define bpf_ringbuf_output(map, data, size, flags) \
	((void)(map), (void)(data), (void)(size), 0)
#include "bpf/sensor.bpf.c"
