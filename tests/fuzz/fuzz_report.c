/* SPDX-License-Identifier: Apache-2.0 */
/* A report read back: written again it says the same, and a report in which
 * nothing was checked is no pass, whatever it claims. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/report/report_json.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bl_autoreport struct bl_report report = { 0 };
	bl_autoreport struct bl_report again = { 0 };
	bl_autofree char *text = NULL;
	bl_autofree char *text2 = NULL;
	struct bl_err err = { 0 };
	int r = bl_report_from_json("in", (const char *)data, size, &report,
				    &err);

	FUZZ_CHECK_ERR(r, &err);
	if (r)
		return 0;
	fuzz_accepted++;
	FUZZ_CHECK(bl_report_exit(&report) != BL_EXIT_OK || report.count > 0);
	text = bl_report_to_json(&report);
	FUZZ_CHECK(text);
	FUZZ_CHECK(bl_report_from_json("again", text, strlen(text), &again,
				       NULL) == 0);
	FUZZ_CHECK(bl_report_verdict(&report, NULL) ==
		   bl_report_verdict(&again, NULL));
	text2 = bl_report_to_json(&again);
	FUZZ_CHECK(text2 && strcmp(text, text2) == 0);
	return 0;
}
