/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds a text of metrics against what Prometheus reads (text format 0.0.4) and
 * what its users expect of names, as `promtool check metrics` does: each family
 * with HELP and TYPE before its samples and in one piece, counters end in
 * _total and nothing else does, base units, no sample twice, histograms add up.
 */
#ifndef BL_TESTS_PROM_CHECK_H
#define BL_TESTS_PROM_CHECK_H

/* Fails the test with the line that is wrong. */
void prom_check(const char *text);

/* The value of "name" or "name{label=\"value\",…}", exactly as it stands there;
 * fails the test if it does not. */
double prom_value(const char *text, const char *sample);

#endif
