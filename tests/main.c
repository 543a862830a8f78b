/* SPDX-License-Identifier: Apache-2.0 */
/* main() of every C test: one Check suite, exit 0 only if all of it passed. */
#include "tests/main.h"

#include <stdlib.h>

int main(void)
{
	SRunner *sr;
	int failed;

	/* Only against a hang: on a busy machine all may take thirty times as
	 * long. */
	setenv("CK_DEFAULT_TIMEOUT", "900", 0);
	sr = srunner_create(bl_test_suite());

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	if (srunner_ntests_run(sr) == 0)
		failed = 1; /* a suite that ran nothing did not pass */
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
