/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds of a filtered event on the machine's own kernel, as far as that
 * takes the sensor: tracepoints only (native.bpf.c), by turns with a program
 * that does nothing at the same place.
 */
#ifndef BL_TESTS_SENSOR_NATIVE_H
#define BL_TESTS_SENSOR_NATIVE_H

#include <jansson.h>

/* What is there under "native" in sensor.overhead.json; README.md. @work has
 * the contents EVENT-INDICATORS.bin. Never fails: what could not be measured is
 * a reason in it. NULL without memory. */
json_t *sensor_native_measure(const char *work, unsigned turns);

#endif
