/* SPDX-License-Identifier: Apache-2.0 */
/* The recordings of loader/gate/content/benign, as they lie there, in the binary. */
#include "loader/base/cleanup.h"
#include "loader/gate/content/recording.h"

/* BL_BENIGN: the folder, from CMakeLists.txt. */
#define EMBED(name)                                                        \
	__asm__(".pushsection .rodata\n"                                   \
		"bl_benign_" #name ":\n"                                   \
		".incbin \"" BL_BENIGN "/" #name ".txt\"\n"                \
		"bl_benign_" #name "_end:\n"                               \
		".popsection\n"                                            \
		".global bl_benign_" #name ", bl_benign_" #name "_end\n"); \
	extern const char bl_benign_##name[]                               \
		__attribute__((visibility("hidden")));                     \
	extern const char bl_benign_##name##_end[]                         \
		__attribute__((visibility("hidden")))

EMBED(boot);
EMBED(package);
EMBED(compile);

const struct bl_recording bl_benign[] = {
	{ "boot", bl_benign_boot, bl_benign_boot_end },
	{ "package", bl_benign_package, bl_benign_package_end },
	{ "compile", bl_benign_compile, bl_benign_compile_end },
};

const size_t bl_benign_count = BL_ARRAY_SIZE(bl_benign);
