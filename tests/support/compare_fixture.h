/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A comparison that nobody measured, for tests of its reports: the faults of
 * the real catalogue, and runs that go as the catalogue expects, with numbers
 * and logs that are made up and the same every time. It says so in `made`.
 *
 * What a real comparison may have is in it: runs that could not be made, were
 * not made yet, went otherwise than expected; text that wants to be markup.
 */
#ifndef COMPARE_FIXTURE_H
#define COMPARE_FIXTURE_H

#include "canary/compare/document.h"

#define COMPARE_FIXTURE_HOSTS 3
/* Stands in a log, a title and a gate's words; must never take effect. */
#define COMPARE_FIXTURE_HOSTILE \
	"</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\xe2\x80\xa8"

/* What does not work out fails the running test. Free with bl_compare_free. */
void compare_fixture(struct bl_compare *ret);

#endif
