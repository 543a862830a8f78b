/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors that a person can act on.
 *
 * Contract, the same for every function that takes a struct bl_err:
 *  - it returns 0 on success, or a negative errno;
 *  - on success *err is untouched; on failure err->text says what failed, on
 *    what and why, and err->hint (may be empty) what to do next;
 *  - err may be NULL: the caller only wants the code;
 *  - control characters become '?': names in errors come from strangers' files
 *    and go to terminals;
 *  - a caller adds context by wrapping: "apply web-1.bundle: read manifest: …".
 *
 * Library code never prints an error and never exits; main.c prints it once.
 */
#ifndef BL_BASE_ERR_H
#define BL_BASE_ERR_H

#define BL_ERR_TEXT_MAX 2048
#define BL_ERR_HINT_MAX 512

struct bl_err {
	int code; /* negative errno, 0 while nothing failed */
	char text[BL_ERR_TEXT_MAX];
	char hint[BL_ERR_HINT_MAX];
};

/* Sets the text, clears the hint, returns @code (a negative errno). */
int bl_err_set(struct bl_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As bl_err_set, with ": " and strerror(-code) behind the text. */
int bl_err_errno(struct bl_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text; returns err->code, or @code if err is
 * NULL, so that it can stand in a return statement. */
int bl_err_wrap(struct bl_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Says what the person can do about it. */
void bl_err_hint(struct bl_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#if defined(__clang_analyzer__) && !defined(BL_ERR_IMPLEMENTATION)
/* The analyzer sees one file at a time: tell it that these never return 0, or
 * it follows every failure as if it were a success. */
static inline int bl_err_negative(int code)
{
	return code < 0 ? code : -1;
}
#define bl_err_set(...)	  bl_err_negative(bl_err_set(__VA_ARGS__))
#define bl_err_errno(...) bl_err_negative(bl_err_errno(__VA_ARGS__))
#define bl_err_wrap(...)  bl_err_negative(bl_err_wrap(__VA_ARGS__))
#endif

#endif
