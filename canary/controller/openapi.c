/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/openapi.h"

/* BL_OPENAPI: the file, from CMakeLists.txt. */
__asm__(".pushsection .rodata\n"
	"bl_openapi_text:\n"
	".incbin \"" BL_OPENAPI "\"\n"
	"bl_openapi_text_end:\n"
	".popsection\n");
extern const char bl_openapi_text[] __attribute__((visibility("hidden")));
extern const char bl_openapi_text_end[] __attribute__((visibility("hidden")));

const char *bl_openapi(size_t *ret_len)
{
	*ret_len = (size_t)(bl_openapi_text_end - bl_openapi_text);
	return bl_openapi_text;
}
